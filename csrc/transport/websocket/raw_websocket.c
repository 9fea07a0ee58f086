#include "transport/websocket/raw_websocket.h"

#include <stdio.h>

#include "app/limits/send_rate.h"
#include "auth/origin.h"
#include "base/log_limit.h"
#include "base/memory.h"
#include "codec/ws/ws_handshake.h"
#include "delivery/compress.h"
#include "http/request.h"
#include "session/expiry.h"
#include "transport/connect.h"
#include "transport/exchange_session.h"
#include "transport/roles.h"
#include "transport/transport.h"
#include "transport/websocket/deflate.h"
#include "transport/websocket/websocket.h"

/* How long the app may still work on messages that came before the peer's close frame, until that
 * is answered. */
enum { DUE_MS = 5000 };

/* ---- Messages -------------------------------------------------------------------------------- */

/* Closes it for the reason that was noted when reading ended. */
static void raw_websocket_finish(struct exchange *exchange, const struct mw_socket *socket) {
  websocket_finish(exchange, socket->code, socket->is_answer ? "" : socket->reason);
}

/* Messages that the app has not handled are bounded: for each socket, and, beyond the one that
 * every socket may have, for all of them. */
static bool socket_is_full(struct exchange *exchange, const struct mw_socket *socket) {
  struct app *app = exchange_app(exchange);
  const struct mw_limits *limits = &socket->config->options.limits;
  bool crowded = atomic_load(&app->job_count) >= limits->waiting / 2 || atomic_load(&app->job_bytes) >= limits->queue / 2;
  return socket->pending_count > 0 && (crowded || socket->pending_size >= limits->input_backlog);
}

static uint64_t now_ms(struct exchange *exchange) { return exchange_http(exchange)->loop->clock.now_ms; }

/* Beyond the rate, its next message waits: a raw WebSocket has no answer that could refuse it.
 * Returns false if it is closed instead. */
static bool charge_message(struct exchange *exchange, struct mw_socket *socket) {
  uint32_t wait_ms = send_rate_charge(exchange_app(exchange), socket, now_ms(exchange));
  if (wait_ms == 0) return true;
  if (socket->config->options.rate_closes) {
    websocket_close(exchange, WS_CLOSE_POLICY, "rate_limited");
    return false;
  }
  socket->paused_until_ms = now_ms(exchange) + wait_ms;
  exchange_session_stop_reading(exchange);
  exchange_set_deadline(exchange);
  return true;
}

static bool is_paused(struct exchange *exchange, const struct mw_socket *socket) {
  return socket->paused_until_ms > now_ms(exchange);
}

/* Reads again if nothing prevents it any more. */
static void resume_if_possible(struct exchange *exchange, struct mw_socket *socket) {
  if (is_paused(exchange, socket)) return;
  socket->paused_until_ms = 0;
  if (exchange->flags & EXCHANGE_STOPPED && !socket_is_full(exchange, socket)) exchange_session_resume_reading(exchange);
}

static struct script_job *make_message_job(struct exchange *exchange, struct mw_socket *socket, struct ws_reader *reader) {
  struct script_job *job = job_new(JOB_SOCKET_MESSAGE, socket->config, socket->client, NULL, NULL, 0);
  if (!job) return NULL;
  if (!ws_reader_take(reader, &job->input)) buffer_append(&job->input, ws_reader_payload(reader));
  if (job->input.failed) {
    job_unref(job);
    return NULL;
  }
  struct mw_bytes text = {job->input.data, job->input.len};
  job->message.is_binary = ws_reader_is_binary(reader);
  *(job->message.is_binary ? &job->message.binary : &job->message.data) = text;
  job->input_size = text.len + WS_HEADER_MAX;
  job->socket = socket_ref(socket);
  job->route = socket->route;
  job->mail.to = session_address(&exchange->subscriber);
  return job;
}

/* The weight of a message while the app has it: small ones are many. */
static size_t message_weight_of(const struct script_job *job) { return sizeof *job + job->input_size; }

