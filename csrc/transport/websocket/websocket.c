#include "transport/websocket/websocket.h"

#include <stdio.h>

#include "base/log_limit.h"
#include "base/memory.h"
#include "codec/ws/ws_handshake.h"
#include "delivery/subscriber.h"
#include "http/cors.h"
#include "http/request.h"
#include "session/expiry.h"
#include "session/input.h"
#include "transport/connect.h"
#include "transport/exchange_session.h"
#include "transport/roles.h"
#include "transport/transport.h"
#include "transport/websocket/deflate.h"
#include "transport/websocket/raw_websocket.h"
#include "transport/websocket/ws_input.h"

/* ---- Frames ---------------------------------------------------------------------------------- */

static void push_blob(struct exchange *exchange, struct blob *blob) {
  if (blob) {
    exchange_push(exchange, blob, blob_bytes(blob));
  } else {
    exchange_break(exchange);
  }
  blob_unref(blob);
}

static const struct role role_closing;

/* Ends the session after a close frame. */
static void send_close(struct exchange *exchange, unsigned code, const char *reason) {
  char payload[WS_CONTROL_MAX];
  size_t len = ws_frame_close(payload, code, bytes_string(reason));
  log_limited(MW_LOG_DEBUG, "websocket close %u %s", code, reason);
  /* Regardless of what else waits: the reason may be a limit on it. */
  subscriber_settle(&exchange->subscriber, 0);
  struct blob *frame = form_frame(WS_OPCODE_CLOSE, bytes_of(payload, len), bytes_of(NULL, 0));
  if (frame) subscriber_append(&exchange->subscriber, frame, blob_bytes(frame), NULL);
  if (!frame) exchange_break(exchange);
  blob_unref(frame);
  exchange_end(exchange);
  exchange_set_state(exchange, EXCHANGE_ENDING);
  subscriber_mark(&exchange->subscriber);
}

void websocket_finish(struct exchange *exchange, unsigned code, const char *reason) { send_close(exchange, code, reason); }

void websocket_close(struct exchange *exchange, unsigned code, const char *reason) {
  if (exchange->state != EXCHANGE_STREAMING) return;
  struct mw_socket *socket = exchange_session_socket(exchange);
  if (socket && socket->is_due) { /* the peer's close frame has arrived, or will not be read */
    send_close(exchange, code, reason);
    return;
  }
  if (socket) {
    socket->code = code;
    socket->reason_len = (size_t)snprintf(socket->reason, sizeof socket->reason, "%s", reason);
    if (socket->reason_len >= sizeof socket->reason) socket->reason_len = sizeof socket->reason - 1;
  }
  struct ws_reader *reader = ws_input_detach(exchange);
  send_close(exchange, code, reason);
  if (app_stopping(exchange_app(exchange))) {
    ws_reader_free(reader);
    return;
  }
  exchange_become(exchange, &role_closing);
  if (reader) ws_input_return(exchange, reader, true);
  exchange_read(exchange, true); /* also input that the session had put off */
}

static unsigned websocket_code(struct exchange *exchange, const struct closing *closing) {
  struct closing whole = *closing;
  if (whole.reason == CLOSE_STOPPING) whole.code = exchange_app(exchange)->close_code;
  return exchange_dialect(exchange)->close_code(&whole);
}

void websocket_on_close(struct exchange *exchange, const struct closing *closing) {
  websocket_close(exchange, websocket_code(exchange, closing), closing->text);
}

/* Reads nothing more; earlier messages of a raw socket are still handled. is_answer: the peer has
 * closed it. */
static void end_websocket_reading(struct exchange *exchange, struct ws_close_info info, bool is_answer) {
  char reason[WS_CONTROL_MAX] = "";
  if (!is_answer && info.code == WS_CLOSE_TOO_BIG) limit_count(&exchange_app(exchange)->limits, MW_LIMIT_WS_MESSAGE_SIZE);
  if (exchange_session_socket(exchange)) {
    raw_websocket_end_reading(exchange, info, is_answer);
    return;
  }
  session_depart(&exchange->subscriber, is_answer ? DEPARTURE_CLOSED : DEPARTURE_PROTOCOL, info.code);
  if (!is_answer) memcpy(reason, info.reason.ptr, info.reason.len < sizeof reason ? info.reason.len : sizeof reason - 1);
  websocket_finish(exchange, info.code, reason);
}

