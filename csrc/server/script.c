#include "server/script.h"

#include <stdio.h>

#include "base/log_limit.h"
#include "base/memory.h"
#include "server/occupancy.h"
#include "server/presence.h"
#include "server/server.h"
#include "server/socket.h"

/* What is to be done with a job. */
enum script_task { TASK_BEGIN, TASK_CANCEL, TASK_LEAVE };

int script_init(struct script *script, struct loop *loop, size_t limit) {
  *script = (struct script){.lets_go = false};
  list_init(&script->asked);
  list_init(&script->ready);
  table_init(&script->occupancies);
  table_init(&script->presences);
  send_keys_init(&script->send_keys);
  int status = mailbox_init(&script->queue, loop, limit);
  if (status == 0) overrun_init(&script->handler);
  return status;
}

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

/* One job of a client at a time, in the order in which they came: true if this one must wait. */
static bool must_queue(struct script_job *job, enum script_task task) {
  struct mw_client *client = job->client;
  if (!client || client->job == job) return false;
  if (!client->job) {
    client->job = job;
    return false;
  }
  job->backlog_type = task;
  list_append(&client->waiting, &job->link);
  return true;
}

static void dispatch(struct mw_server *server, enum script_task task, struct script_job *job);

/* One after the other, not one inside the other: there may be thousands, each answered at once. */
static void run_ready(struct mw_server *server) {
  struct script *script = &server->script;
  if (script->lets_go) return;
  script->lets_go = true;
  while (!list_empty(&script->ready)) {
    struct script_job *next = container_of(script->ready.next, struct script_job, link);
    list_remove(&next->link);
    dispatch(server, next->backlog_type, next);
  }
  script->lets_go = false;
}

/* The job is done with, for now: on with the next of its client, and with what waited for its answer. */
static void let_next(struct mw_server *server, struct script_job *job) {
  struct mw_client *client = job->client;
  if (client && client->job == job) {
    client->job = NULL;
    if (!list_empty(&client->waiting)) {
      struct script_job *next = container_of(client->waiting.next, struct script_job, link);
      list_remove(&next->link);
      client->job = next;
      list_append(&server->script.ready, &next->link);
    }
  }
  run_ready(server);
}

/* The request has been read by whoever had to: nothing of it stays with the client that it brought. */
static void release_http(struct mw_server *server, struct script_job *job) {
  if (!job->http) return;
  atomic_fetch_sub(&server->app.job_bytes, job->http->size);
  memory_free(job->http);
  job->http = NULL;
}

/* Sends the answer to the worker; the reference goes with it. */
static void send_answer(struct mw_server *server, struct script_job *job) {
  job_settle_key(job, &server->script.send_keys, server->loop.clock.now_ms, &server->script.ready);
  release_http(server, job);
  atomic_fetch_sub(&server->app.job_count, 1);
  atomic_fetch_sub(&server->app.job_bytes, job_size(job));
  job->mail.class = job->answered;
  mailbox_post(&server->workers[job->mail.to.worker].fifo, &job->mail);
}

/* A relayed event that carries a key: its answer must be known here. */
static void publish_relayed(struct mw_server *server, struct script_job *job) {
  const struct job_channel *channel = &job->channels[0];
  const struct mw_message *message = &job->message;
  const struct mw_bytes *data = message->is_binary ? &message->binary : &message->data;
  struct bytes event = bytes_of(message->event.ptr, message->event.len);
  struct message_parts parts = {.channel = channel->name,
                                .event = event,
                                .data = bytes_of(data->ptr, data->len),
                                .from = client_user_id(job->client),
                                .is_binary = message->is_binary};
  if (!job->transient) parts.except = bytes_of(job->client->id, CLIENT_ID_LEN);
  bool keeps = config_event(channel->kind, event)->keep;
  char id[MW_ID_MAX], value[64];
  int status = server->app.orderer->publish(server->app.orderer, channel->kind, &parts, !keeps, id);
  if (status < 0) {
    job_refuse(job, 503, "unavailable", order_fault(status));
  } else if (keeps) {
    int len = snprintf(value, sizeof value, "{\"id\":\"%s\"}", id);
    job->body = blob_new(bytes_of(value, (size_t)len));
  }
}