static void on_handled(struct exchange *exchange, struct mw_socket *socket, const struct script_job *job) {
  socket->pending_count--;
  socket->pending_size -= message_weight_of(job);
  if (job->status != 200) {
    bool is_fault = job->status >= 500;
    websocket_close(exchange, is_fault ? WS_CLOSE_INTERNAL : WS_CLOSE_POLICY, is_fault ? "" : job->reason);
  } else if (socket->is_due) {
    if (socket->pending_count == 0) raw_websocket_finish(exchange, socket);
  } else {
    resume_if_possible(exchange, socket);
  }
}

static void drop_handled(struct mail *mail) { job_unref(container_of(mail, struct script_job, mail)); }

/* The app has handled a message. */
static void take_handled(struct mail *mail, void *room, struct subscriber *subscriber) {
  (void)room;
  struct script_job *job = container_of(mail, struct script_job, mail);
  struct exchange *exchange = exchange_of(subscriber);
  if (exchange && exchange->role == &raw_websocket_role && exchange_session_socket(exchange) == job->socket)
    on_handled(exchange, job->socket, job);
  drop_handled(mail);
}

static const struct mail_class handled_class = {.take = take_handled, .drop = drop_handled};

void raw_websocket_receive(struct exchange *exchange, struct ws_reader *reader) {
  struct http *http = exchange_http(exchange);
  struct mw_socket *socket = exchange_session_socket(exchange);
  const struct mw_limits *limits = &socket->config->options.limits;
  /* With the header of a frame: a message that is accepted can be sent back, at this weight
   * (socket.c, post). */
  bool full = atomic_load(&http->app->job_count) >= limits->waiting ||
              atomic_load(&http->app->job_bytes) + ws_reader_payload(reader).len + WS_HEADER_MAX > limits->queue;
  if (full && socket->pending_count == 0) {
    bool waits = atomic_load(&http->app->job_count) >= limits->waiting;
    limit_count(&http->app->limits, waits ? MW_LIMIT_WAITING : MW_LIMIT_QUEUE);
    log_limited(MW_LOG_WARNING, "closed a WebSocket: limits.waiting or limits.queue reached by messages that wait for handlers");
    websocket_close(exchange, WS_CLOSE_TRY_LATER, waiting_refusal);
    return;
  }
  if (!charge_message(exchange, socket)) return;
  struct script_job *job = make_message_job(exchange, socket, reader);
  if (!job) {
    exchange_break(exchange);
    return;
  }
  budget_charge(&exchange->subscriber, BUDGET_ASK);
  job->answered = &handled_class;
  socket->pending_count++;
  socket->pending_size += message_weight_of(job);
  atomic_fetch_add(&http->app->job_count, 1);
  atomic_fetch_add(&http->app->job_bytes, job_size(job));
  http->app->script->ask(http->app, job);
  if (socket_is_full(exchange, socket)) exchange_session_stop_reading(exchange);
}

void raw_websocket_end_reading(struct exchange *exchange, struct ws_close_info info, bool is_answer) {
  struct mw_socket *socket = exchange_session_socket(exchange);
  size_t len = info.reason.len < sizeof socket->reason ? info.reason.len : sizeof socket->reason - 1;
  socket->code = info.code;
  if (len > 0) memcpy(socket->reason, info.reason.ptr, len);
  socket->reason[len] = '\0';
  socket->reason_len = len;
  socket->is_answer = is_answer;
  socket->is_due = true;
  exchange->flags |= EXCHANGE_DUE;
  if (socket->pending_count == 0) {
    raw_websocket_finish(exchange, socket);
  } else {
    exchange_set_deadline(exchange);
  }
}

/* ---- What the app sends ---------------------------------------------------------------------- */

static bool socket_has_room(const struct exchange *exchange, size_t limit, size_t len) {
  const struct outbox *outbox = exchange->subscriber.outbox;
  return !outbox || outbox->bytes == 0 || outbox_messages_size(outbox) + outbox_own_size(outbox) + len <= limit;
}

