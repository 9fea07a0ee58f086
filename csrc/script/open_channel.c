#include "script/open_channel.h"

#include <stdio.h>

#include "base/memory.h"
#include "script/joining.h"
#include "script/question.h"
#include "script/script.h"

static struct open_channel *find_open_channel(struct script *script, struct bytes name) {
  return table_get(&script->open_channels, name);
}

static void release_count(struct open_channel *open_channel) {
  name_hold_release(open_channel->script->app, &open_channel->hold, PARTY_OPEN);
}

static void take_open_channel_answer(struct open_channel *open_channel);
static void on_open_channel_answer(struct mw_request *request) { take_open_channel_answer(request->open_channel); }

/* Returns NULL after it has refused the job. */
static struct open_channel *make_open_channel(struct script *script, struct script_job *job, struct job_channel *channel) {
  struct name_hold hold = {NULL, NULL};
  /* A channel that lingers exists for longer than its subscribers. */
  bool is_held = channel->kind->linger_ms > 0 && !job->by_app;
  int status = is_held ? name_hold_take(script->app, &hold, PARTY_OPEN, job->client) : 0;
  struct open_channel *open_channel = status == 0 ? memory_calloc(1, sizeof *open_channel + channel->name.len) : NULL;
  if (!open_channel) {
    name_hold_release(script->app, &hold, PARTY_OPEN);
    job_refuse(job, 503, "unavailable", status == MW_ELIMIT ? names_refusal : "out of memory");
    return NULL;
  }
  open_channel->hold = hold;
  memcpy(open_channel->text, channel->name.ptr, channel->name.len);
  open_channel->name = bytes_of(open_channel->text, channel->name.len);
  open_channel->script = script;
  open_channel->kind = channel->kind;
  open_channel->request.open_channel = open_channel;
  open_channel->request.on_answer = on_open_channel_answer;
  list_init(&open_channel->waiters);
  list_init(&open_channel->request.link);
  if (table_set(&script->open_channels, open_channel->name, open_channel) < 0) {
    release_count(open_channel);
    memory_free(open_channel);
    job_refuse(job, 503, "unavailable", "out of memory");
    return NULL;
  }
  open_channel->config = config_ref(job->config);
  return open_channel;
}

static void destroy_open_channel(struct open_channel *open_channel) {
  if (open_channel->script) release_count(open_channel);
  if (open_channel->script) table_remove(&open_channel->script->open_channels, open_channel->name);
  alarm_free(open_channel->linger);
  mw_config_unref(open_channel->config);
  memory_free(open_channel);
}

/* Takes over what a newer configuration says of the channel, which a job shows by joining. A
 * question is answered by the handlers that were asked. */
static void renew_open_channel(struct open_channel *open_channel, const struct script_job *job) {
  struct mw_config *config = job->config;
  if (open_channel->request.waiting || config->owner.number <= open_channel->config->owner.number) return;
  mw_config_unref(open_channel->config);
  open_channel->config = config_ref(config);
  open_channel->kind = job->channels[job->at].kind;
}

/* Puts OPEN or CLOSE to the app, or takes the next state immediately if the kind has no such
 * hook. */
static void ask_open_channel(struct open_channel *open_channel, enum open_channel_state state) {
  bool opening = state == OPEN_CHANNEL_OPENING;
  /* those that have come while it closed, or was about to open */
  for (struct list *link = open_channel->waiters.next; opening && link != &open_channel->waiters; link = link->next)
    renew_open_channel(open_channel, container_of(link, struct script_job, task.link));
  open_channel->state = state;
  open_channel->refused = false;
  if (open_channel->kind->hooks & (opening ? MW_HOOK_OPEN : MW_HOOK_CLOSE)) {
    question_ask(open_channel->script, &open_channel->request, opening ? MW_REQUEST_OPEN : MW_REQUEST_CLOSE);
  } else {
    take_open_channel_answer(open_channel);
  }
}

static void on_linger(void *context) {
  struct open_channel *open_channel = context;
  alarm_free(open_channel->linger);
  open_channel->linger = NULL;
  ask_open_channel(open_channel, OPEN_CHANNEL_CLOSING);
}

static void close_soon(struct open_channel *open_channel) {
  open_channel->state = OPEN_CHANNEL_LINGERING;
  uint64_t linger_ms = app_stopping(open_channel->script->app) ? 0 : open_channel->kind->linger_ms;
  if (linger_ms > 0) open_channel->linger = alarm_new(open_channel->script->loop, linger_ms, 0, on_linger, open_channel);
  if (!open_channel->linger) on_linger(open_channel);
}

