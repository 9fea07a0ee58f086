#include "script/script.h"

#include "app/socket.h"
#include "base/memory.h"
#include "script/follow.h"
#include "script/joining.h"
#include "script/leaving.h"
#include "script/open_channel.h"
#include "script/presence/presence.h"
#include "script/question.h"
#include "script/task.h"

int script_init(struct script *script, struct app *app, struct loop *loop) {
  *script = (struct script){.app = app, .loop = loop};
  list_init(&script->asked);
  list_init(&script->ready);
  table_init(&script->open_channels);
  table_init(&script->presences);
  send_keys_init(&script->send_keys);
  tickets_init(&script->tickets);
  int status = mailbox_init(&script->queue, loop, app->config->options.limits.queue);
  if (status == 0) overrun_init(&script->handler);
  return status;
}

/* ---- The queue ------------------------------------------------------------------------------- */

static struct script_job *job_of_mail(struct mail *mail) { return container_of(mail, struct script_job, mail); }
static struct script_job *cancelled_of(struct mail *mail) { return container_of(mail, struct script_job, cancel); }
static struct mw_socket *socket_of(struct mail *mail) { return container_of(mail, struct mw_socket, left); }
static struct membership *membership_of(struct mail *mail) { return container_of(mail, struct membership, mail); }

static void take_begin(struct mail *mail, void *room, struct subscriber *none) {
  (void)none;
  joining_begin(room, job_of_mail(mail));
}

static void take_cancel(struct mail *mail, void *room, struct subscriber *none) {
  (void)none;
  joining_cancel(room, cancelled_of(mail));
}

static void take_stream_end(struct mail *mail, void *room, struct subscriber *none) {
  (void)room;
  (void)none;
  job_drop(job_of_mail(mail));
}

static void take_socket_leave(struct mail *mail, void *room, struct subscriber *none) {
  (void)none;
  leaving_take_socket(room, socket_of(mail));
}

static void take_leave(struct mail *mail, void *room, struct subscriber *none) {
  (void)none;
  leaving_take_membership(room, membership_of(mail));
}

static void drop_begin(struct mail *mail) { job_unref(job_of_mail(mail)); }
static void drop_cancel(struct mail *mail) { job_unref(cancelled_of(mail)); }
static void drop_stream_end(struct mail *mail) { job_drop(job_of_mail(mail)); }
static void drop_socket_leave(struct mail *mail) { mw_socket_unref(socket_of(mail)); }
static void drop_leave(struct mail *mail) { membership_free(membership_of(mail)); }

static const struct mail_class begin_class = {.take = take_begin, .drop = drop_begin};
static const struct mail_class cancel_class = {.take = take_cancel, .drop = drop_cancel};
static const struct mail_class stream_end_class = {.take = take_stream_end, .drop = drop_stream_end};
static const struct mail_class socket_leave_class = {.take = take_socket_leave, .drop = drop_socket_leave};
static const struct mail_class leave_class = {.take = take_leave, .drop = drop_leave};

/* Mail of size 0 always finds room: the work in progress is bounded by limits.waiting and
 * limits.queue before it is posted. */
static void post_to_script(struct script *script, struct mail *mail, const struct mail_class *class) {
  mail->class = class;
  mailbox_post(&script->queue, mail);
}

void script_post_begin(struct script *script, struct script_job *job) { post_to_script(script, &job->mail, &begin_class); }
void script_post_cancel(struct script *script, struct script_job *job) { post_to_script(script, &job->cancel, &cancel_class); }
void script_post_stream_end(struct script *script, struct script_job *job) {
  post_to_script(script, &job->mail, &stream_end_class);
}
void script_post_follow_end(struct script *script, struct mw_follow *follow) {
  post_to_script(script, &follow->mail, &follow_ended_class);
}
void script_post_socket_leave(struct script *script, struct mw_socket *socket) {
  post_to_script(script, &socket->left, &socket_leave_class);
}
void script_post_leave(struct script *script, struct membership *membership) {
  post_to_script(script, &membership->mail, &leave_class);
}

void script_post(struct script *script, struct script_job *job) {
  /* called on a worker's thread */
  if (atomic_load(&script->app->job_count) >= script->app->config->options.limits.waiting) {
    limit_count(&script->app->limits, MW_LIMIT_WAITING);
    job_unref(job);
    return;
  }
  atomic_fetch_add(&script->app->job_count, 1);
  atomic_fetch_add(&script->app->job_bytes, job_size(job));
  script_post_begin(script, job);
}

void script_drain(struct script *script) {
  struct mail *mail;
  while (leaving_prepare(script) && (mail = mailbox_take(&script->queue)) != NULL) mail->class->take(mail, script, NULL);
}

/* ---- Waiting too long, and the end ----------------------------------------------------------- */

void script_second(struct script *script) {
  uint64_t now = script->loop->clock.now_ms;
  struct mw_config *config = app_hold_config(script->app);
  uint64_t answer_ms = config->options.limits.answer_ms;
  mw_config_unref(config);
  tickets_expire(&script->tickets, now);
  /* Cancelling may answer, which takes requests off the list: start again after each. */
  for (struct list *link = script->asked.next; link != &script->asked;) {
    struct mw_request *request = container_of(link, struct mw_request, link);
    if (now < request->asked_ms + answer_ms) return;
    link = link->next;
    if (request->cancelled) continue;
    limit_count(&script->app->limits, MW_LIMIT_ANSWER_SECONDS);
    joining_note_late(request->job);
    open_channel_note_late(request->open_channel);
    question_cancel(request);
    link = script->asked.next;
  }
}

void script_cancel_all(struct script *script) {
  for (struct list *link = script->asked.next; link != &script->asked;) {
    struct mw_request *request = container_of(link, struct mw_request, link);
    link = link->next;
    if (request->cancelled) continue;
    question_cancel(request);
    link = script->asked.next;
  }
}

bool script_idle(struct script *script) {
  return list_empty(&script->asked) && script->open_channels.count == 0 && mailbox_empty(&script->queue);
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

void script_deinit(struct script *script) {
  overrun_deinit(&script->handler);
  mailbox_drop(&script->queue);
  open_channel_free_all(script);
  presence_free_all(script);
  drop_key_waiters(script);
  while (!list_empty(&script->asked)) {
    struct mw_request *request = container_of(script->asked.next, struct mw_request, link);
    list_remove(&request->link);
    request->script = NULL;
    if (request->job) task_drop_followers(request->job->client);
    if (request->leaving) task_drop_followers(request->leaving->task.client);
  }
  memory_free(script->spare);
  send_keys_deinit(&script->send_keys);
  tickets_deinit(&script->tickets);
  table_deinit(&script->open_channels);
  table_deinit(&script->presences);
  mailbox_deinit(&script->queue);
}