/* Handles one event of the reader. Returns false if nothing more is to be read. */
static bool websocket_take(struct exchange *exchange, struct ws_reader *reader, enum ws_event event) {
  struct input input = {
      .bytes = ws_reader_payload(reader), .is_binary = ws_reader_is_binary(reader), .reply = {.class = &reply_to_client}};
  switch (event) {
    case WS_MESSAGE:
      if (exchange_session_socket(exchange)) {
        raw_websocket_receive(exchange, reader);
      } else {
        session_receive(&exchange->subscriber, &input);
      }
      break;
    case WS_PING:
      budget_charge(&exchange->subscriber, BUDGET_MESSAGE);
      push_blob(exchange, form_frame(WS_OPCODE_PONG, input.bytes, bytes_of(NULL, 0)));
      break;
    case WS_CLOSE:
    case WS_ERROR: end_websocket_reading(exchange, ws_reader_close_info(reader), event == WS_CLOSE); return false;
    case WS_PONG: budget_charge(&exchange->subscriber, BUDGET_MESSAGE); break;
    case WS_PAUSED:
    case WS_MORE: break;
  }
  return exchange->state == EXCHANGE_STREAMING;
}

/* Its messages are ignored from now on. */
static bool is_deaf(struct exchange *exchange) {
  const struct mw_socket *socket = exchange_session_socket(exchange);
  return exchange->state != EXCHANGE_STREAMING || (socket && socket->is_due);
}

/* Reads the next event. Inflated bytes are charged, and bounded by what is left of the budget. */
static enum ws_event websocket_next(struct exchange *exchange, struct ws_reader *reader, char **at, size_t *len) {
  size_t used = 0;
  ws_reader_allow(reader, (budget_left(&exchange->subscriber) + BUDGET_PER_INFLATED - 1) / BUDGET_PER_INFLATED);
  enum ws_event event = ws_reader_next(reader, *at, *len, &used);
  budget_charge(&exchange->subscriber, ws_reader_allow(reader, SIZE_MAX) * BUDGET_PER_INFLATED);
  *at += used;
  *len -= used;
  return event;
}

size_t websocket_read(struct exchange *exchange, struct bytes bytes) {
  size_t len = bytes.len;
  if (len == 0 || is_deaf(exchange)) return len;
  struct ws_reader *reader = ws_input_borrow(exchange);
  if (!reader) {
    exchange_break(exchange);
    return len;
  }
  exchange->flags &= (uint16_t)~EXCHANGE_PINGED;
  bool is_new = false;
  char *at = (char *)(uintptr_t)bytes.ptr;
  while (bytes.len == 0 || (budget_left(&exchange->subscriber) > 0 && !(exchange->flags & EXCHANGE_STOPPED))) {
    enum ws_event event = websocket_next(exchange, reader, &at, &bytes.len);
    is_new = is_new || event == WS_MESSAGE || (event != WS_MORE && !ws_reader_in_message(reader));
    if (event == WS_MORE || !websocket_take(exchange, reader, event)) break;
  }
  /* we have closed in the meantime, and what is left may be the peer's close frame */
  if (exchange->role == &role_closing) {
    ws_input_return(exchange, reader, true);
  } else if (is_deaf(exchange)) {
    ws_input_drop(exchange, reader);
    bytes.len = 0;
  } else {
    ws_input_return(exchange, reader, is_new);
  }
  unfinished_settle(exchange_http(exchange));
  return len - bytes.len;
}

/* ---- The peer's close frame ------------------------------------------------------------------ */

/* Ours was sent: of the input that follows, only the peer's close frame counts. */
static size_t read_until_close(struct exchange *exchange, struct bytes bytes) {
  struct ws_reader *reader = ws_input_borrow(exchange);
  enum ws_event event = reader ? WS_PING : WS_ERROR;
  size_t len = bytes.len;
  char *at = (char *)(uintptr_t)bytes.ptr;
  while (event != WS_MORE && event != WS_PAUSED && event != WS_CLOSE && event != WS_ERROR)
    event = websocket_next(exchange, reader, &at, &bytes.len);
  if (event == WS_MORE || event == WS_PAUSED) {
    ws_input_return(exchange, reader, false);
    unfinished_settle(exchange_http(exchange));
    return len - bytes.len;
  }
  ws_input_drop(exchange, reader);
  exchange_end_role(exchange);
  subscriber_mark(&exchange->subscriber);
  return len;
}

void websocket_give_up(struct exchange *exchange, const struct closing *closing) {
  ws_input_drop(exchange, ws_input_detach(exchange));
  end_websocket_reading(exchange, (struct ws_close_info){websocket_code(exchange, closing), bytes_string(closing->text)}, false);
}

/* Stops waiting for the peer's close frame. */
static void stop_waiting(struct exchange *exchange, const struct closing *closing) {
  (void)closing;
  ws_input_drop(exchange, ws_input_detach(exchange));
  exchange_end_role(exchange);
  subscriber_mark(&exchange->subscriber);
}

