#include "server/role_ws.h"

#include "base/log.h"
#include "base/memory.h"
#include "codec/ws_handshake.h"
#include "server/http1.h"
#include "server/native.h"
#include "server/native_join.h"
#include "server/roles.h"
#include "server/server.h"

static const struct bytes native_protocol = {"moonwire.1", 10};

/* ---- Frames --------------------------------------------------------------------------------------------------------------- */

static void push_blob(struct exchange *exchange, struct blob *blob) {
  if (blob) {
    exchange_push(exchange, blob, blob_bytes(blob));
  } else {
    exchange_break(exchange);
  }
  blob_unref(blob);
}

void role_ws_push(struct exchange *exchange, enum ws_opcode opcode, struct bytes payload) {
  push_blob(exchange, wire_frame(opcode, payload, bytes_of(NULL, 0)));
}

void role_ws_close(struct exchange *exchange, unsigned code, const char *reason) {
  if (exchange->state != EXCHANGE_STREAMING) return;
  if (exchange->wire != WIRE_WS) {
    exchange_end_stream(exchange);
    return;
  }
  char payload[WS_CONTROL_MAX];
  size_t len = ws_frame_close(payload, code, bytes_string(reason ? reason : ""));
  log_line(MW_LOG_DEBUG, "websocket close %u %s", code, reason ? reason : "");
  role_ws_push(exchange, WS_OPCODE_CLOSE, bytes_of(payload, len));
  exchange_end(exchange);
  exchange->flags |= EXCHANGE_LINGER;
  exchange_set_state(exchange, EXCHANGE_ENDING);
  worker_mark_dirty(exchange_worker(exchange), conn_of(exchange));
}

/* The peer says farewell: the same to it, and nothing more is awaited. */
static void on_farewell(struct exchange *exchange, struct ws_farewell farewell) {
  char reason[WS_CONTROL_MAX] = "";
  if (farewell.reason.len > 0) memcpy(reason, farewell.reason.ptr, farewell.reason.len);
  role_ws_close(exchange, farewell.code, "");
  exchange->flags &= (uint16_t)~EXCHANGE_LINGER;
}

/* One event of the reader. False: nothing more is to be read. */
static bool take(struct exchange *exchange, struct ws_reader *reader, enum ws_event event) {
  struct input input = {.bytes = ws_reader_payload(reader), .is_binary = ws_reader_is_binary(reader)};
  struct ws_farewell farewell = ws_reader_farewell(reader);
  switch (event) {
    case WS_MESSAGE: native_receive(exchange, &input); break;
    case WS_PING: role_ws_push(exchange, WS_OPCODE_PONG, input.bytes); break;
    case WS_CLOSE: on_farewell(exchange, farewell); return false;
    case WS_ERROR: {
      char reason[WS_CONTROL_MAX] = "";
      memcpy(reason, farewell.reason.ptr, farewell.reason.len < sizeof reason ? farewell.reason.len : sizeof reason - 1);
      role_ws_close(exchange, farewell.code, reason);
      return false;
    }
    case WS_PONG:
    case WS_MORE: break;
  }
  return exchange->state == EXCHANGE_STREAMING;
}

/* Gives the reader that was used back to the worker, or leaves it with the session if it is in the middle of something. */
static void put_reader(struct exchange *exchange, struct ws_reader *reader) {
  struct worker *worker = exchange_worker(exchange);
  if (exchange->state == EXCHANGE_STREAMING && !ws_reader_idle(reader)) {
    struct native *native = native_get(exchange);
    if (native) {
      native->reader = reader;
      return;
    }
    exchange_break(exchange);
  }
  if (!worker->spare_reader && ws_reader_idle(reader)) {
    worker->spare_reader = reader;
  } else {
    ws_reader_free(reader);
  }
}

static struct ws_reader *get_reader(struct exchange *exchange) {
  struct worker *worker = exchange_worker(exchange);
  struct ws_reader *reader = NULL;
  if (exchange->flags & EXCHANGE_NATIVE) {
    struct native *native = conn_of(exchange)->native;
    reader = native->reader;
    native->reader = NULL;
  }
  if (reader) return reader;
  reader = worker->spare_reader;
  worker->spare_reader = NULL;
  return reader ? reader : ws_reader_new(&worker->ws_limits);
}

static void on_read(struct exchange *exchange, struct bytes bytes) {
  struct ws_reader *reader = get_reader(exchange);
  if (!reader) {
    exchange_break(exchange);
    return;
  }
  exchange->flags &= (uint16_t)~EXCHANGE_PINGED;
  char *at = (char *)(uintptr_t)bytes.ptr;
  for (bool more = true; more;) {
    size_t used = 0;
    enum ws_event event = ws_reader_next(reader, at, bytes.len, &used);
    at += used;
    bytes.len -= used;
    more = event != WS_MORE && take(exchange, reader, event);
  }
  put_reader(exchange, reader);
}

/* ---- The upgrade ---------------------------------------------------------------------------------------------------------- */

static struct bytes choose_protocol(const struct http_head *head) {
  struct ws_offers offers = {0};
  struct bytes protocol;
  while (ws_handshake_offer(head, &offers, &protocol)) {
    if (bytes_equal(protocol, native_protocol)) return native_protocol;
  }
  return bytes_of(NULL, 0);
}

/* Who it is, if that is known by now: `connected` is the errand that brought it in, `http` what it will be judged by. Takes http. */
static bool set_identity(struct exchange *exchange, struct errand *connected, struct http_copy *http) {
  if (connected && native_identify(exchange, connected->client) < 0) return false;
  if (connected) native_keep(exchange, connected);
  struct native *native = http ? native_get(exchange) : NULL;
  if (native) {
    native->http = http;
  } else {
    memory_free(http);
  }
  return native || !http;
}

