#include "transport/websocket/ws_input.h"

#include "app/socket.h"
#include "base/memory.h"
#include "http/unfinished.h"
#include "transport/exchange_session.h"
#include "transport/transport.h"
#include "transport/websocket/deflate.h"

/* What a WebSocket has in the middle of a message. */
struct kept_input {
  struct ws_reader *reader; /* NULL while it is used */
  struct holder holder;     /* of the unfinished message in it */
};

/* Returns NULL between messages. */
static struct kept_input *kept_input_of(struct exchange *exchange) {
  const struct session *session = session_of(&exchange->subscriber);
  return session && session->backlog ? session->backlog->arriving : NULL;
}

struct ws_reader *ws_input_detach(struct exchange *exchange) {
  struct kept_input *input = kept_input_of(exchange);
  if (!input) return NULL;
  struct ws_reader *reader = input->reader;
  input->reader = NULL;
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
  struct session *session = session_of(&exchange->subscriber);
  struct kept_input *input = kept_input_of(exchange);
  if (!input) return;
  unfinished_release(exchange_http(exchange), &input->holder);
  memory_free(input);
  session->backlog->arriving = NULL;
  session_release_backlog(session);
}

/* Returns NULL if out of memory. */
static struct kept_input *kept_input_get(struct exchange *exchange) {
  struct kept_input *input = kept_input_of(exchange);
  if (input) return input;
  struct session *session = session_get(&exchange->subscriber);
  struct input_backlog *backlog = session ? session_backlog(session) : NULL;
  if (!backlog) return NULL;
  input = backlog->arriving = memory_calloc(1, sizeof *input);
  if (input) holder_init(&input->holder, exchange, true);
  session_release_backlog(session);
  return input;
}

/* Keeps a reader that is not idle, for this session alone. */
static void keep_reader(struct exchange *exchange, struct ws_reader *reader, bool is_new) {
  struct kept_input *input = kept_input_get(exchange);
  if (!input) {
    ws_reader_free(reader);
    exchange_break(exchange);
    return;
  }
  input->reader = reader;
  if (ws_reader_unfinished(reader)) {
    unfinished_hold(exchange_http(exchange), &input->holder, ws_reader_held(reader), is_new);
  } else {
    unfinished_release(exchange_http(exchange), &input->holder);
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