static const struct role role_closing = {.start = role_nothing,
                                         .on_read = read_until_close,
                                         .on_silent = role_nothing,
                                         .on_mail = role_nothing_on_mail,
                                         .on_flushed = role_nothing,
                                         ROLE_NEVER_FINISHES,
                                         .close = exchange_close_stream,
                                         .give_up = stop_waiting,
                                         .on_end = role_nothing,
                                         .silence_ms = role_heartbeat_ms,
                                         .outbox_limit = role_outbox_limit,
                                         ROLE_ASKS_NOTHING,
                                         ROLE_WRITES_AT_ONCE,
                                         ROLE_NEVER_WAITS};

/* ---- The upgrade ----------------------------------------------------------------------------- */

static const struct dialect *find_dialect(const struct dialect_table *dialects, struct bytes subprotocol) {
  for (const struct dialect *const *at = dialects->websockets; *at; at++) {
    if ((*at)->subprotocol && bytes_equal(subprotocol, bytes_string((*at)->subprotocol))) return *at;
  }
  return NULL;
}

/* The first that is offered and known; else the one that is spoken without a subprotocol. */
static const struct dialect *choose_dialect(struct exchange *exchange) {
  const struct dialect_table *dialects = exchange_http(exchange)->transport->dialects;
  struct ws_offers offers = {0};
  struct bytes subprotocol;
  while (ws_handshake_offer(exchange_request(exchange)->head, &offers, &subprotocol)) {
    const struct dialect *dialect = find_dialect(dialects, subprotocol);
    if (dialect) return dialect;
  }
  return dialects->websockets[0];
}

static bool upgrade_to(struct exchange *exchange, const struct dialect *dialect) {
  return websocket_upgrade(exchange, dialect, dialect->subprotocol ? bytes_string(dialect->subprotocol) : bytes_of(NULL, 0));
}

/* Sets its identity, if it is known by now: `connected` is the job that admitted it, `http` serves
 * to check later tokens. Takes http. */
static bool set_identity(struct exchange *exchange, struct script_job *connected, struct http_copy *http) {
  if (connected && session_identify(&exchange->subscriber, connected->client) < 0) return false;
  if (connected) session_keep(&exchange->subscriber, connected);
  if (connected) expiry_set(&exchange->subscriber, connected);
  struct session *session = http ? session_get(&exchange->subscriber) : NULL;
  if (session) {
    session->http = http;
  } else {
    memory_free(http);
  }
  return session || !http;
}

static void put_off_websocket(struct exchange *exchange, const char *reason) {
  bool stops = app_stopping(exchange_app(exchange));
  websocket_on_close(exchange, &(struct closing){.reason = stops ? CLOSE_STOPPING : CLOSE_BUSY, .text = reason});
}

void websocket_put_off(struct exchange *exchange, const struct dialect *dialect, struct bytes protocol, const char *reason) {
  if (websocket_upgrade(exchange, dialect, protocol)) put_off_websocket(exchange, reason);
}

static void put_off_request(struct exchange *exchange, const char *reason) {
  if (upgrade_to(exchange, choose_dialect(exchange))) put_off_websocket(exchange, reason);
}

/* Both arguments may be NULL; takes http. */
static void websocket_enter(struct exchange *exchange, struct script_job *connected, struct http_copy *http) {
  const struct dialect *dialect = choose_dialect(exchange);
  if (dialect->connects_first) exchange->flags |= EXCHANGE_CONNECTING;
  if (!upgrade_to(exchange, dialect)) {
    memory_free(http);
  } else if (!set_identity(exchange, connected, http)) {
    exchange->subscriber.flags |= SUBSCRIBER_BROKEN;
  }
}

static void start_unknown(struct exchange *exchange, struct request *request) {
  bool authenticates = exchange_config(exchange)->options.authenticate;
  /* It authenticates when it connects; until then, the upgrade request is kept. */
  struct http_copy *copy = authenticates ? connect_copy_http(exchange, request) : NULL;
  if (authenticates && !copy) {
    exchange_refuse(exchange, 503, "unavailable", "out of memory", bytes_of(NULL, 0));
  } else {
    websocket_enter(exchange, NULL, copy);
  }
}

static void websocket_start(struct exchange *exchange) {
  struct request *request = exchange_request(exchange);
  const struct mw_config_options *options = &exchange_config(exchange)->options;
  if (websocket_refuse(exchange, request->head, cors_allows(exchange))) return;
  if (app_stopping(exchange_app(exchange))) {
    put_off_request(exchange, "");
  } else if (choose_dialect(exchange)->connects_first) {
    start_unknown(exchange, request);
  } else if (options->authenticate || options->connects || options->disconnects) {
    struct script_job *job = connect_job(exchange, request, "websocket", NULL, 0);
    if (!job || !exchange_ask(exchange, job)) put_off_request(exchange, waiting_refusal);
  } else {
    websocket_enter(exchange, NULL, NULL);
  }
}