/* A message with a key: the first is for the app, or relayed; others get its answer. */
static enum send_key_turn enter_key(struct mw_server *server, struct script_job *job) {
  enum send_key_turn turn = job_enter_key(job, &server->script.send_keys, server->loop.clock.now_ms);
  job->backlog_type = TASK_BEGIN; /* how one that waits goes on */
  if (turn == SEND_KEY_WAITS || !job->relayed) return turn;
  if (turn == SEND_KEY_FIRST) publish_relayed(server, job);
  job->relayed = false; /* nothing is left for the worker to do */
  return SEND_KEY_ANSWERED;
}

/* Puts the question of the job's step, if there is one. True if its answer is still to come. */
static bool put_question(struct mw_server *server, struct script_job *job) {
  struct job_channel *channel = job->at < job->channel_count ? &job->channels[job->at] : NULL;
  unsigned hooks = channel ? channel->kind->hooks : 0;
  const struct mw_config_options *options = &job->config->options;
  enum mw_request_type type;
  switch (job->step) {
    case STEP_AUTHENTICATE:
      if (!job->http || !options->authenticate) return false;
      type = MW_REQUEST_AUTHENTICATE;
      break;
    case STEP_CONNECT:
      if (!job->connects || !options->connects) return false;
      type = MW_REQUEST_CONNECT;
      break;
    case STEP_AUTHORIZE:
      /* Who sends is subscribed, and was authorized then, unless it comes just for this message. */
      if (!(hooks & MW_HOOK_AUTHORIZE) || (job->type == JOB_MESSAGE && !job->transient)) return false;
      type = MW_REQUEST_AUTHORIZE;
      break;
    case STEP_OPEN: return (hooks & (MW_HOOK_OPEN | MW_HOOK_CLOSE)) && occupancy_enter(server, job);
    case STEP_JOIN:
      if (!(hooks & MW_HOOK_JOIN)) return false;
      type = MW_REQUEST_JOIN;
      break;
    case STEP_SLOW: type = MW_REQUEST_SLOW; break;
    case STEP_PRESENCE:
      job->at = presence_unknown(server, job);
      if (job->at == job->channel_count) return false;
      type = MW_REQUEST_PRESENCE;
      break;
    case STEP_MESSAGE:
      if (job->transient && channel->is_new && !names_allow_client(server, job->client, 1)) {
        job_refuse(job, 503, "unavailable", names_refusal);
        return false;
      }
      if (job->idempotency_key.len > 0) {
        enum send_key_turn turn = enter_key(server, job);
        if (turn != SEND_KEY_FIRST) return turn == SEND_KEY_WAITS;
      } else if (job->relayed) {
        return false; /* it has passed: the worker publishes it */
      }
      type = MW_REQUEST_MESSAGE;
      break;
    case STEP_SOCKET: type = MW_REQUEST_WEBSOCKET; break;
    case STEP_SOCKET_CLOSE: type = MW_REQUEST_SOCKET_CLOSE; break;
    case STEP_LEAVE:
      if (channel) presence_leave(server, channel);
      if (!channel || !channel->joined) return false;
      type = MW_REQUEST_LEAVE;
      break;
    case STEP_DISCONNECT:
      if (!job->connected || !options->disconnects) return false;
      type = MW_REQUEST_DISCONNECT;
      break;
    default: return false;
  }
  script_ask(server, &job->request, type);
  return job->request.waiting;
}

