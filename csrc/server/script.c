#include "server/script.h"

#include <stdio.h>

#include "base/log_limit.h"
#include "base/memory.h"
#include "server/occupancy.h"
#include "server/presence.h"
#include "server/server.h"
#include "server/socket.h"
#include "server/stream_handle.h"

/* What is to be done with an errand. */
enum script_task { TASK_BEGIN, TASK_CANCEL, TASK_LEAVE };

int script_init(struct script *script, struct loop *loop, size_t limit) {
  *script = (struct script){.errand_count = 0};
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
  const struct mw_config_options *options = &server->config->options;
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
  const struct mw_config_options *options = &request->server->config->options;
  if (options->on_cancel) options->on_cancel(options->context, request);
}

/* One errand of a client at a time, in the order in which they came: true if this one must wait. */
static bool must_queue(struct errand *errand, enum script_task task) {
  struct mw_client *client = errand->client;
  if (!client || client->errand == errand) return false;
  if (!client->errand) {
    client->errand = errand;
    return false;
  }
  errand->backlog_type = task;
  list_append(&client->waiting, &errand->link);
  return true;
}

static void dispatch(struct mw_server *server, enum script_task task, struct errand *errand);

/* One after the other, not one inside the other: there may be thousands, each answered at once. */
static void run_ready(struct mw_server *server) {
  struct script *script = &server->script;
  if (script->lets_go) return;
  script->lets_go = true;
  while (!list_empty(&script->ready)) {
    struct errand *next = container_of(script->ready.next, struct errand, link);
    list_remove(&next->link);
    dispatch(server, next->backlog_type, next);
  }
  script->lets_go = false;
}

/* The errand is done with, for now: on with the next of its client, and with what waited for its answer. */
static void let_next(struct mw_server *server, struct errand *errand) {
  struct mw_client *client = errand->client;
  if (client && client->errand == errand) {
    client->errand = NULL;
    if (!list_empty(&client->waiting)) {
      struct errand *next = container_of(client->waiting.next, struct errand, link);
      list_remove(&next->link);
      client->errand = next;
      list_append(&server->script.ready, &next->link);
    }
  }
  run_ready(server);
}

/* The request has been read by whoever had to: nothing of it stays with the client that it brought. */
static void release_http(struct mw_server *server, struct errand *errand) {
  if (!errand->http) return;
  atomic_fetch_sub(&server->script.errand_bytes, errand->http->size);
  memory_free(errand->http);
  errand->http = NULL;
}

/* Sends the answer to the worker; the reference goes with it. */
static void send_answer(struct mw_server *server, struct errand *errand) {
  errand_settle_key(errand, &server->script.send_keys, server->loop.clock.now_ms, &server->script.ready);
  release_http(server, errand);
  atomic_fetch_sub(&server->script.errand_count, 1);
  atomic_fetch_sub(&server->script.errand_bytes, errand_size(errand));
  errand->mail.class = errand->answered;
  mailbox_post(&server->workers[errand->mail.to.worker].fifo, &errand->mail);
}

/* A relayed event that carries a key: its answer must be known here. */
static void publish_relayed(struct mw_server *server, struct errand *errand) {
  const struct errand_channel *channel = &errand->channels[0];
  const struct mw_message *message = &errand->message;
  const struct mw_bytes *data = message->is_binary ? &message->binary : &message->data;
  struct bytes event = bytes_of(message->event.ptr, message->event.len);
  struct message_parts parts = {.channel = channel->name,
                                .event = event,
                                .data = bytes_of(data->ptr, data->len),
                                .from = client_user_id(errand->client),
                                .is_binary = message->is_binary};
  if (!errand->transient) parts.except = bytes_of(errand->client->id, CLIENT_ID_LEN);
  bool keeps = config_event(channel->kind, event)->keep;
  char id[MW_ID_MAX], value[64];
  int status = server_publish(server, channel->kind, &parts, !keeps, id);
  if (status < 0) {
    errand_refuse(errand, 503, "unavailable", server_publish_fault(status));
  } else if (keeps) {
    int len = snprintf(value, sizeof value, "{\"id\":\"%s\"}", id);
    errand->body = blob_new(bytes_of(value, (size_t)len));
  }
}

/* A message with a key: the first is for the app, or relayed; others get its answer. */
static enum send_key_turn enter_key(struct mw_server *server, struct errand *errand) {
  enum send_key_turn turn = errand_enter_key(errand, &server->script.send_keys, server->loop.clock.now_ms);
  errand->backlog_type = TASK_BEGIN; /* how one that waits goes on */
  if (turn == SEND_KEY_WAITS || !errand->relayed) return turn;
  if (turn == SEND_KEY_FIRST) publish_relayed(server, errand);
  errand->relayed = false; /* nothing is left for the worker to do */
  return SEND_KEY_ANSWERED;
}