static void websocket_on_answer(struct exchange *exchange, struct script_job *job) {
  if (exchange->state == EXCHANGE_STREAMING) {
    session_on_answer(&exchange->subscriber, job);
  } else if (exchange_is_temporary(job->status)) {
    put_off_request(exchange, job->reason);
  } else if (job->status != 200) {
    exchange_refuse(exchange, job->status, job->code, job->reason, bytes_of(NULL, 0));
  } else {
    websocket_enter(exchange, job, NULL);
  }
}

static void websocket_on_late(struct exchange *exchange) {
  put_off_request(exchange, app_stopping(exchange_app(exchange)) ? "" : "the app did not answer in time");
}

/* ---- Liveness -------------------------------------------------------------------------------- */

uint64_t websocket_silence_ms(struct exchange *exchange) {
  const struct http *http = exchange_http(exchange);
  const struct mw_limits *limits = &http->app->config->options.limits;
  bool is_pinged = exchange->flags & EXCHANGE_PINGED;
  if (exchange->flags & EXCHANGE_CONNECTING) {
    uint64_t spent_ms = exchange_silent_ms(exchange);
    return limits->connect_ms > spent_ms ? limits->connect_ms - spent_ms : 0;
  }
  return is_pinged ? limits->pong_ms : limits->ping_ms;
}

/* The frame that asks for a sign of life in the words of that dialect. */
static struct blob *make_asking(struct transport *transport, const struct dialect *dialect) {
  if (transport->asks_in == dialect) return transport->asking;
  blob_unref(transport->asking);
  transport->asking = form_frame(WS_OPCODE_TEXT, dialect->ping, bytes_of(NULL, 0));
  transport->asks_in = transport->asking ? dialect : NULL;
  return transport->asking;
}

/* Some dialects ask in their own words, since a page cannot see ping frames. The frame is the same
 * for all. */
static void ask_for_a_sign(struct exchange *exchange) {
  struct transport *transport = exchange_http(exchange)->transport;
  const struct dialect *dialect = exchange_dialect(exchange);
  struct bytes none = bytes_of(NULL, 0);
  if (!transport->ping) transport->ping = form_frame(WS_OPCODE_PING, none, none);
  exchange->flags |= EXCHANGE_PINGED;
  push_blob(exchange, blob_ref(dialect->ping.len > 0 ? make_asking(transport, dialect) : transport->ping));
}

void websocket_on_silent(struct exchange *exchange) {
  /* Its messages are not read at the moment, or its token is being checked. */
  bool is_checked = exchange->flags & EXCHANGE_CONNECTING && exchange_job(exchange);
  if (exchange->flags & EXCHANGE_STOPPED || is_checked) return;
  if (exchange->flags & EXCHANGE_CONNECTING) {
    limit_count(&exchange_app(exchange)->limits, MW_LIMIT_CONNECT_SECONDS);
    exchange_close(exchange, CLOSE_UNCONNECTED, "connect did not arrive in time");
  } else if (exchange->flags & EXCHANGE_PINGED) {
    limit_count(&exchange_app(exchange)->limits, MW_LIMIT_PONG_SECONDS);
    session_depart(&exchange->subscriber, DEPARTURE_TIMEOUT, 0);
    exchange_reset(exchange);
  } else {
    ask_for_a_sign(exchange);
  }
}

void websocket_on_end(struct exchange *exchange) {
  if (exchange->state != EXCHANGE_STREAMING) return;
  form_users_remove(exchange_delivery(exchange)->form_users, exchange_form(exchange));
}

const struct role websocket_role = {.start = websocket_start,
                                    .on_answer = websocket_on_answer,
                                    .on_late = websocket_on_late,
                                    .finishes = exchange_session_finishes,
                                    .on_read = websocket_read,
                                    .on_silent = websocket_on_silent,
                                    .on_mail = role_nothing_on_mail,
                                    .on_flushed = role_nothing,
                                    ROLE_NEVER_FINISHES,
                                    .close = websocket_on_close,
                                    .give_up = websocket_give_up,
                                    .on_end = websocket_on_end,
                                    .silence_ms = websocket_silence_ms,
                                    .outbox_limit = role_outbox_limit,
                                    .opens = ROLE_OPENS_SOCKET,
                                    ROLE_WRITES_AT_ONCE,
                                    ROLE_NEVER_WAITS};