/* The step's question is settled: on to the next. */
static void take_step(struct mw_server *server, struct script_job *job) {
  struct job_channel *channel = job->at < job->channel_count ? &job->channels[job->at] : NULL;
  bool last = job->at + 1 >= job->channel_count;
  const struct mw_config_options *options = &job->config->options;
  switch (job->step) {
    case STEP_AUTHENTICATE:
      if (job->type != JOB_SOCKET) release_http(server, job);
      job->step = job->type == JOB_SOCKET ? STEP_SOCKET : STEP_CONNECT;
      return;
    case STEP_CONNECT:
      job->connected = job->connects && (options->connects || options->disconnects);
      job->step = job->channel_count > 0 ? STEP_AUTHORIZE : STEP_JOINED;
      return;
    case STEP_AUTHORIZE:
      job->at = last ? 0 : job->at + 1;
      if (last) job->step = job->type == JOB_MESSAGE ? STEP_MESSAGE : STEP_OPEN;
      return;
    case STEP_OPEN:
      channel->opened = (channel->kind->hooks & (MW_HOOK_OPEN | MW_HOOK_CLOSE)) != 0;
      job->step = STEP_JOIN;
      return;
    case STEP_JOIN:
      channel->joined = (channel->kind->hooks & MW_HOOK_LEAVE) != 0;
      job->at = last ? 0 : job->at + 1;
      job->step = last ? STEP_PRESENCE : STEP_OPEN;
      return;
    case STEP_PRESENCE:
      /* Members are counted in all at once, behind everything that could refuse. */
      if (presence_unknown(server, job) < job->channel_count) return;
      presence_enter(server, job);
      job->at = 0;
      if (job->status == 0) job->step = STEP_JOINED;
      return;
    case STEP_SLOW:
    case STEP_MESSAGE: job->step = STEP_JOINED; return;
    case STEP_LEAVE:
      if (channel && channel->opened) occupancy_leave(server, channel->name);
      if (channel) channel->opened = channel->joined = false;
      job->at++;
      if (last) job->step = STEP_DISCONNECT;
      return;
    case STEP_DISCONNECT:
      job->connected = false;
      job->step = job->socket ? STEP_SOCKET_CLOSE : STEP_OVER;
      return;
    case STEP_SOCKET_CLOSE: job->step = STEP_OVER; return;
    case STEP_SOCKET: /* answer_job's */
    case STEP_JOINED:
    case STEP_OVER: return;
  }
}

/* Undoes what was joined so far; a refusal is told first. */
static void turn_back(struct mw_server *server, struct script_job *job) {
  bool of_channel = job->step >= STEP_AUTHORIZE && job->step <= STEP_PRESENCE && job->at < job->channel_count;
  job->refused = of_channel ? &job->channels[job->at] : NULL;
  send_answer(server, job_ref(job));
  job->step = job->channel_count > 0 ? STEP_LEAVE : STEP_DISCONNECT;
  job->at = 0;
}

static void run_join(struct mw_server *server, struct script_job *job) {
  job->running = true;
  while (job->step != STEP_OVER) {
    bool refused = job->status != 0 || atomic_load(&job->cancelled);
    if (job->step < STEP_JOINED && refused) turn_back(server, job);
    if (job->step == STEP_JOINED) {
      job->status = 200;
      job->running = false;
      send_answer(server, job_ref(job));
      break;
    }
    bool waits = put_question(server, job);
    if (waits) {
      job->running = false;
      return;
    }
    if (job->step > STEP_JOINED || job->status == 0) take_step(server, job);
  }
  job->running = false;
  let_next(server, job);
  job_unref(job);
}

void script_resume(struct mw_server *server, struct script_job *job) {
  if (job->status == 0) take_step(server, job);
  run_join(server, job);
}

