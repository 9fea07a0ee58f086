/* Answers in HTTP/1 (http/http1/http1.h), written to the stream of the connection, which its one
 * exchange does not share. */
#include <assert.h>

#include "codec/http/http_writer.h"
#include "codec/ws/ws_handshake.h"
#include "http/exchange_sink.h"
#include "http/http1/http1.h"
#include "http/http1/http1_head.h"

static_assert((int)SINK_SLICES_MAX <= (int)STREAM_SLICES_MAX, "a stream takes fewer slices than a sink is offered");

/* ---- Beginning and end ----------------------------------------------------------------------- */

static void push_text(struct exchange *exchange, const struct buffer *text) {
  struct blob *blob = text->failed ? NULL : blob_new(buffer_bytes(text));
  if (blob) {
    subscriber_push(&exchange->subscriber, blob, blob_bytes(blob));
    blob_unref(blob);
  } else {
    exchange_break(exchange);
  }
}

static void write_head(struct exchange *exchange, struct buffer *out, const struct answer_head *head) {
  const struct http *http = exchange_http(exchange);
  bool streams = head->length == LENGTH_STREAM;
  struct http1_head text = {.status = head->status,
                            .wall_ms = http->loop->clock.wall_ms,
                            .fields = head->fields,
                            .more = head->more,
                            .keep_alive = exchange->of_protocol & HTTP1_KEEP_ALIVE};
  http1_write_head(out, &text);
  if (head->content_type.len > 0) http_write_field(out, BYTES("Content-Type"), head->content_type);
  /* A head without a body does not state how the body is framed. */
  if (streams) http1_write_stream(out, exchange->of_protocol & HTTP1_CHUNKED && !exchange->request->is_head);
  if (head->length >= 0) http1_write_length(out, (uint64_t)head->length);
  if (!streams) http_write_end(out);
}

void http1_begin(struct exchange *exchange, const struct answer_head *head) {
  bool is_head = exchange->request->is_head, is_body = head->length != LENGTH_NONE && !is_head;
  bool lasts = exchange->state == EXCHANGE_STREAMING;
  if (lasts || app_stopping(exchange_app(exchange)) || exchange->of_protocol & HTTP1_LINGER)
    exchange->of_protocol &= (uint8_t)~HTTP1_KEEP_ALIVE;
  if (lasts) exchange_set_chunked(exchange, exchange->of_protocol & HTTP1_CHUNKED);
  struct rope out;
  rope_init(&out);
  write_head(exchange, &out.text, head);
  budget_charge(&exchange->subscriber, out.text.len);
  if (is_body && lasts && head->rope) {
    carrier_event_stream.frame_rope(&out, head->rope, exchange->subscriber.sink->framing);
  } else if (is_body && head->rope) {
    rope_append(&out, head->rope);
  } else if (is_body) {
    buffer_append(&out.text, head->body);
  }
  if (out.joint_count > 0) {
    subscriber_push_rope(&exchange->subscriber, &out);
  } else {
    push_text(exchange, &out.text);
  }
  rope_deinit(&out);
  if (lasts) http1_release(http1_of_exchange(exchange));
}

void http1_end(struct exchange *exchange) {
  if (exchange->state != EXCHANGE_ENDING || exchange->subscriber.sink->framing != FRAMING_CHUNK) return;
  struct buffer out;
  buffer_init(&out);
  buffer_append(&out, http_last_chunk);
  push_text(exchange, &out);
  buffer_deinit(&out);
}

bool http1_upgrade(struct exchange *exchange, const struct http_fields *fields) {
  struct http1_conn *conn = http1_of_exchange(exchange);
  struct bytes key;
  struct buffer out;
  if (ws_handshake_check(exchange->request->head, &key).status != 0) return false;
  buffer_init(&out);
  if (!http1_write_upgrade(&out, key, fields)) return false;
  exchange->of_protocol &= (uint8_t)~HTTP1_KEEP_ALIVE;
  exchange->of_protocol |= HTTP1_LINGER;
  push_text(exchange, &out);
  buffer_deinit(&out);
  if (http1_of(conn)->pipelined.len > 0) budget_put_off(&exchange->subscriber);
  http1_release(conn);
  return true;
}

/* ---- The sink -------------------------------------------------------------------------------- */

static struct http1_conn *conn_of_subscriber(const struct subscriber *subscriber) {
  return container_of(subscriber, struct http1_conn, exchange.subscriber);
}

static ptrdiff_t http1_sink_write(struct subscriber *subscriber, const struct bytes *slices, size_t count) {
  struct http1_conn *conn = conn_of_subscriber(subscriber);
  ptrdiff_t written = stream_try_write(&conn->conn.stream, slices, count);
  if (written >= 0 && !subscriber->sink->is_two_way) conn->conn.timer.note = conn_http(&conn->conn)->timers.tick;
  return written;
}

static int http1_sink_hold(struct subscriber *subscriber, const struct bytes *slices, size_t count) {
  struct http1_conn *conn = conn_of_subscriber(subscriber);
  int status = stream_write(&conn->conn.stream, slices, count);
  if (status < 0) return status;
  subscriber->outbox->seen_bytes = stream_unwritten(&conn->conn.stream);
  exchange_set_deadline(&conn->exchange);
  return 0;
}

static void http1_sink_drained(struct subscriber *subscriber) {
  exchange_set_deadline(&conn_of_subscriber(subscriber)->exchange);
}

/* Called when the complete answer is written. */
static void after_answer(struct http1_conn *conn) {
  struct exchange *exchange = &conn->exchange;
  if (exchange->of_protocol & HTTP1_LINGERING) return;
  if (exchange->of_protocol & HTTP1_LINGER) {
    exchange->of_protocol |= HTTP1_LINGERING;
    exchange_set_deadline(exchange);
    stream_end(&conn->conn.stream);
  } else if (exchange->of_protocol & HTTP1_KEEP_ALIVE) {
    http1_next(conn);
  } else {
    conn_close(&conn->conn);
  }
}

static void http1_sink_flushed(struct subscriber *subscriber) {
  struct http1_conn *conn = conn_of_subscriber(subscriber);
  struct exchange *exchange = &conn->exchange;
  if (exchange_flushed(exchange)) {
    after_answer(conn);
  } else if (exchange->of_protocol & HTTP1_ENDED && exchange->state < EXCHANGE_ASKING && !subscriber->outbox) {
    if (!budget_is_put_off(&exchange->subscriber)) conn_close(&conn->conn);
  }
}

const struct sink_ops http1_sink = {.write = http1_sink_write,
                                    .hold = http1_sink_hold,
                                    .drained = http1_sink_drained,
                                    .flushed = http1_sink_flushed,
                                    EXCHANGE_REPORTS};
