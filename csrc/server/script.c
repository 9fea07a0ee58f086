#include "server/script.h"

#include "app/socket.h"
#include "base/memory.h"
#include "server/joining.h"
#include "server/leaving.h"
#include "server/occupancy.h"
#include "server/presence.h"
#include "server/server.h"
#include "server/task.h"

int script_init(struct script *script, struct loop *loop, size_t limit) {
  *script = (struct script){.spare = NULL};
  list_init(&script->asked);
  list_init(&script->ready);
  table_init(&script->occupancies);
  table_init(&script->presences);
  send_keys_init(&script->send_keys);
  int status = mailbox_init(&script->queue, loop, limit);
  if (status == 0) overrun_init(&script->handler);
  return status;
}

/* ---- Questions to the app ------------------------------------------------------------------------------------------------- */

void script_ask(struct mw_server *server, struct mw_request *request, enum mw_request_type type) {
  const struct mw_config_options *options = &server->app.config->options;
  request->type = type;
  request->server = server;
  request->asked_ms = server->loop.clock.now_ms;
  request->waiting = true;
  request->cancelled = false;
  request->context = NULL;
  list_append(&server->script.asked, &request->link);
  if (options->on_request) {
    options->on_request(options->context, request);
  } else {
    mw_request_fail(request);
  }
}

void script_cancel_request(struct mw_request *request) {
  if (!request->waiting || request->cancelled) return;
  request->cancelled = true;
  const struct mw_config_options *options = &request->server->app.config->options;
  if (options->on_cancel) options->on_cancel(options->context, request);
}

void script_answered(struct mw_request *request) {
  struct mw_server *server = request->server;
  list_remove(&request->link);
  request->waiting = false;
  if (request->occupancy) {
    occupancy_answered(request->occupancy);
  } else if (request->leaving) {
    server ? leaving_answered(server, request->leaving) : leaving_free(request->leaving);
  } else if (server) {
    joining_answered(server, request->job);
  } else {
    job_unref(request->job);
  }
  /* Stopping may have waited for just this answer, which may come outside any turn. */
  if (server && app_stopping(&server->app)) loop_wake(&server->loop);
}

/* ---- The queue ------------------------------------------------------------------------------------------------------------ */

static struct script_job *job_of(struct mail *mail) { return container_of(mail, struct script_job, mail); }
static struct script_job *cancelled_of(struct mail *mail) { return container_of(mail, struct script_job, cancel); }
static struct mw_socket *socket_of(struct mail *mail) { return container_of(mail, struct mw_socket, left); }
static struct membership *membership_of(struct mail *mail) { return container_of(mail, struct membership, mail); }

static void take_begin(struct mail *mail, void *room, struct subscriber *none) {
  (void)none;
  joining_begin(room, job_of(mail));
}

static void take_cancel(struct mail *mail, void *room, struct subscriber *none) {
  (void)none;
  joining_cancel(room, cancelled_of(mail));
}

static void take_stream_end(struct mail *mail, void *room, struct subscriber *none) {
  (void)room;
  (void)none;
  job_drop(job_of(mail));
}

static void take_socket_leave(struct mail *mail, void *room, struct subscriber *none) {
  (void)none;
  leaving_take_socket(room, socket_of(mail));
}

static void take_leave(struct mail *mail, void *room, struct subscriber *none) {
  (void)none;
  leaving_take_membership(room, membership_of(mail));
}

static void drop_begin(struct mail *mail) { job_unref(job_of(mail)); }
static void drop_cancel(struct mail *mail) { job_unref(cancelled_of(mail)); }
static void drop_stream_end(struct mail *mail) { job_drop(job_of(mail)); }
static void drop_socket_leave(struct mail *mail) { mw_socket_unref(socket_of(mail)); }
static void drop_leave(struct mail *mail) { membership_free(membership_of(mail)); }