static void answer_job(struct mw_server *server, struct script_job *job) {
  if (job->type == JOB_SOCKET_MESSAGE) {
    if (job->status == 0) job->status = 200;
    if (job->status != 200) job->socket->closing = true;
  }
  if (job->type == JOB_HTTP || job->type == JOB_STREAM || job->type == JOB_SOCKET_MESSAGE) {
    send_answer(server, job_ref(job));
    let_next(server, job);
    job_unref(job);
  } else if (job->step == STEP_SOCKET && job->socket) {
    /* Told before anything that the app sends to it. */
    job->status = 200;
    send_answer(server, job_ref(job));
    job->step = STEP_OVER;
    if (!job->running) run_join(server, job);
  } else if (!job->running) {
    /* Answered later than asked. A leave goes on whatever was said. */
    if (job->step > STEP_JOINED || job->status == 0) take_step(server, job);
    run_join(server, job);
  }
}

void script_answered(struct mw_request *request) {
  struct mw_server *server = request->server;
  list_remove(&request->link);
  request->waiting = false;
  if (request->occupancy) {
    occupancy_answered(request->occupancy);
  } else if (server) {
    answer_job(server, request->job);
  } else {
    job_unref(request->job);
  }
  /* Stopping may have waited for just this answer, which may come outside any turn. */
  if (server && app_stopping(&server->app)) loop_wake(&server->loop);
}

void script_post(struct mw_server *server, struct script_job *job) {
  if (atomic_load(&server->app.job_count) >= server->app.config->options.limits.waiting) {
    job_unref(job);
    return;
  }
  atomic_fetch_add(&server->app.job_count, 1);
  atomic_fetch_add(&server->app.job_bytes, job_size(job));
  script_post_begin(server, job);
}

static void ask_message(struct mw_server *server, struct script_job *job) {
  /* The app has closed it, or failed at what came before. */
  if (job->socket->closing) {
    answer_job(server, job);
    return;
  }
  job_ref(job);
  script_ask(server, &job->request, MW_REQUEST_SOCKET_MESSAGE);
  /* What a peer said before it went is still heard, but nobody waits for the handler. */
  if (job->request.waiting && atomic_load(&job->client->gone)) script_cancel_request(&job->request);
  job_unref(job);
}

static void begin(struct mw_server *server, struct script_job *job) {
  if (job->by_app) {
    job->step = STEP_PRESENCE;
    run_join(server, job);
    return;
  }
  if (must_queue(job, TASK_BEGIN)) return;
  if (job->type <= JOB_SLOW || job->type == JOB_SOCKET) {
    run_join(server, job);
  } else if (job->type == JOB_SOCKET_MESSAGE) {
    ask_message(server, job);
  } else if (atomic_load(&job->cancelled)) {
    answer_job(server, job);
  } else {
    script_ask(server, &job->request, job->type == JOB_HTTP ? MW_REQUEST_HTTP : MW_REQUEST_STREAM);
  }
}

static void cancel(struct mw_server *server, struct script_job *job) {
  /* The handler of a send with a key goes on: its client will ask what came of it, from another connection. */
  if (!job->send_key) script_cancel_request(&job->request);
  /* One that waits for a channel to open goes back now; one that waits for its turn sees it when that comes. */
  if (!list_empty(&job->link) && job->step == STEP_OPEN) {
    list_remove(&job->link);
    occupancy_abandon(server, job->channels[job->at].name);
    run_join(server, job);
  } else if (!list_empty(&job->link) && job->step == STEP_MESSAGE) {
    list_remove(&job->link);
    run_join(server, job);
  }
  job_unref(job);
}

static void leave(struct mw_server *server, struct script_job *job) {
  if (job->type == JOB_STREAM) {
    job_end_stream(job);
    job_unref(job);
    return;
  }
  if (job->type == JOB_SOCKET) {
    struct script_job *asked = job->client->job;
    atomic_store(&job->client->gone, true);
    if (asked && asked != job) script_cancel_request(&asked->request);
  }
  if (must_queue(job, TASK_LEAVE)) return;
  job->step = job->channel_count > 0 ? STEP_LEAVE : STEP_DISCONNECT;
  job->at = 0;
  run_join(server, job);
}