bool open_channel_enter(struct script *script, struct script_job *job) {
  struct job_channel *channel = &job->channels[job->at];
  struct open_channel *open_channel = find_open_channel(script, channel->name);
  bool is_new = !open_channel;
  if (is_new) open_channel = make_open_channel(script, job, channel);
  if (!open_channel) return false;
  renew_open_channel(open_channel, job);
  if (open_channel->state == OPEN_CHANNEL_LINGERING) {
    alarm_free(open_channel->linger);
    open_channel->linger = NULL;
    open_channel->state = OPEN_CHANNEL_OPEN;
  }
  if (!is_new && open_channel->state == OPEN_CHANNEL_OPEN) {
    open_channel->count++;
    return false;
  }
  list_append(&open_channel->waiters, &job->task.link);
  if (is_new) {
    /* The job may be admitted, or refused, before this returns. Then it is no longer among the
     * waiters, and must not run twice. */
    ask_open_channel(open_channel, OPEN_CHANNEL_OPENING);
  }
  return !list_empty(&job->task.link);
}

void open_channel_leave(struct script *script, struct bytes name) {
  struct open_channel *open_channel = find_open_channel(script, name);
  if (!open_channel || open_channel->count == 0) return;
  if (--open_channel->count == 0 && open_channel->state == OPEN_CHANNEL_OPEN) close_soon(open_channel);
}

void open_channel_abandon(struct script *script, struct bytes name) {
  struct open_channel *open_channel = find_open_channel(script, name);
  if (open_channel && open_channel->state == OPEN_CHANNEL_OPENING && list_empty(&open_channel->waiters))
    question_cancel(&open_channel->request);
}

void open_channel_note_late(struct open_channel *open_channel) {
  if (!open_channel) return;
  for (struct list *link = open_channel->waiters.next; link != &open_channel->waiters; link = link->next)
    joining_note_late(container_of(link, struct script_job, task.link));
}

/* Admits, or refuses, all that waited. While it does so, each may leave, or join again. */
static void settle_open_channel(struct open_channel *open_channel, bool let_in) {
  struct script *script = open_channel->script;
  struct list waiters;
  list_init(&waiters);
  while (!list_empty(&open_channel->waiters)) {
    struct list *link = open_channel->waiters.next;
    list_remove(link);
    list_append(&waiters, link);
    if (let_in) open_channel->count++;
  }
  int status = open_channel->status;
  char code[sizeof open_channel->code], reason[sizeof open_channel->reason];
  memcpy(code, open_channel->code, sizeof code);
  memcpy(reason, open_channel->reason, sizeof reason);
  if (!let_in)
    destroy_open_channel(open_channel);
  else if (open_channel->count == 0)
    close_soon(open_channel);
  while (!list_empty(&waiters)) {
    struct script_job *job = container_of(waiters.next, struct script_job, task.link);
    list_remove(&job->task.link);
    if (!let_in) job_refuse(job, status, code, reason);
    /* A job inside the loop of its steps sees for itself that it no longer waits. */
    if (!job->running) joining_resume(script, job);
  }
}

static void take_open_channel_answer(struct open_channel *open_channel) {
  /* An opening that was cancelled, and given up therefore, says nothing about jobs that came
   * later. */
  bool given_up = open_channel->refused && open_channel->request.cancelled && !list_empty(&open_channel->waiters);
  if (!open_channel->script) {
    destroy_open_channel(open_channel);
  } else if (open_channel->state == OPEN_CHANNEL_OPENING && given_up && !app_stopping(open_channel->script->app)) {
    ask_open_channel(open_channel, OPEN_CHANNEL_OPENING);
  } else if (open_channel->state == OPEN_CHANNEL_OPENING) {
    if (!open_channel->refused) open_channel->state = OPEN_CHANNEL_OPEN;
    settle_open_channel(open_channel, !open_channel->refused);
  } else if (list_empty(&open_channel->waiters)) {
    destroy_open_channel(open_channel);
  } else {
    ask_open_channel(open_channel, OPEN_CHANNEL_OPENING);
  }
}

void open_channel_stop_all(struct script *script) {
  size_t cursor = 0;
  struct open_channel *open_channel;
  while ((open_channel = table_next(&script->open_channels, &cursor))) {
    if (open_channel->state != OPEN_CHANNEL_LINGERING) continue;
    on_linger(open_channel);
    cursor = 0;
  }
}

void open_channel_free_all(struct script *script) {
  size_t cursor = 0;
  struct open_channel *open_channel;
  while ((open_channel = table_next(&script->open_channels, &cursor))) {
    while (!list_empty(&open_channel->waiters)) {
      struct script_job *job = container_of(open_channel->waiters.next, struct script_job, task.link);
      list_remove(&job->task.link);
      job_unref(job);
    }
    alarm_free(open_channel->linger);
    open_channel->linger = NULL;
    table_remove(&script->open_channels, open_channel->name);
    release_count(open_channel);
    open_channel->script = NULL;
    if (!open_channel->request.waiting) destroy_open_channel(open_channel);
    cursor = 0;
  }
}