/* Updates the number of unsent bytes in the app's handle. */
static void note_unwritten(struct exchange *exchange) {
  struct mw_socket *socket = exchange_session_socket(exchange);
  if (socket) atomic_store(&socket->unwritten, exchange->subscriber.outbox ? exchange->subscriber.outbox->bytes : 0);
}

/* Pushes one frame that the app sent; takes it. Closes the socket if its outbox is full. */
static void push_frame(struct exchange *exchange, struct blob *frame) {
  struct mw_socket *socket = exchange_session_socket(exchange);
  size_t limit = socket->websocket->outbox;
  frame = compress_frame(&exchange->subscriber, frame, deflate_min(&socket->websocket->deflate));
  if (!frame) {
    exchange_break(exchange);
    return;
  }
  if (!socket_has_room(exchange, limit, frame->len) && exchange->subscriber.outbox) subscriber_offer(&exchange->subscriber);
  if (socket_has_room(exchange, limit, frame->len)) {
    exchange_push(exchange, frame, blob_bytes(frame));
    note_unwritten(exchange);
    blob_unref(frame);
    return;
  }
  blob_unref(frame);
  exchange_http(exchange)->stats->slow_closed++;
  log_limited(MW_LOG_INFO, "closed slow WebSocket of %s: more unsent bytes than its outbox (outbox=%zu bytes)",
              config_route_at(socket->config, socket->route)->pattern.text, limit);
  websocket_close(exchange, WS_CLOSE_TRY_LATER, "too slow");
}

/* ---- The upgrade ----------------------------------------------------------------------------- */

static const struct websocket *websocket_of(struct exchange *exchange) { return exchange_request(exchange)->route->websocket; }

static bool check_socket_origin(struct exchange *exchange, const struct http_head *head) {
  struct bytes origin = http_head_field(head, BYTES("origin"));
  if (!origin.ptr || origin_is_same(origin, head->host, exchange_scheme_text(exchange))) return true;
  return config_websocket_check_origin(websocket_of(exchange), exchange_config(exchange), origin) != ORIGIN_REFUSED;
}

/* The first of the endpoint's own list that the client also offers. */
static struct bytes choose_protocol(const struct websocket *websocket, const struct http_head *head) {
  for (size_t i = 0; i < websocket->protocol_count; i++) {
    struct bytes own = bytes_string(websocket->protocols[i]), offered;
    struct ws_offers cursor = {0};
    while (ws_handshake_offer(head, &cursor, &offered)) {
      if (bytes_equal(offered, own)) return own;
    }
  }
  return bytes_of(NULL, 0);
}

/* In which it receives the messages of channels. */
static const struct dialect *raw_dialect(struct exchange *exchange) {
  return exchange_http(exchange)->transport->dialects->websockets[0];
}

static void raw_websocket_put_off(struct exchange *exchange, const char *reason) {
  struct bytes protocol = choose_protocol(websocket_of(exchange), exchange_request(exchange)->head);
  websocket_put_off(exchange, raw_dialect(exchange), protocol, reason);
}

static struct script_job *make_question(struct exchange *exchange, struct request *request) {
  struct mw_config *config = request->config;
  char remote[REMOTE_MAX];
  exchange_remote(exchange, remote, sizeof remote);
  struct mw_client *client = client_new("websocket", remote);
  struct http_copy *copy = client ? connect_copy_http(exchange, request) : NULL;
  struct script_job *job = copy ? job_new(JOB_SOCKET, config, client, copy, NULL, 0) : NULL;
  mw_client_unref(client);
  if (!job) {
    memory_free(copy);
    return NULL;
  }
  job->route = config_route_number(config, request->route);
  job->protocol = choose_protocol(websocket_of(exchange), request->head);
  return job;
}

static void raw_websocket_start(struct exchange *exchange) {
  struct request *request = exchange_request(exchange);
  const struct http_head *head = request->head;
  if (websocket_refuse(exchange, head, check_socket_origin(exchange, head))) return;
  bool stopping = app_stopping(exchange_app(exchange));
  struct script_job *job = stopping ? NULL : make_question(exchange, request);
  if (!job || !exchange_ask(exchange, job)) raw_websocket_put_off(exchange, stopping ? "" : waiting_refusal);
}