/* Puts the question of the errand's step, if there is one. True if its answer is still to come. */
static bool put_question(struct mw_server *server, struct errand *errand) {
  struct errand_channel *channel = errand->at < errand->channel_count ? &errand->channels[errand->at] : NULL;
  unsigned hooks = channel ? channel->kind->hooks : 0;
  const struct mw_config_options *options = &errand->config->options;
  enum mw_request_type type;
  switch (errand->step) {
    case STEP_AUTHENTICATE:
      if (!errand->http || !options->authenticate) return false;
      type = MW_REQUEST_AUTHENTICATE;
      break;
    case STEP_CONNECT:
      if (!errand->connects || !options->connects) return false;
      type = MW_REQUEST_CONNECT;
      break;
    case STEP_AUTHORIZE:
      /* Who sends is subscribed, and was authorized then, unless it comes just for this message. */
      if (!(hooks & MW_HOOK_AUTHORIZE) || (errand->type == ERRAND_MESSAGE && !errand->transient)) return false;
      type = MW_REQUEST_AUTHORIZE;
      break;
    case STEP_OPEN: return (hooks & (MW_HOOK_OPEN | MW_HOOK_CLOSE)) && occupancy_enter(server, errand);
    case STEP_JOIN:
      if (!(hooks & MW_HOOK_JOIN)) return false;
      type = MW_REQUEST_JOIN;
      break;
    case STEP_SLOW: type = MW_REQUEST_SLOW; break;
    case STEP_PRESENCE:
      errand->at = presence_unknown(server, errand);
      if (errand->at == errand->channel_count) return false;
      type = MW_REQUEST_PRESENCE;
      break;
    case STEP_MESSAGE:
      if (errand->transient && channel->is_new && !names_allow_client(server, errand->client, 1)) {
        errand_refuse(errand, 503, "unavailable", names_refusal);
        return false;
      }
      if (errand->idempotency_key.len > 0) {
        enum send_key_turn turn = enter_key(server, errand);
        if (turn != SEND_KEY_FIRST) return turn == SEND_KEY_WAITS;
      } else if (errand->relayed) {
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
      if (!errand->connected || !options->disconnects) return false;
      type = MW_REQUEST_DISCONNECT;
      break;
    default: return false;
  }
  script_ask(server, &errand->request, type);
  return errand->request.waiting;
}

/* The step's question is settled: on to the next. */
static void take_step(struct mw_server *server, struct errand *errand) {
  struct errand_channel *channel = errand->at < errand->channel_count ? &errand->channels[errand->at] : NULL;
  bool last = errand->at + 1 >= errand->channel_count;
  const struct mw_config_options *options = &errand->config->options;
  switch (errand->step) {
    case STEP_AUTHENTICATE:
      if (errand->type != ERRAND_SOCKET) release_http(server, errand);
      errand->step = errand->type == ERRAND_SOCKET ? STEP_SOCKET : STEP_CONNECT;
      return;
    case STEP_CONNECT:
      errand->connected = errand->connects && (options->connects || options->disconnects);
      errand->step = errand->channel_count > 0 ? STEP_AUTHORIZE : STEP_JOINED;
      return;
    case STEP_AUTHORIZE:
      errand->at = last ? 0 : errand->at + 1;
      if (last) errand->step = errand->type == ERRAND_MESSAGE ? STEP_MESSAGE : STEP_OPEN;
      return;
    case STEP_OPEN:
      channel->opened = (channel->kind->hooks & (MW_HOOK_OPEN | MW_HOOK_CLOSE)) != 0;
      errand->step = STEP_JOIN;
      return;
    case STEP_JOIN:
      channel->joined = (channel->kind->hooks & MW_HOOK_LEAVE) != 0;
      errand->at = last ? 0 : errand->at + 1;
      errand->step = last ? STEP_PRESENCE : STEP_OPEN;
      return;
    case STEP_PRESENCE:
      /* Members are counted in all at once, behind everything that could refuse. */
      if (presence_unknown(server, errand) < errand->channel_count) return;
      presence_enter(server, errand);
      errand->at = 0;
      if (errand->status == 0) errand->step = STEP_JOINED;
      return;
    case STEP_SLOW:
    case STEP_MESSAGE: errand->step = STEP_JOINED; return;
    case STEP_LEAVE:
      if (channel && channel->opened) occupancy_leave(server, channel->name);
      if (channel) channel->opened = channel->joined = false;
      errand->at++;
      if (last) errand->step = STEP_DISCONNECT;
      return;
    case STEP_DISCONNECT:
      errand->connected = false;
      errand->step = errand->socket ? STEP_SOCKET_CLOSE : STEP_OVER;
      return;
    case STEP_SOCKET_CLOSE: errand->step = STEP_OVER; return;
    case STEP_SOCKET: /* answer_errand's */
    case STEP_JOINED:
    case STEP_OVER: return;
  }
}

/* Undoes what was joined so far; a refusal is told first. */
static void turn_back(struct mw_server *server, struct errand *errand) {
  bool of_channel = errand->step >= STEP_AUTHORIZE && errand->step <= STEP_PRESENCE && errand->at < errand->channel_count;
  errand->refused = of_channel ? &errand->channels[errand->at] : NULL;
  send_answer(server, errand_ref(errand));
  errand->step = errand->channel_count > 0 ? STEP_LEAVE : STEP_DISCONNECT;
  errand->at = 0;
}

static void run_join(struct mw_server *server, struct errand *errand) {
  errand->running = true;
  while (errand->step != STEP_OVER) {
    bool refused = errand->status != 0 || atomic_load(&errand->cancelled);
    if (errand->step < STEP_JOINED && refused) turn_back(server, errand);
    if (errand->step == STEP_JOINED) {
      errand->status = 200;
      errand->running = false;
      send_answer(server, errand_ref(errand));
      break;
    }
    bool waits = put_question(server, errand);
    if (waits) {
      errand->running = false;
      return;
    }
    if (errand->step > STEP_JOINED || errand->status == 0) take_step(server, errand);
  }
  errand->running = false;
  let_next(server, errand);
  errand_unref(errand);
}

void script_resume(struct mw_server *server, struct errand *errand) {
  if (errand->status == 0) take_step(server, errand);
  run_join(server, errand);
}

static void answer_errand(struct mw_server *server, struct errand *errand) {
  if (errand->type == ERRAND_SOCKET_MESSAGE) {
    if (errand->status == 0) errand->status = 200;
    if (errand->status != 200) errand->socket->closing = true;
  }
  if (errand->type == ERRAND_HTTP || errand->type == ERRAND_STREAM || errand->type == ERRAND_SOCKET_MESSAGE) {
    send_answer(server, errand_ref(errand));
    let_next(server, errand);
    errand_unref(errand);
  } else if (errand->step == STEP_SOCKET && errand->socket) {
    /* Told before anything that the app sends to it. */
    errand->status = 200;
    send_answer(server, errand_ref(errand));
    errand->step = STEP_OVER;
    if (!errand->running) run_join(server, errand);
  } else if (!errand->running) {
    /* Answered later than asked. A leave goes on whatever was said. */
    if (errand->step > STEP_JOINED || errand->status == 0) take_step(server, errand);
    run_join(server, errand);
  }
}

void script_answered(struct mw_request *request) {
  struct mw_server *server = request->server;
  list_remove(&request->link);
  request->waiting = false;
  if (request->occupancy) {
    occupancy_answered(request->occupancy);
  } else if (server) {
    answer_errand(server, request->errand);
  } else {
    errand_unref(request->errand);
  }
  /* Stopping may have waited for just this answer, which may come outside any turn. */
  if (server && server_stopping(server)) loop_wake(&server->loop);
}

void script_post(struct mw_server *server, struct errand *errand) {
  if (atomic_load(&server->script.errand_count) >= server->config->options.limits.waiting) {
    errand_unref(errand);
    return;
  }
  atomic_fetch_add(&server->script.errand_count, 1);
  atomic_fetch_add(&server->script.errand_bytes, errand_size(errand));
  script_post_begin(server, errand);
}

static void ask_message(struct mw_server *server, struct errand *errand) {
  /* The app has closed it, or failed at what came before. */
  if (errand->socket->closing) {
    answer_errand(server, errand);
    return;
  }
  errand_ref(errand);
  script_ask(server, &errand->request, MW_REQUEST_SOCKET_MESSAGE);
  /* What a peer said before it went is still heard, but nobody waits for the handler. */
  if (errand->request.waiting && atomic_load(&errand->client->gone)) script_cancel_request(&errand->request);
  errand_unref(errand);
}

static void begin(struct mw_server *server, struct errand *errand) {
  if (errand->granted) {
    errand->step = STEP_PRESENCE;
    run_join(server, errand);
    return;
  }
  if (must_queue(errand, TASK_BEGIN)) return;
  if (errand->type <= ERRAND_SLOW || errand->type == ERRAND_SOCKET) {
    run_join(server, errand);
  } else if (errand->type == ERRAND_SOCKET_MESSAGE) {
    ask_message(server, errand);
  } else if (atomic_load(&errand->cancelled)) {
    answer_errand(server, errand);
  } else {
    script_ask(server, &errand->request, errand->type == ERRAND_HTTP ? MW_REQUEST_HTTP : MW_REQUEST_STREAM);
  }
}

static void cancel(struct mw_server *server, struct errand *errand) {
  /* The handler of a send with a key goes on: its client will ask what came of it, from another connection. */
  if (!errand->send_key) script_cancel_request(&errand->request);
  /* One that waits for a channel to open goes back now; one that waits for its turn sees it when that comes. */
  if (!list_empty(&errand->link) && errand->step == STEP_OPEN) {
    list_remove(&errand->link);
    occupancy_abandon(server, errand->channels[errand->at].name);
    run_join(server, errand);
  } else if (!list_empty(&errand->link) && errand->step == STEP_MESSAGE) {
    list_remove(&errand->link);
    run_join(server, errand);
  }
  errand_unref(errand);
}

static void leave(struct mw_server *server, struct errand *errand) {
  if (errand->type == ERRAND_STREAM) {
    stream_handle_closed(errand);
    errand_unref(errand);
    return;
  }
  if (errand->type == ERRAND_SOCKET) {
    struct errand *asked = errand->client->errand;
    atomic_store(&errand->client->gone, true);
    if (asked && asked != errand) script_cancel_request(&asked->request);
  }
  if (must_queue(errand, TASK_LEAVE)) return;
  errand->step = errand->channel_count > 0 ? STEP_LEAVE : STEP_DISCONNECT;
  errand->at = 0;
  run_join(server, errand);
}

static void dispatch(struct mw_server *server, enum script_task task, struct errand *errand) {
  switch (task) {
    case TASK_BEGIN: begin(server, errand); break;
    case TASK_CANCEL: cancel(server, errand); break;
    case TASK_LEAVE: leave(server, errand); break;
  }
}

/* ---- The queue ------------------------------------------------------------------------------------------------------------ */

static struct errand *errand_of(struct mail *mail) { return container_of(mail, struct errand, mail); }

static void take_begin(struct mail *mail, void *room, struct subscriber *subscriber) {
  (void)subscriber;
  dispatch(room, TASK_BEGIN, errand_of(mail));
}

static void take_cancel(struct mail *mail, void *room, struct subscriber *subscriber) {
  (void)subscriber;
  dispatch(room, TASK_CANCEL, container_of(mail, struct errand, cancel));
}

static void take_leave(struct mail *mail, void *room, struct subscriber *subscriber) {
  (void)subscriber;
  dispatch(room, TASK_LEAVE, errand_of(mail));
}

static void drop_begin(struct mail *mail) { errand_unref(errand_of(mail)); }
static void drop_cancel(struct mail *mail) { errand_unref(container_of(mail, struct errand, cancel)); }

static void drop_leave(struct mail *mail) { errand_drop(errand_of(mail)); }

static const struct mail_class begin_class = {.take = take_begin, .drop = drop_begin};
static const struct mail_class cancel_class = {.take = take_cancel, .drop = drop_cancel};
static const struct mail_class leave_class = {.take = take_leave, .drop = drop_leave};

/* What counts nothing always finds room: what is under way is bounded by limits.waiting and limits.queue before it is posted. */
static void post(struct mw_server *server, struct mail *mail, const struct mail_class *class) {
  mail->class = class;
  mailbox_post(&server->script.queue, mail);
}

void script_post_begin(struct mw_server *server, struct errand *errand) { post(server, &errand->mail, &begin_class); }
void script_post_cancel(struct mw_server *server, struct errand *errand) { post(server, &errand->cancel, &cancel_class); }
void script_post_leave(struct mw_server *server, struct errand *errand) { post(server, &errand->mail, &leave_class); }

void script_drain(struct mw_server *server) {
  struct mail *mail;
  while ((mail = mailbox_take(&server->script.queue)) != NULL) mail->class->take(mail, server, NULL);
}

void script_second(struct mw_server *server) {
  uint64_t now = server->loop.clock.now_ms;
  /* Cancelling may answer, which takes requests off the list: begin anew after each. */
  for (struct list *link = server->script.asked.next; link != &server->script.asked;) {
    struct mw_request *request = container_of(link, struct mw_request, link);
    if (now < request->asked_ms + server->config->options.limits.answer_ms) return;
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

/* Drops the errands that wait behind another of their client. */
static void drop_waiting(struct mw_client *client) {
  while (client && !list_empty(&client->waiting)) {
    struct errand *errand = container_of(client->waiting.next, struct errand, link);
    list_remove(&errand->link);
    errand_unref(errand);
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
    struct errand *errand = container_of(waiter, struct errand, link);
    drop_waiting(errand->client);
    errand_unref(errand);
  }
  while (!list_empty(&script->asked)) {
    struct mw_request *request = container_of(script->asked.next, struct mw_request, link);
    list_remove(&request->link);
    request->server = NULL;
    if (request->errand) drop_waiting(request->errand->client);
  }
  send_keys_deinit(&script->send_keys);
  table_deinit(&script->occupancies);
  table_deinit(&script->presences);
  mailbox_deinit(&script->queue);
}