static void dispatch(struct mw_server *server, enum script_task task, struct script_job *job) {
  switch (task) {
    case TASK_BEGIN: begin(server, job); break;
    case TASK_CANCEL: cancel(server, job); break;
    case TASK_LEAVE: leave(server, job); break;
  }
}

/* ---- The queue ------------------------------------------------------------------------------------------------------------ */

static struct script_job *job_of(struct mail *mail) { return container_of(mail, struct script_job, mail); }

static void take_begin(struct mail *mail, void *room, struct subscriber *subscriber) {
  (void)subscriber;
  dispatch(room, TASK_BEGIN, job_of(mail));
}

static void take_cancel(struct mail *mail, void *room, struct subscriber *subscriber) {
  (void)subscriber;
  dispatch(room, TASK_CANCEL, container_of(mail, struct script_job, cancel));
}

static void take_leave(struct mail *mail, void *room, struct subscriber *subscriber) {
  (void)subscriber;
  dispatch(room, TASK_LEAVE, job_of(mail));
}

static void drop_begin(struct mail *mail) { job_unref(job_of(mail)); }
static void drop_cancel(struct mail *mail) { job_unref(container_of(mail, struct script_job, cancel)); }

static void drop_leave(struct mail *mail) { job_drop(job_of(mail)); }

static const struct mail_class begin_class = {.take = take_begin, .drop = drop_begin};
static const struct mail_class cancel_class = {.take = take_cancel, .drop = drop_cancel};
static const struct mail_class leave_class = {.take = take_leave, .drop = drop_leave};

/* What counts nothing always finds room: what is under way is bounded by limits.waiting and limits.queue before it is posted. */
static void post(struct mw_server *server, struct mail *mail, const struct mail_class *class) {
  mail->class = class;
  mailbox_post(&server->script.queue, mail);
}

void script_post_begin(struct mw_server *server, struct script_job *job) { post(server, &job->mail, &begin_class); }
void script_post_cancel(struct mw_server *server, struct script_job *job) { post(server, &job->cancel, &cancel_class); }
void script_post_leave(struct mw_server *server, struct script_job *job) { post(server, &job->mail, &leave_class); }

void script_drain(struct mw_server *server) {
  struct mail *mail;
  while ((mail = mailbox_take(&server->script.queue)) != NULL) mail->class->take(mail, server, NULL);
}

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

void script_stop(struct mw_server *server) {
  for (struct list *link = server->script.asked.next; link != &server->script.asked;) {
    struct mw_request *request = container_of(link, struct mw_request, link);
    link = link->next;
    if (request->cancelled) continue;
    script_cancel_request(request);
    link = server->script.asked.next;
  }
  occupancy_stop_all(server);
}

bool script_idle(struct mw_server *server) {
  struct script *script = &server->script;
  return list_empty(&script->asked) && script->occupancies.count == 0 && mailbox_empty(&script->queue);
}

/* Drops the jobs that wait behind another of their client. */
static void drop_waiting(struct mw_client *client) {
  while (client && !list_empty(&client->waiting)) {
    struct script_job *job = container_of(client->waiting.next, struct script_job, link);
    list_remove(&job->link);
    job_unref(job);
  }
}

void script_deinit(struct mw_server *server) {
  struct script *script = &server->script;
  overrun_deinit(&script->handler);
  mailbox_drop(&script->queue);
  occupancy_free_all(server);
  presence_free_all(server);
  struct list *waiter;
  while ((waiter = send_keys_take_waiter(&script->send_keys))) {
    struct script_job *job = container_of(waiter, struct script_job, link);
    drop_waiting(job->client);
    job_unref(job);
  }
  while (!list_empty(&script->asked)) {
    struct mw_request *request = container_of(script->asked.next, struct mw_request, link);
    list_remove(&request->link);
    request->server = NULL;
    if (request->job) drop_waiting(request->job->client);
  }
  send_keys_deinit(&script->send_keys);
  table_deinit(&script->occupancies);
  table_deinit(&script->presences);
  mailbox_deinit(&script->queue);
}