/* The app has allowed it. */
static void raw_websocket_enter(struct exchange *exchange, struct script_job *job) {
  if (!websocket_upgrade(exchange, raw_dialect(exchange), job->protocol)) return;
  if (exchange_session_set_socket(exchange, job->socket)) {
    session_of(&exchange->subscriber)->client = mw_client_ref(job->client);
    job->client->is_adopted = true;
    job->kept = true;
    expiry_set(&exchange->subscriber, job);
    exchange_set_deadline(exchange);
  } else {
    exchange->subscriber.flags |= SUBSCRIBER_BROKEN;
  }
}

static void raw_websocket_on_answer(struct exchange *exchange, struct script_job *job) {
  if (job->fields) {
    struct http_fields fields = http_fields_kept(job->fields);
    struct answer answer = {.status = job->status, .fields = &fields, .body = blob_bytes(job->body)};
    exchange_answer(exchange, &answer);
  } else if (job->status == 200) {
    raw_websocket_enter(exchange, job);
  } else if (exchange_is_temporary(job->status)) {
    raw_websocket_put_off(exchange, job->reason);
  } else {
    exchange_refuse(exchange, job->status, job->code, job->reason, bytes_of(NULL, 0));
  }
}

static void raw_websocket_on_late(struct exchange *exchange) {
  if (!app_stopping(exchange_app(exchange))) {
    log_limited(MW_LOG_WARNING, "the handler of %s did not answer within limits.answer_seconds (answer_ms in C)",
                exchange_request(exchange)->route->pattern.text);
  }
  raw_websocket_put_off(exchange, app_stopping(exchange_app(exchange)) ? "" : "the app did not answer in time");
}

static void raw_websocket_on_silent(struct exchange *exchange) {
  struct mw_socket *socket = exchange_session_socket(exchange);
  if (socket->is_due) {
    raw_websocket_finish(exchange, socket);
  } else if (socket->paused_until_ms > 0) {
    resume_if_possible(exchange, socket);
  } else {
    websocket_on_silent(exchange);
  }
}

static uint64_t raw_websocket_silence_ms(struct exchange *exchange) {
  const struct mw_socket *socket = exchange_session_socket(exchange);
  bool is_pinged = exchange->flags & EXCHANGE_PINGED;
  if (!socket) return websocket_silence_ms(exchange);
  if (socket->is_due) return DUE_MS;
  if (is_paused(exchange, socket)) return socket->paused_until_ms - now_ms(exchange);
  if (socket->paused_until_ms > 0) return 0;
  return is_pinged ? socket->websocket->pong_ms : socket->websocket->ping_ms;
}

/* A frame that the app sends. */
static void raw_websocket_on_mail(struct exchange *exchange, struct mail *mail) {
  struct raw_data *data = container_of(mail, struct raw_data, mail);
  if (!data->socket || exchange_session_socket(exchange) != data->socket) return;
  push_frame(exchange, data->blob);
  data->blob = NULL;
}

static size_t outbox_limit(struct exchange *exchange) {
  const struct mw_socket *socket = exchange_session_socket(exchange);
  return socket ? socket->websocket->outbox : role_outbox_limit(exchange);
}

const struct role raw_websocket_role = {.start = raw_websocket_start,
                                        .on_answer = raw_websocket_on_answer,
                                        .on_late = raw_websocket_on_late,
                                        .finishes = role_never_finishes,
                                        .on_read = websocket_read,
                                        .on_silent = raw_websocket_on_silent,
                                        .on_mail = raw_websocket_on_mail,
                                        .on_flushed = note_unwritten,
                                        ROLE_NEVER_FINISHES,
                                        .close = websocket_on_close,
                                        .give_up = websocket_give_up,
                                        .on_end = websocket_on_end,
                                        .silence_ms = raw_websocket_silence_ms,
                                        .is_raw = true,
                                        .outbox_limit = outbox_limit,
                                        .opens = ROLE_OPENS_SOCKET,
                                        ROLE_WRITES_AT_ONCE,
                                        ROLE_NEVER_WAITS};
