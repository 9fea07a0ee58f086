#include "script/leaving.h"

#include "app/socket.h"
#include "base/memory.h"
#include "script/open_channel.h"
#include "script/presence/presence.h"
#include "script/question.h"
#include "script/script.h"
#include "script/task.h"

static struct leaving *leaving_of(struct script_task *task) { return container_of(task, struct leaving, task); }

static void run_leaving(struct script *script, struct leaving *leaving);
static void run_leaving_task(struct script *script, struct script_task *task) { run_leaving(script, leaving_of(task)); }
static void drop_leaving(struct script_task *task) { leaving_free(leaving_of(task)); }
static void on_leaving_answer(struct mw_request *request) {
  struct leaving *leaving = request->leaving;
  if (!request->script) {
    leaving_free(leaving);
  } else if (!leaving->running) {
    run_leaving(request->script, leaving);
  }
}

static const struct script_task_class task_class = {.run = run_leaving_task, .drop = drop_leaving};

static void init_leaving(struct leaving *leaving) {
  *leaving = (struct leaving){.request = {.leaving = leaving, .on_answer = on_leaving_answer}};
  leaving->task = (struct script_task){.class = &task_class, .request = &leaving->request};
  list_init(&leaving->task.link);
  list_init(&leaving->task.followers);
  list_init(&leaving->request.link);
}

static void release_leaving(struct leaving *leaving) {
  while (leaving->memberships) {
    struct membership *membership = leaving->memberships;
    leaving->memberships = membership->next;
    membership_free(membership);
  }
  mw_socket_unref(leaving->socket);
  leaving->socket = NULL;
}

void leaving_free(struct leaving *leaving) {
  if (!leaving) return;
  release_leaving(leaving);
  mw_client_unref(leaving->task.client);
  if (leaving->job) {
    job_unref(leaving->job);
  } else {
    memory_free(leaving);
  }
}

bool leaving_prepare(struct script *script) {
  if (!script->spare) script->spare = memory_alloc(sizeof *script->spare);
  return script->spare != NULL;
}

static struct leaving *take_spare(struct script *script) {
  struct leaving *leaving = script->spare;
  script->spare = NULL;
  init_leaving(leaving);
  return leaving;
}

/* Finds the question about the first membership. Returns false if the app needs none. */
static bool find_question(const struct leaving *leaving, enum mw_request_type *type) {
  const struct membership *membership = leaving->memberships;
  if (!membership) {
    *type = MW_REQUEST_SOCKET_CLOSE;
    return leaving->socket != NULL;
  }
  *type = membership->undo & MEMBERSHIP_JOINED ? MW_REQUEST_LEAVE : MW_REQUEST_DISCONNECT;
  return membership->undo & MEMBERSHIP_JOINED ||
         (membership->undo & MEMBERSHIP_CONNECTED && membership->config->options.disconnects);
}

/* True if the app's answer is still to come. Any answer lets it continue. */
static bool tell_leaving(struct script *script, struct leaving *leaving) {
  enum mw_request_type type;
  leaving->asked = true;
  if (leaving->memberships) presence_leave(script, leaving->memberships);
  if (!find_question(leaving, &type)) return false;
  if (type == MW_REQUEST_DISCONNECT) membership_reason(leaving->memberships, leaving->reason);
  question_ask(script, &leaving->request, type);
  return leaving->request.waiting;
}

/* The app has answered for the first membership, or for the socket: takes the next. */
static void step_leaving(struct script *script, struct leaving *leaving) {
  struct membership *membership = leaving->memberships;
  leaving->asked = false;
  if (!membership) {
    mw_socket_unref(leaving->socket);
    leaving->socket = NULL;
    return;
  }
  if (membership->undo & MEMBERSHIP_OPENED) open_channel_leave(script, membership_name(membership));
  leaving->memberships = membership->next;
  membership_free(membership);
}

static void finish_leaving(struct script *script, struct leaving *leaving) {
  struct mw_client *client = leaving->task.client;
  struct script_job *job = leaving->job;
  leaving->running = false;
  task_done(script, &leaving->task);
  mw_client_unref(client);
  if (job) {
    job_unref(job);
  } else if (script->spare) {
    memory_free(leaving);
  } else {
    /* Mail may have waited for it. */
    script->spare = leaving;
    loop_wake(script->loop);
  }
}

static void run_leaving(struct script *script, struct leaving *leaving) {
  leaving->running = true;
  while (leaving->memberships || leaving->socket) {
    if (!leaving->asked && tell_leaving(script, leaving)) {
      leaving->running = false;
      return;
    }
    step_leaving(script, leaving);
  }
  finish_leaving(script, leaving);
}

/* The client stays until it has ended: its task may be this one. */
static void begin_leaving(struct script *script, struct leaving *leaving, struct mw_client *client) {
  leaving->task.client = mw_client_ref(client);
  if (!task_must_wait(&leaving->task)) run_leaving(script, leaving);
}

void leaving_take_membership(struct script *script, struct membership *membership) {
  struct leaving *leaving = take_spare(script);
  membership->next = NULL;
  leaving->memberships = membership;
  begin_leaving(script, leaving, membership->client);
}

void leaving_take_socket(struct script *script, struct mw_socket *socket) {
  struct leaving *leaving = take_spare(script);
  struct script_task *task = socket->client->task;
  atomic_store(&socket->client->gone, true);
  if (task && task->request) question_cancel(task->request);
  leaving->socket = socket;
  begin_leaving(script, leaving, socket->client);
}

void leaving_take_job(struct script *script, struct script_job *job, struct membership *memberships) {
  struct leaving *leaving = &job->leaving;
  init_leaving(leaving);
  leaving->memberships = memberships;
  leaving->job = job;
  leaving->task.client = job->client ? mw_client_ref(job->client) : NULL;
  task_replace(&job->task, &leaving->task);
  run_leaving(script, leaving);
}