static const struct mail_class begin_class = {.take = take_begin, .drop = drop_begin};
static const struct mail_class cancel_class = {.take = take_cancel, .drop = drop_cancel};
static const struct mail_class stream_end_class = {.take = take_stream_end, .drop = drop_stream_end};
static const struct mail_class socket_leave_class = {.take = take_socket_leave, .drop = drop_socket_leave};
static const struct mail_class leave_class = {.take = take_leave, .drop = drop_leave};

/* What counts nothing always finds room: what is under way is bounded by limits.waiting and limits.queue before it is posted. */
static void post(struct mw_server *server, struct mail *mail, const struct mail_class *class) {
  mail->class = class;
  mailbox_post(&server->script.queue, mail);
}

void script_post_begin(struct mw_server *server, struct script_job *job) { post(server, &job->mail, &begin_class); }
void script_post_cancel(struct mw_server *server, struct script_job *job) { post(server, &job->cancel, &cancel_class); }
void script_post_stream_end(struct mw_server *server, struct script_job *job) { post(server, &job->mail, &stream_end_class); }
void script_post_socket_leave(struct mw_server *server, struct mw_socket *socket) {
  post(server, &socket->left, &socket_leave_class);
}
void script_post_leave(struct mw_server *server, struct membership *membership) { post(server, &membership->mail, &leave_class); }

void script_post(struct mw_server *server, struct script_job *job) {
  if (atomic_load(&server->app.job_count) >= server->app.config->options.limits.waiting) {
    job_unref(job);
    return;
  }
  atomic_fetch_add(&server->app.job_count, 1);
  atomic_fetch_add(&server->app.job_bytes, job_size(job));
  script_post_begin(server, job);
}

void script_drain(struct mw_server *server) {
  struct mail *mail;
  while (leaving_prepare(server) && (mail = mailbox_take(&server->script.queue)) != NULL) mail->class->take(mail, server, NULL);
}

/* ---- Waiting too long, and the end ---------------------------------------------------------------------------------------- */

void script_second(struct mw_server *server) {
  uint64_t now = server->loop.clock.now_ms;
  /* Cancelling may answer, which takes requests off the list: begin anew after each. */
  for (struct list *link = server->script.asked.next; link != &server->script.asked;) {
    struct mw_request *request = container_of(link, struct mw_request, link);
    if (now < request->asked_ms + server->app.config->options.limits.answer_ms) return;
    link = link->next;
    if (request->cancelled) continue;
    script_cancel_request(request);
    link = server->script.asked.next;
  }
}

void script_cancel_all(struct mw_server *server) {
  for (struct list *link = server->script.asked.next; link != &server->script.asked;) {
    struct mw_request *request = container_of(link, struct mw_request, link);
    link = link->next;
    if (request->cancelled) continue;
    script_cancel_request(request);
    link = server->script.asked.next;
  }
}

bool script_idle(struct mw_server *server) {
  struct script *script = &server->script;
  return list_empty(&script->asked) && script->occupancies.count == 0 && mailbox_empty(&script->queue);
}

/* Drops the jobs that wait for an answer that another one with the same key should have got. */
static void drop_key_waiters(struct script *script) {
  struct list *waiter;
  while ((waiter = send_keys_take_waiter(&script->send_keys))) {
    struct script_task *task = container_of(waiter, struct script_task, link);
    task_drop_followers(task->client);
    task->class->drop(task);
  }
}

void script_deinit(struct mw_server *server) {
  struct script *script = &server->script;
  overrun_deinit(&script->handler);
  mailbox_drop(&script->queue);
  occupancy_free_all(server);
  presence_free_all(server);
  drop_key_waiters(script);
  while (!list_empty(&script->asked)) {
    struct mw_request *request = container_of(script->asked.next, struct mw_request, link);
    list_remove(&request->link);
    request->server = NULL;
    if (request->job) task_drop_followers(request->job->client);
    if (request->leaving) task_drop_followers(request->leaving->task.client);
  }
  memory_free(script->spare);
  send_keys_deinit(&script->send_keys);
  table_deinit(&script->occupancies);
  table_deinit(&script->presences);
  mailbox_deinit(&script->queue);
}
