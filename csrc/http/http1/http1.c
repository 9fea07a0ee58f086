#include "http/http1/http1.h"

#include "base/memory.h"
#include "http/admission/remote.h"

/* The bound of pipelined input: one read's worth. Then reading stops. */
enum { PIPELINED_MAX = 64 * 1024 };

/* How much memory a connection between requests may keep of the last path, for the next one. */
enum { IDLE_PATH_MAX = 256 };

/* Flags of the connection, not of the request. */
enum { KEPT_FLAGS = HTTP1_PRIVATE | HTTP1_ENDED };

static const struct bytes continue_head = {"HTTP/1.1 100 Continue\r\n\r\n", 25};

/* ---- State ----------------------------------------------------------------------------------- */

/* Makes one without a reader. NULL if out of memory. */
static struct http1 *http1_new(struct http1_conn *conn) {
  struct http1 *http = memory_calloc(1, sizeof *http);
  if (!http) return NULL;
  budget_init(&http->budget, &conn->exchange.subscriber);
  holder_init(&http->holder, &conn->exchange, false);
  buffer_init(&http->pipelined);
  buffer_init(&http->request.path);
  http->request.budget = &http->budget;
  conn->exchange.request = &http->request;
  return http;
}

int http1_begin_reading(struct http1_conn *conn) {
  const struct mw_limits *limits = &conn_http(&conn->conn)->app->config->options.limits;
  struct http1 *http = http1_new(conn);
  if (!http) return MW_ENOMEM;
  http->limits =
      (struct http_limits){.target = limits->target, .head = limits->head, .fields = limits->fields, .body = limits->body};
  http->reader = http_reader_new(&http->limits);
  if (!http->reader) return MW_ENOMEM;
  http->request.head = http_reader_head(http->reader);
  return 0;
}

void http1_release(struct http1_conn *conn) {
  struct http1 *http = http1_of(conn);
  if (!http || http->feeding) return;
  unfinished_release(conn_http(&conn->conn), &http->holder);
  buffer_deinit(&http->request.path);
  mw_config_unref(http->request.config);
  http->request.config = NULL;
  http_reader_free(http->reader);
  http->reader = NULL;
  if (http->pipelined.len > 0 && conn->exchange.state != EXCHANGE_OVER) return;
  budget_deinit(conn_http(&conn->conn), &http->budget);
  buffer_deinit(&http->pipelined);
  conn->exchange.request = NULL;
  memory_free(http);
}

void http1_shed(struct exchange *exchange) {
  static const struct bytes names[] = {{"origin", 6}, {"host", 4}};
  struct http1 *http = http1_of(http1_of_exchange(exchange));
  http_reader_shed(http->reader, names, sizeof names / sizeof *names);
  http->request.body = bytes_of(NULL, 0);
  buffer_deinit(&http->request.path);
}

bool http1_waits(const struct http1 *http) { return http && http->served && http_reader_idle(http->reader); }

bool http1_reads(const struct http1_conn *conn) {
  return conn->exchange.state == EXCHANGE_IDLE || conn->exchange.state == EXCHANGE_READING;
}

/* ---- Pipelined input ------ */

/* Keeps the bytes that were not taken. */
static void keep_pipelined(struct http1_conn *conn, struct bytes bytes) {
  if (bytes.len == 0) return;
  struct http1 *http = http1_of(conn);
  if (!http) http = http1_new(conn);
  if (http) buffer_append(&http->pipelined, bytes);
  if (!http || http->pipelined.failed) {
    conn_abort(&conn->conn);
  } else if (http->pipelined.len >= PIPELINED_MAX) {
    stream_read_stop(&conn->conn.stream);
  }
}

/* Takes the pipelined input; the caller owns the buffer. */
static struct buffer take_pipelined(struct http1_conn *conn) {
  struct http1 *http = http1_of(conn);
  struct buffer pipelined = http->pipelined;
  buffer_init(&http->pipelined);
  bool reads_on = !(conn->exchange.of_protocol & HTTP1_ENDED || conn->exchange.flags & EXCHANGE_STOPPED);
  if (reads_on && pipelined.len >= PIPELINED_MAX) stream_read_start(&conn->conn.stream);
  return pipelined;
}

/* Hands bytes to the role of a stream. */
static void feed_role(struct http1_conn *conn, struct bytes bytes) {
  struct exchange *exchange = &conn->exchange;
  /* bytes after the last answer are ignored */
  if (exchange->state > EXCHANGE_ENDING || !exchange->role) return;
  /* Before connect, the time is limited from the upgrade on, regardless of what the peer sends. */
  if (!(exchange->flags & EXCHANGE_CONNECTING)) exchange_note_heard(exchange);
  size_t taken = exchange->role->on_read(exchange, bytes);
  if (taken == bytes.len || exchange->state == EXCHANGE_OVER) return;
  keep_pipelined(conn, bytes_of(bytes.ptr + taken, bytes.len - taken));
  if (!(exchange->flags & EXCHANGE_STOPPED)) budget_put_off(&exchange->subscriber);
}

