/* A connection of HTTP/1 (http/http1/http1.h): its beginning, its deadlines, and its end. */
#include "http/http1/http1.h"

/* How long a peer may take to end its side after ours has ended. */
enum { LINGER_MS = 2000 };

static const struct mw_limits *http1_limits(const struct http1_conn *conn) {
  return &conn_http(&conn->conn)->app->config->options.limits;
}

/* ---- Beginning and end ----------------------------------------------------------------------- */

static void init_conn(struct conn *base) { exchange_init(http1_exchange(base), conn_class_of(base)); }

static int open_conn(struct conn *base, bool is_private) {
  struct http1_conn *conn = http1_conn_of(base);
  if (is_private) conn->exchange.of_protocol |= HTTP1_PRIVATE;
  int status = http1_begin_reading(conn);
  exchange_set_deadline(&conn->exchange);
  return status < 0 ? status : stream_read_start(&base->stream);
}

static void close_conn(struct conn *base) { exchange_finish(http1_exchange(base)); }

static void deinit_conn(struct conn *base) {
  struct http1_conn *conn = http1_conn_of(base);
  exchange_deinit(&conn->exchange);
  http1_release(conn);
}

/* An EventSource does not reconnect after a 408, but does after a lost connection. */
static bool asks_for_stream(const struct http1_conn *conn) {
  struct bytes path = conn->exchange.request->head->path;
  return path.len > 0 && bytes_equal(path, config_path(conn_http(&conn->conn)->app->config, ENDPOINT_SSE));
}

static void refuse_unread(struct http1_conn *conn, int status, const char *reason) {
  http_reader_salvage(http1_of(conn)->reader);
  if (asks_for_stream(conn)) {
    conn_close(&conn->conn);
  } else {
    http1_refuse(conn, status, reason);
  }
}

static void stop_conn(struct conn *base, bool is_due) {
  struct http1_conn *conn = http1_conn_of(base);
  const struct http1 *http = http1_of(conn);
  struct exchange *exchange = &conn->exchange;
  exchange->of_protocol &= (uint8_t)~HTTP1_KEEP_ALIVE;
  if (exchange->state >= EXCHANGE_ASKING) {
    exchange_stop(exchange, is_due);
  } else if (http && !http_reader_idle(http->reader)) {
    /* until then the rest of the request may come */
    if (is_due) refuse_unread(conn, 503, "the server is stopping");
  } else if (exchange->subscriber.outbox) {
    exchange->of_protocol |= HTTP1_ENDED; /* closed when the answers that wait are written */
  } else {
    conn_close(base);
  }
}

static void reset_exchange(struct exchange *exchange, enum reset_reason reason) {
  struct conn *conn = &http1_of_exchange(exchange)->conn;
  if (reason == RESET_ABORTED) {
    conn_abort(conn);
  } else {
    conn_close(conn);
  }
}

/* ---- Events ---------------------------------------------------------------------------------- */

static bool may_read_conn(struct conn *base) {
  struct exchange *exchange = http1_exchange(base);
  return budget_left(&exchange->subscriber) > 0 && !budget_is_put_off(&exchange->subscriber);
}

static void on_conn_read(struct conn *base, struct bytes bytes) {
  struct http1_conn *conn = http1_conn_of(base);
  budget_charge(&conn->exchange.subscriber, bytes.len);
  http1_feed(conn, bytes);
}

/* A WebSocket that ends without a close frame has its own code (RFC 6455 section 7.1.5). */
static void note_departure(struct exchange *exchange, int status) {
  enum { CODE_ABNORMAL = 1006 };
  bool is_reset = status < 0 && status != UV_EOF, is_two_way = exchange->subscriber.sink->is_two_way;
  enum departure why = is_reset ? DEPARTURE_RESET : DEPARTURE_CLOSED;
  exchange_http(exchange)->sessions->depart(&exchange->subscriber, why, !is_reset && is_two_way ? CODE_ABNORMAL : 0);
}

/* A peer that has ended its side still receives answers that do not need the script, including
 * those that wait while a further request has begun. A peer that waits for the script, or has a
 * stream, has disconnected. */
static void on_conn_end(struct conn *base, int status) {
  struct exchange *exchange = http1_exchange(base);
  bool asks = exchange->state == EXCHANGE_ASKING && !exchange_job(exchange) && !exchange->role->needs_peer;
  bool answered = exchange->state < EXCHANGE_ASKING && (exchange->subscriber.outbox || budget_is_put_off(&exchange->subscriber));
  bool answers = exchange->state == EXCHANGE_ANSWERING && !(exchange->of_protocol & HTTP1_LINGERING);
  if ((answers || asks || answered) && status == UV_EOF) {
    exchange->of_protocol |= HTTP1_ENDED;
    exchange->of_protocol &= (uint8_t)~HTTP1_LINGER;
    exchange->request->peer_ended = true;
  } else {
    note_departure(exchange, status);
    conn_close(base);
  }
}

