#include "server/occupancy.h"

#include <stdio.h>

#include "base/memory.h"
#include "server/joining.h"
#include "server/server.h"

static struct occupancy *find(struct mw_server *server, struct bytes name) {
  return table_get(&server->script.occupancies, name);
}

static void give_back(struct occupancy *occupancy) { names_give_back(occupancy->server, &occupancy->hold, PARTY_OPEN); }

/* NULL: the job is refused. */
static struct occupancy *make(struct mw_server *server, struct script_job *job, struct job_channel *channel) {
  struct names_hold hold = {NULL, NULL};
  /* One that lingers is there for longer than the channel. */
  bool is_held = channel->kind->linger_ms > 0 && !job->by_app;
  int status = is_held ? names_hold(server, &hold, PARTY_OPEN, job->client) : 0;
  struct occupancy *occupancy = status == 0 ? memory_calloc(1, sizeof *occupancy + channel->name.len) : NULL;
  if (!occupancy) {
    names_give_back(server, &hold, PARTY_OPEN);
    job_refuse(job, 503, "unavailable", status == MW_ELIMIT ? names_refusal : "out of memory");
    return NULL;
  }
  occupancy->hold = hold;
  memcpy(occupancy->text, channel->name.ptr, channel->name.len);
  occupancy->name = bytes_of(occupancy->text, channel->name.len);
  occupancy->server = server;
  occupancy->kind = channel->kind;
  occupancy->request.occupancy = occupancy;
  list_init(&occupancy->waiters);
  list_init(&occupancy->request.link);
  if (table_set(&server->script.occupancies, occupancy->name, occupancy) < 0) {
    give_back(occupancy);
    memory_free(occupancy);
    job_refuse(job, 503, "unavailable", "out of memory");
    return NULL;
  }
  occupancy->config = config_ref(job->config);
  return occupancy;
}

static void destroy(struct occupancy *occupancy) {
  if (occupancy->server) give_back(occupancy);
  if (occupancy->server) table_remove(&occupancy->server->script.occupancies, occupancy->name);
  alarm_free(occupancy->linger);
  mw_config_unref(occupancy->config);
  memory_free(occupancy);
}

/* Puts OPEN or CLOSE to the app, or settles it at once if the kind has no such hook. */
static void ask(struct occupancy *occupancy, enum occupancy_state state) {
  bool opening = state == OCCUPANCY_OPENING;
  occupancy->state = state;
  occupancy->refused = false;
  if (occupancy->kind->hooks & (opening ? MW_HOOK_OPEN : MW_HOOK_CLOSE)) {
    script_ask(occupancy->server, &occupancy->request, opening ? MW_REQUEST_OPEN : MW_REQUEST_CLOSE);
  } else {
    occupancy_answered(occupancy);
  }
}

static void on_linger(void *context) {
  struct occupancy *occupancy = context;
  alarm_free(occupancy->linger);
  occupancy->linger = NULL;
  ask(occupancy, OCCUPANCY_CLOSING);
}

static void close_soon(struct occupancy *occupancy) {
  occupancy->state = OCCUPANCY_LINGERING;
  uint64_t linger_ms = app_stopping(&occupancy->server->app) ? 0 : occupancy->kind->linger_ms;
  if (linger_ms > 0) occupancy->linger = alarm_new(&occupancy->server->loop, linger_ms, 0, on_linger, occupancy);
  if (!occupancy->linger) on_linger(occupancy);
}

bool occupancy_enter(struct mw_server *server, struct script_job *job) {
  struct job_channel *channel = &job->channels[job->at];
  struct occupancy *occupancy = find(server, channel->name);
  bool is_new = !occupancy;
  if (is_new) occupancy = make(server, job, channel);
  if (!occupancy) return false;
  if (occupancy->state == OCCUPANCY_LINGERING) {
    alarm_free(occupancy->linger);
    occupancy->linger = NULL;
    occupancy->state = OCCUPANCY_OPEN;
  }
  if (!is_new && occupancy->state == OCCUPANCY_OPEN) {
    occupancy->count++;
    return false;
  }
  list_append(&occupancy->waiters, &job->task.link);
  if (is_new) {
    /* The job may be let in, or refused, before this returns: then it is no longer among the waiters, and must not run on twice. */
    ask(occupancy, OCCUPANCY_OPENING);
  }
  return !list_empty(&job->task.link);
}