/* ---- Requests -------------------------------------------------------------------------------- */

static void on_head(struct http1_conn *conn, struct http1 *http) {
  struct exchange *exchange = &conn->exchange;
  const struct http_head *head = http_reader_head(http->reader);
  exchange->flags = 0;
  exchange->of_protocol &= KEPT_FLAGS;
  if (head->keep_alive) exchange->of_protocol |= HTTP1_KEEP_ALIVE;
  if (head->minor > 0) exchange->of_protocol |= HTTP1_CHUNKED;
  http->request.is_private = exchange->of_protocol & HTTP1_PRIVATE;
  http->request.peer_ended = exchange->of_protocol & HTTP1_ENDED;
  if (!exchange_read_head(exchange)) {
    conn_abort(&conn->conn);
  } else if (!http->request.role && head->has_length) {
    /* Not worth its body. */
    exchange->of_protocol |= HTTP1_LINGER;
    exchange_refuse_request(exchange);
  } else if (http->request.role && head->expect_continue) {
    struct blob *blob = blob_new(continue_head);
    if (blob) subscriber_push(&exchange->subscriber, blob, blob_bytes(blob));
    blob_unref(blob);
  }
}

static void http1_on_done(struct http1_conn *conn, struct http1 *http) {
  http->request.body = http_reader_body(http->reader);
  /* A WebSocket client does not speak HTTP after its request, regardless of the answer. */
  if (http_reader_head(http->reader)->upgrade) conn->exchange.of_protocol &= (uint8_t)~HTTP1_KEEP_ALIVE;
  exchange_start(&conn->exchange);
}

static void count_exceeded(struct http1_conn *conn, enum http_bound exceeded) {
  static const enum mw_limit limits[] = {[HTTP_BOUND_TARGET] = MW_LIMIT_TARGET,
                                         [HTTP_BOUND_HEAD] = MW_LIMIT_HEAD,
                                         [HTTP_BOUND_FIELDS] = MW_LIMIT_FIELDS,
                                         [HTTP_BOUND_BODY] = MW_LIMIT_BODY};
  if (exceeded != HTTP_BOUND_NONE) limit_count(&conn_http(&conn->conn)->app->limits, limits[exceeded]);
}

static void on_error(struct http1_conn *conn, struct http1 *http) {
  struct http_error error = http_reader_error(http->reader);
  count_exceeded(conn, error.exceeded);
  if (error.status == 503) {
    conn_abort(&conn->conn); /* out of memory: a client that is disconnected reconnects */
    return;
  }
  conn->exchange.flags = 0;
  conn->exchange.of_protocol &= KEPT_FLAGS;
  http1_refuse(conn, error.status, error.reason);
}

void http1_refuse(struct http1_conn *conn, int status, const char *reason) {
  http_reader_salvage(http1_of(conn)->reader);
  exchange_salvage(&conn->exchange);
  conn->exchange.of_protocol |= HTTP1_LINGER;
  const char *code = status == 408 ? "bad_request" : exchange_code(status);
  exchange_refuse(&conn->exchange, status, code, reason, bytes_of(NULL, 0));
}

/* A request that has begun is finished. Whether another one begins depends on the budget. */
static bool may_read(struct http1_conn *conn) {
  return http1_reads(conn) && (conn->exchange.state == EXCHANGE_READING || budget_left(&conn->exchange.subscriber) > 0);
}

/* True if the answer is complete, if not written, and another request may follow. What was sent
 * ahead is answered immediately, so that the answers of a turn, and what the requests published,
 * leave together. If a peer does not read its answers, its further requests wait. */
static bool may_go_on(const struct http1_conn *conn) {
  const struct exchange *exchange = &conn->exchange;
  if (exchange->state != EXCHANGE_ANSWERING || exchange->role || !(exchange->of_protocol & HTTP1_KEEP_ALIVE)) return false;
  if (exchange->of_protocol & HTTP1_LINGER || exchange->subscriber.flags & SUBSCRIBER_BROKEN) return false;
  return exchange->subscriber.outbox && exchange->subscriber.outbox->bytes < PIPELINED_MAX;
}

/* Accounts for the incomplete body that the connection holds. */
static void count_unfinished(struct http1_conn *conn, struct http1 *http) {
  struct http *all = conn_http(&conn->conn);
  if (conn->exchange.state == EXCHANGE_READING) {
    unfinished_hold(all, &http->holder, http_reader_body(http->reader).len, false);
    unfinished_settle(all);
  } else {
    unfinished_release(all, &http->holder);
  }
}

void http1_give_up(struct exchange *exchange) {
  struct http1_conn *conn = http1_of_exchange(exchange);
  struct http1 *http = http1_of(conn);
  unfinished_release(conn_http(&conn->conn), &http->holder);
  http_reader_drop_body(http->reader);
  /* else it is refused already, or closing */
  if (http1_reads(conn)) http1_refuse(conn, 503, unfinished_refusal);
}

