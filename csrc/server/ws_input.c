#include "server/ws_input.h"

#include "server/conn.h"
#include "server/deflate.h"
#include "server/native.h"
#include "server/role_socket.h"
#include "server/server.h"

struct ws_reader *ws_input_detach(struct exchange *exchange) {
  if (!(exchange->flags & EXCHANGE_NATIVE)) return NULL;
  struct native *native = conn_of(exchange)->native;
  struct ws_reader *reader = native->reader;
  native->reader = NULL;
  if (reader) exchange_worker(exchange)->unfinished -= ws_reader_held(reader);
  return reader;
}

static const struct ws_limits *limits_of(struct exchange *exchange) {
  const struct mw_socket *socket = role_socket_of(exchange);
  return socket ? &socket->websocket->limits : &exchange_worker(exchange)->ws_limits;
}

struct ws_reader *ws_input_borrow(struct exchange *exchange) {
  struct worker *worker = exchange_worker(exchange);
  struct ws_reader *reader = ws_input_detach(exchange);
  if (reader) return reader;
  reader = worker->spare_reader;
  worker->spare_reader = NULL;
  if (!reader) reader = ws_reader_new(limits_of(exchange));
  if (!reader) return NULL;
  ws_reader_set_limits(reader, limits_of(exchange));
  ws_reader_set_terms(reader, deflate_terms(exchange));
  return reader;
}

bool ws_input_fits(struct exchange *exchange, const struct ws_reader *reader) {
  const struct worker *worker = exchange_worker(exchange);
  size_t held = ws_reader_held(reader), limit = worker->server->config->options.limits.queue;
  if (ws_reader_idle(reader)) return true;
  return worker->unfinished == 0 || (worker->unfinished < limit && held <= limit - worker->unfinished);
}

void ws_input_return(struct exchange *exchange, struct ws_reader *reader) {
  struct worker *worker = exchange_worker(exchange);
  if (!ws_reader_idle(reader)) {
    struct native *native = native_get(exchange);
    if (native) {
      native->reader = reader;
      worker->unfinished += ws_reader_held(reader);
    } else {
      ws_reader_free(reader);
      exchange_break(exchange);
    }
  } else if (!worker->spare_reader) {
    worker->spare_reader = reader;
  } else {
    ws_reader_free(reader);
  }
}

bool ws_input_waits(struct exchange *exchange) {
  return exchange->flags & EXCHANGE_NATIVE && conn_of(exchange)->native->reading_stopped;
}

void ws_input_keep(struct exchange *exchange, struct bytes bytes) {
  struct native *native = native_get(exchange);
  if (native) buffer_append(&native->unread, bytes);
  if (!native || native->unread.failed) exchange_break(exchange);
}

struct buffer ws_input_unread(struct exchange *exchange) {
  struct buffer unread;
  buffer_init(&unread);
  if (exchange->flags & EXCHANGE_NATIVE) {
    unread = conn_of(exchange)->native->unread;
    buffer_init(&conn_of(exchange)->native->unread);
  }
  return unread;
}