void occupancy_leave(struct mw_server *server, struct bytes name) {
  struct occupancy *occupancy = find(server, name);
  if (!occupancy || occupancy->count == 0) return;
  if (--occupancy->count == 0 && occupancy->state == OCCUPANCY_OPEN) close_soon(occupancy);
}

void occupancy_abandon(struct mw_server *server, struct bytes name) {
  struct occupancy *occupancy = find(server, name);
  if (occupancy && occupancy->state == OCCUPANCY_OPENING && list_empty(&occupancy->waiters))
    script_cancel_request(&occupancy->request);
}

/* Lets in, or turns away, all that waited. Each may leave again, or come back, while this goes on. */
static void settle(struct occupancy *occupancy, bool let_in) {
  struct mw_server *server = occupancy->server;
  struct list waiters;
  list_init(&waiters);
  while (!list_empty(&occupancy->waiters)) {
    struct list *link = occupancy->waiters.next;
    list_remove(link);
    list_append(&waiters, link);
    if (let_in) occupancy->count++;
  }
  int status = occupancy->status;
  char code[sizeof occupancy->code], reason[sizeof occupancy->reason];
  memcpy(code, occupancy->code, sizeof code);
  memcpy(reason, occupancy->reason, sizeof reason);
  if (!let_in)
    destroy(occupancy);
  else if (occupancy->count == 0)
    close_soon(occupancy);
  while (!list_empty(&waiters)) {
    struct script_job *job = container_of(waiters.next, struct script_job, task.link);
    list_remove(&job->task.link);
    if (!let_in) job_refuse(job, status, code, reason);
    /* One that is inside the loop of its steps sees for itself that it waits no longer. */
    if (!job->running) joining_resume(server, job);
  }
}

void occupancy_answered(struct occupancy *occupancy) {
  /* An opening that was cancelled, and given up therefore, says nothing about those who came after. */
  bool given_up = occupancy->refused && occupancy->request.cancelled && !list_empty(&occupancy->waiters);
  if (!occupancy->server) {
    destroy(occupancy);
  } else if (occupancy->state == OCCUPANCY_OPENING && given_up && !app_stopping(&occupancy->server->app)) {
    ask(occupancy, OCCUPANCY_OPENING);
  } else if (occupancy->state == OCCUPANCY_OPENING) {
    if (!occupancy->refused) occupancy->state = OCCUPANCY_OPEN;
    settle(occupancy, !occupancy->refused);
  } else if (list_empty(&occupancy->waiters)) {
    destroy(occupancy);
  } else {
    ask(occupancy, OCCUPANCY_OPENING);
  }
}

void occupancy_stop_all(struct mw_server *server) {
  size_t cursor = 0;
  struct occupancy *occupancy;
  while ((occupancy = table_next(&server->script.occupancies, &cursor))) {
    if (occupancy->state != OCCUPANCY_LINGERING) continue;
    on_linger(occupancy);
    cursor = 0;
  }
}

void occupancy_free_all(struct mw_server *server) {
  size_t cursor = 0;
  struct occupancy *occupancy;
  while ((occupancy = table_next(&server->script.occupancies, &cursor))) {
    while (!list_empty(&occupancy->waiters)) {
      struct script_job *job = container_of(occupancy->waiters.next, struct script_job, task.link);
      list_remove(&job->task.link);
      job_unref(job);
    }
    alarm_free(occupancy->linger);
    occupancy->linger = NULL;
    table_remove(&server->script.occupancies, occupancy->name);
    give_back(occupancy);
    occupancy->server = NULL;
    if (!occupancy->request.waiting) destroy(occupancy);
    cursor = 0;
  }
}