/* Reads one event; `bytes` keeps the rest. */
static enum http_event read_next(struct http1_conn *conn, struct http1 *http, struct bytes *bytes) {
  size_t used = 0;
  bool was_waiting = http_reader_idle(http->reader);
  enum http_event event = http_reader_next(http->reader, *bytes, &used);
  if (used > 0) *bytes = bytes_of(bytes->ptr + used, bytes->len - used);
  switch (event) {
    case HTTP_MORE:
      if (was_waiting && !http_reader_idle(http->reader)) exchange_set_deadline(&conn->exchange);
      break;
    case HTTP_HEAD: on_head(conn, http); break;
    case HTTP_DONE: http1_on_done(conn, http); break;
    case HTTP_ERROR:
      on_error(conn, http);
      bytes->len = 0;
      break;
  }
  return event;
}

/* Reads requests as long as one may begin, and keeps the rest, or hands it to the stream that has
 * begun. */
static void read_requests(struct http1_conn *conn, struct bytes bytes) {
  struct http1 *http = http1_of(conn);
  struct exchange *exchange = &conn->exchange;
  http->feeding = true;
  for (enum http_event event = HTTP_HEAD; event != HTTP_MORE && may_read(conn);) {
    event = read_next(conn, http, &bytes);
    if (may_go_on(conn) && bytes.len > 0) {
      http->served = true;
      exchange_set_state(exchange, EXCHANGE_IDLE);
    }
  }
  http->feeding = false;
  if (exchange->state >= EXCHANGE_STREAMING) {
    http1_release(conn);
    if (bytes.len > 0) feed_role(conn, bytes);
    return;
  }
  count_unfinished(conn, http);
  if (bytes.len > 0 && !(exchange->of_protocol & HTTP1_LINGER)) {
    keep_pipelined(conn, bytes);
    if (http1_reads(conn)) budget_put_off(&exchange->subscriber);
  }
}

void http1_feed(struct http1_conn *conn, struct bytes bytes) {
  struct exchange *exchange = &conn->exchange;
  struct http1 *http = http1_of(conn);
  bool streams = exchange->state >= EXCHANGE_STREAMING;
  if (exchange->state == EXCHANGE_OVER || (!streams && exchange->of_protocol & HTTP1_LINGER)) return;
  if (streams && (!http || http->pipelined.len == 0)) {
    feed_role(conn, bytes);
  } else if (!streams && http1_reads(conn) && !http->feeding && !budget_is_put_off(&exchange->subscriber)) {
    read_requests(conn, bytes);
  } else {
    keep_pipelined(conn, bytes);
  }
}

static void read_pipelined(struct http1_conn *conn) {
  struct exchange *exchange = &conn->exchange;
  struct buffer pipelined = take_pipelined(conn);
  /* The reader drops the request that was answered when it is called again. */
  read_requests(conn, buffer_bytes(&pipelined));
  buffer_deinit(&pipelined);
  if (!(exchange->of_protocol & HTTP1_ENDED) || budget_is_put_off(&exchange->subscriber)) return;
  /* The peer sends nothing more: a stream, or an answer of the script, would reach no one. */
  bool awaits = exchange->state == EXCHANGE_STREAMING || exchange->state == EXCHANGE_WAITING || exchange_job(exchange);
  if (awaits || (http1_reads(conn) && !exchange->subscriber.outbox)) conn_close(&conn->conn);
}

void http1_next(struct http1_conn *conn) {
  struct http1 *http = http1_of(conn);
  struct buffer *path = &http->request.path;
  if (path->capacity > IDLE_PATH_MAX) buffer_deinit(path);
  http->served = true;
  remote_end_request(&conn->conn);
  exchange_set_state(&conn->exchange, EXCHANGE_IDLE);
  read_pipelined(conn);
}

void http1_resume(struct exchange *exchange) {
  struct http1_conn *conn = http1_of_exchange(exchange);
  if (!http1_of(conn)) return;
  if (http1_reads(conn)) {
    read_pipelined(conn);
  } else if (exchange->state >= EXCHANGE_STREAMING && !(exchange->flags & EXCHANGE_STOPPED)) {
    struct buffer pipelined = take_pipelined(conn);
    feed_role(conn, buffer_bytes(&pipelined));
    buffer_deinit(&pipelined);
    http1_release(conn);
  }
}

void http1_read(struct exchange *exchange, bool on) {
  struct http1_conn *conn = http1_of_exchange(exchange);
  const struct http1 *http = http1_of(conn);
  if (!on) {
    stream_read_stop(&conn->conn.stream);
    return;
  }
  bool has_room = !http || http->pipelined.len < PIPELINED_MAX;
  if (has_room && !(exchange->of_protocol & HTTP1_ENDED)) stream_read_start(&conn->conn.stream);
  if (http && http->pipelined.len > 0) budget_put_off(&exchange->subscriber);
}