/* Answers with the upgrade. Both arguments may be NULL; takes http. */
static void upgrade(struct exchange *exchange, struct errand *connected, struct http_copy *http) {
  struct worker *worker = exchange_worker(exchange);
  const struct http_head *head = http_reader_head(conn_of(exchange)->http->reader);
  struct bytes key, protocol = choose_protocol(head);
  struct buffer out, ahead;
  buffer_init(&out);
  bool fine =
      ws_handshake_judge(head, &key).status == 0 && ws_handshake_accept(&out, key, protocol, bytes_of(NULL, 0)) && !out.failed;
  if (!fine) {
    memory_free(http);
    exchange_refuse(exchange, 503, "unavailable", "no memory", bytes_of(NULL, 0));
  } else {
    exchange->wire = WIRE_WS;
    if (protocol.len > 0) exchange->flags |= EXCHANGE_CONNECTING | EXCHANGE_MOONWIRE_1;
    atomic_fetch_add_explicit(&worker->server->bus.formats[WIRE_WS], 1, memory_order_relaxed);
    exchange_upgrade(exchange, buffer_bytes(&out), &ahead);
    if (!set_identity(exchange, connected, http)) {
      exchange->flags |= EXCHANGE_BROKEN;
    } else if (ahead.len > 0) {
      on_read(exchange, buffer_bytes(&ahead));
    }
    buffer_deinit(&ahead);
  }
  buffer_deinit(&out);
}

static void start_native(struct exchange *exchange, struct http1 *http) {
  bool authenticates = exchange_worker(exchange)->server->config->options.authenticate;
  /* It says who it is when it is connected; what the upgrade says of it is kept till then. */
  struct http_copy *copy = authenticates ? roles_copy_http(exchange, http) : NULL;
  if (authenticates && !copy) {
    exchange_refuse(exchange, 503, "unavailable", "no memory", bytes_of(NULL, 0));
  } else {
    upgrade(exchange, NULL, copy);
  }
}

static void start(struct exchange *exchange) {
  struct http1 *http = conn_of(exchange)->http;
  struct mw_server *server = exchange_worker(exchange)->server;
  const struct mw_config_options *options = &server->config->options;
  const struct http_head *head = http_reader_head(http->reader);
  struct buffer fields;
  buffer_init(&fields);
  bool allowed = roles_judge_origin(exchange, http, &fields);
  buffer_deinit(&fields);
  struct bytes key;
  struct http_error error = ws_handshake_judge(head, &key);
  if (!allowed) {
    exchange_refuse(exchange, 403, "forbidden", "the origin is not allowed", bytes_of(NULL, 0));
  } else if (error.status != 0) {
    exchange_refuse_with(exchange, error.status, exchange_code(error.status), error.reason, ws_handshake_fields(error.status));
  } else if (server_stopping(server)) {
    exchange_refuse(exchange, 503, "unavailable", "the server is stopping", bytes_of(NULL, 0));
  } else if (choose_protocol(head).len > 0) {
    start_native(exchange, http);
  } else if (options->authenticate || options->connects || options->disconnects) {
    struct errand *errand = roles_connect_errand(exchange, http, BYTES("websocket"), NULL, 0);
    if (!errand || !exchange_ask(exchange, errand))
      exchange_refuse(exchange, 503, "unavailable", "too much is waiting", bytes_of(NULL, 0));
  } else {
    upgrade(exchange, NULL, NULL);
  }
}

static void on_answer(struct exchange *exchange, struct errand *errand) {
  if (exchange->state == EXCHANGE_STREAMING) {
    native_on_answer(exchange, errand);
  } else if (errand->status != 200) {
    exchange_refuse(exchange, errand->status, errand->code, errand->reason, bytes_of(NULL, 0));
  } else {
    upgrade(exchange, errand, NULL);
  }
}

static void on_late(struct exchange *exchange) {
  exchange_refuse(exchange, 503, "unavailable", "the app did not answer in time", bytes_of(NULL, 0));
}

/* Nothing was heard for a while: one that speaks moonwire.1 is asked in its own words, since a page cannot see ping frames. */
static void on_silent(struct exchange *exchange) {
  /* What it says is not read at the moment, or is being judged. */
  bool unheard = exchange->flags & EXCHANGE_NATIVE && conn_of(exchange)->native->reading_stopped;
  bool judged = exchange->flags & EXCHANGE_CONNECTING && exchange->errand;
  if (unheard || judged) return;
  if (exchange->flags & EXCHANGE_CONNECTING) {
    role_ws_close(exchange, 4408, "no connect came");
  } else if (exchange->flags & EXCHANGE_PINGED) {
    conn_abort(conn_of(exchange));
  } else {
    exchange->flags |= EXCHANGE_PINGED;
    if (exchange->flags & EXCHANGE_MOONWIRE_1) {
      role_ws_push(exchange, WS_OPCODE_TEXT, BYTES("{\"ping\":true}"));
    } else {
      role_ws_push(exchange, WS_OPCODE_PING, bytes_of(NULL, 0));
    }
  }
}

static void on_end(struct exchange *exchange) {
  if (exchange->state != EXCHANGE_STREAMING) return;
  atomic_fetch_sub_explicit(&exchange_worker(exchange)->server->bus.formats[WIRE_WS], 1, memory_order_relaxed);
}

const struct role role_ws = {
    .start = start, .on_answer = on_answer, .on_late = on_late, .on_read = on_read, .on_silent = on_silent, .on_end = on_end};