static void on_conn_written(struct conn *base, int status) {
  struct exchange *exchange = http1_exchange(base);
  if (exchange->state == EXCHANGE_OVER || status < 0) {
    exchange->subscriber.outbox->writing = 0;
    note_departure(exchange, status);
    conn_close(base);
    return;
  }
  exchange_note_writing(exchange);
  subscriber_written(&exchange->subscriber, 0);
}

static size_t unwritten_of(const struct exchange *exchange) {
  return stream_unwritten(&http1_of_exchange(exchange)->conn.stream);
}

static struct conn *http1_conn_at(struct exchange *exchange) { return &http1_of_exchange(exchange)->conn; }

/* ---- Deadlines ------------------------------------------------------------------------------- */

static uint32_t *heard_by(struct exchange *exchange) { return &http1_of_exchange(exchange)->conn.timer.note; }

static void set_deadline(struct exchange *exchange, uint64_t delay_ms) {
  struct http1_conn *conn = http1_of_exchange(exchange);
  const struct mw_limits *limits = http1_limits(conn);
  bool writes = exchange->subscriber.outbox != NULL;
  if (exchange->state == EXCHANGE_OVER) return;
  if (exchange->of_protocol & HTTP1_LINGERING) {
    delay_ms = LINGER_MS;
  } else if (exchange->state == EXCHANGE_IDLE && !writes) {
    delay_ms = http1_waits(http1_of(conn)) ? limits->idle_ms : limits->head_ms;
  } else if (exchange->state == EXCHANGE_READING && !writes) {
    delay_ms = limits->body_ms;
  }
  timer_start(&conn_http(&conn->conn)->timers, &conn->conn.timer, delay_ms);
}

static void on_conn_due(struct conn *base) {
  struct http1_conn *conn = http1_conn_of(base);
  const struct http1 *http = http1_of(conn);
  bool begins = http1_reads(conn) && !conn->exchange.subscriber.outbox;
  if (conn->exchange.of_protocol & HTTP1_LINGERING) {
    conn_close(base);
  } else if (!begins) {
    exchange_on_due(&conn->exchange);
  } else if (stream_has_unread(&base->stream)) {
    /* After a handler that has computed for long, deadlines come before input. What has arrived in time is
     * read first, and decides. */
    timer_start(&conn_http(base)->timers, &base->timer, 1);
  } else if (conn->exchange.state == EXCHANGE_READING) {
    limit_count(&conn_http(base)->app->limits, MW_LIMIT_BODY_SECONDS);
    refuse_unread(conn, 408, "the body of the request did not arrive in time");
  } else if (http && !http_reader_idle(http->reader)) {
    limit_count(&conn_http(base)->app->limits, MW_LIMIT_HEAD_SECONDS);
    refuse_unread(conn, 408, "the head of the request did not arrive in time");
  } else {
    limit_count(&conn_http(base)->app->limits, http1_waits(http) ? MW_LIMIT_IDLE_SECONDS : MW_LIMIT_HEAD_SECONDS);
    conn_close(base);
  }
}

static void flush_conn(struct conn *base) { (void)base; /* its one exchange writes by itself */ }

const struct protocol http1_protocol = {.name = "http/1.1",
                                        .conn_at = offsetof(struct http1_conn, conn),
                                        .init = init_conn,
                                        .open = open_conn,
                                        .may_read = may_read_conn,
                                        .on_read = on_conn_read,
                                        .on_end = on_conn_end,
                                        .on_written = on_conn_written,
                                        .on_due = on_conn_due,
                                        .flush = flush_conn,
                                        .stop = stop_conn,
                                        .close = close_conn,
                                        .deinit = deinit_conn,
                                        .sink = &http1_sink,
                                        .begin = http1_begin,
                                        .end = http1_end,
                                        .upgrade = http1_upgrade,
                                        .reset = reset_exchange,
                                        .read = http1_read,
                                        .resume = http1_resume,
                                        .give_up = http1_give_up,
                                        .shed = http1_shed,
                                        .unwritten = unwritten_of,
                                        .conn = http1_conn_at,
                                        .set_deadline = set_deadline,
                                        .heard = heard_by};
