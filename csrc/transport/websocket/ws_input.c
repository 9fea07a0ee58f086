#include "transport/websocket/ws_input.h"

#include "app/socket.h"
#include "base/memory.h"
#include "transport/exchange_session.h"
#include "transport/transport.h"
#include "transport/websocket/deflate.h"

struct ws_reader *ws_input_detach(struct exchange *exchange) {
  struct exchange_session *session = exchange_session_of(exchange);
  if (!session || !session->input) return NULL;
  struct ws_reader *reader = session->input->reader;
  session->input->reader = NULL;
  return reader;
}

static const struct ws_limits *ws_input_limits(struct exchange *exchange) {
  const struct mw_socket *socket = exchange_session_socket(exchange);
  return socket ? &socket->websocket->limits : &exchange_http(exchange)->transport->ws_limits;
}

struct ws_reader *ws_input_borrow(struct exchange *exchange) {
  struct http *http = exchange_http(exchange);
  struct ws_reader *reader = ws_input_detach(exchange);
  if (reader) return reader;
  reader = http->transport->spare;
  http->transport->spare = NULL;
  if (!reader) reader = ws_reader_new(ws_input_limits(exchange));
  if (!reader) return NULL;
  ws_reader_set_limits(reader, ws_input_limits(exchange));
  ws_reader_set_terms(reader, deflate_terms(exchange));
  return reader;
}

static void release_reader(struct exchange *exchange) {
  struct exchange_session *session = exchange_session_of(exchange);
  if (!session || !session->input) return;
  unfinished_release(exchange_http(exchange), &session->input->holder);
  memory_free(session->input);
  session->input = NULL;
}

/* Keeps a reader that is not idle, for this session alone. */
static void keep_reader(struct exchange *exchange, struct ws_reader *reader, bool is_new) {
  struct exchange_session *session = exchange_session_get(exchange);
  if (session && !session->input && (session->input = memory_calloc(1, sizeof *session->input)))
    holder_init(&session->input->holder, exchange, true);
  if (!session || !session->input) {
    ws_reader_free(reader);
    exchange_break(exchange);
    return;
  }
  session->input->reader = reader;
  if (ws_reader_unfinished(reader)) {
    unfinished_hold(exchange_http(exchange), &session->input->holder, ws_reader_held(reader), is_new);
  } else {
    unfinished_release(exchange_http(exchange), &session->input->holder);
  }
}

void ws_input_return(struct exchange *exchange, struct ws_reader *reader, bool is_new) {
  struct http *http = exchange_http(exchange);
  if (!ws_reader_idle(reader)) {
    keep_reader(exchange, reader, is_new);
    return;
  }
  release_reader(exchange);
  if (!http->transport->spare) {
    http->transport->spare = reader;
  } else {
    ws_reader_free(reader);
  }
}

void ws_input_drop(struct exchange *exchange, struct ws_reader *reader) {
  release_reader(exchange);
  ws_reader_free(reader);
}
