#include "http/http1.h"

#include "base/log_limit.h"
#include "base/memory.h"
#include "codec/query.h"
#include "http/router.h"
#include "net/file.h"

/* What a client may send ahead while its request is being answered: one read's worth, then reading stops. */
enum { STASH_MAX = 64 * 1024 };

/* What a connection between requests may keep of the last path, for the next one. */
enum { IDLE_PATH_MAX = 256 };

/* What is of the connection, not of the request. */
enum { KEPT_FLAGS = EXCHANGE_PRIVATE | EXCHANGE_HALF_CLOSED };

static const struct bytes continue_head = {"HTTP/1.1 100 Continue\r\n\r\n", 25};

struct http1 *http1_new(const struct mw_config *config, struct conn *conn) {
  const struct mw_limits *limits = &config->options.limits;
  struct http1 *http = memory_calloc(1, sizeof *http);
  if (!http) return NULL;
  http->limits =
      (struct http_limits){.target = limits->target, .head = limits->head, .fields = limits->fields, .body = limits->body};
  http->reader = http_reader_new(&http->limits);
  if (!http->reader) {
    memory_free(http);
    return NULL;
  }
  http->request.head = http_reader_head(http->reader);
  budget_init(&http->budget, &conn->exchange);
  holder_init(&http->holder, &conn->exchange, false);
  buffer_init(&http->stash);
  buffer_init(&http->request.path);
  return http;
}

static void destroy(struct http1 *http) {
  file_close(http->request.file);
  http_reader_free(http->reader);
  buffer_deinit(&http->stash);
  buffer_deinit(&http->request.path);
  memory_free(http);
}

void http1_release(struct conn *conn) {
  struct http1 *http = conn->http;
  conn->http = NULL;
  if (!http) return;
  budget_deinit(&http->budget);
  unfinished_release(conn_http(conn), &http->holder);
  if (http->feeding) {
    http->released = true;
  } else {
    destroy(http);
  }
}

void http1_hand_over(struct conn *conn, struct buffer *ahead) {
  struct http1 *http = conn->http;
  *ahead = http->stash;
  buffer_init(&http->stash);
  http->handed_over = true;
  if (ahead->len >= STASH_MAX) stream_read_start(&conn->stream);
  http1_release(conn);
}

struct budget *exchange_budget(struct exchange *exchange) {
  struct http1 *http = conn_of(exchange)->http;
  return http ? &http->budget : NULL;
}

struct request *exchange_request(struct exchange *exchange) {
  struct http1 *http = exchange->flags & EXCHANGE_NATIVE ? NULL : conn_of(exchange)->http;
  return http ? &http->request : NULL;
}

void exchange_shed(struct exchange *exchange) {
  static const struct bytes names[] = {{"origin", 6}, {"host", 4}};
  struct http1 *http = conn_of(exchange)->http;
  http_reader_shed(http->reader, names, sizeof names / sizeof *names);
  http->request.body = bytes_of(NULL, 0);
  buffer_deinit(&http->request.path);
}

bool http1_waits(const struct http1 *http) { return http && http->served && http_reader_idle(http->reader); }

static void refuse(struct conn *conn, struct http1 *http) {
  struct bytes allow = http->request.refused_status == 405 ? bytes_string(http->request.allow) : bytes_of(NULL, 0);
  exchange_refuse(&conn->exchange, http->request.refused_status, exchange_code(http->request.refused_status),
                  http->request.refused_reason, allow);
}

static void log_request(struct conn *conn, const struct http_head *head) {
  char target[201], remote[REMOTE_MAX];
  query_redact(head->target, target, sizeof target);
  stream_remote(&conn->stream, remote, sizeof remote);
  log_limited(MW_LOG_DEBUG, "request from %s: %.*s %s", remote, (int)head->method.len, head->method.ptr, target);
}

static void on_head(struct conn *conn, struct http1 *http) {
  struct exchange *exchange = &conn->exchange;
  const struct http_head *head = http_reader_head(http->reader);
  exchange->flags &= KEPT_FLAGS;
  if (head->keep_alive) exchange->flags |= EXCHANGE_KEEP_ALIVE;
  if (head->minor > 0) exchange->flags |= EXCHANGE_CHUNKED;
  if (bytes_equal(head->method, BYTES("HEAD"))) exchange->flags |= EXCHANGE_NO_BODY;
  conn_http(conn)->stats->requests++;
  exchange_set_state(exchange, EXCHANGE_READING);
  http->request.body = bytes_of(NULL, 0);
  router_find(exchange, &http->request);
  if (!http->request.role && http->request.refused_status == 503) {
    /* Without memory: whoever is cut off comes back, while a stream that is refused does not. */
    conn_abort(conn);
    return;
  }
  if (log_enabled(MW_LOG_DEBUG)) log_request(conn, head);
  if (!http->request.role && head->has_length) {
    /* Not worth its body. */
    exchange->flags |= EXCHANGE_LINGER;
    refuse(conn, http);
  } else if (http->request.role && head->expect_continue) {
    struct blob *blob = blob_new(continue_head);
    if (blob) exchange_push(exchange, blob, blob_bytes(blob));
    blob_unref(blob);
  }
}

static void on_done(struct conn *conn, struct http1 *http) {
  const struct http_head *head = http_reader_head(http->reader);
  budget_charge(&conn->exchange, BUDGET_REQUEST);
  http->request.body = http_reader_body(http->reader);
  /* A client of WebSocket does not speak HTTP after its request, whatever the answer is. */
  if (head->upgrade) conn->exchange.flags &= (uint16_t)~EXCHANGE_KEEP_ALIVE;
  if (http->request.role) exchange_become(&conn->exchange, http->request.role);
  if (http->request.role) {
    http->request.role->start(&conn->exchange);
  } else {
    refuse(conn, http);
  }
}

static void on_error(struct conn *conn, struct http1 *http) {
  struct http_error error = http_reader_error(http->reader);
  if (error.status == 503) {
    conn_abort(conn); /* without memory, likewise */
    return;
  }
  conn->exchange.flags &= KEPT_FLAGS;
  conn->exchange.flags |= EXCHANGE_LINGER;
  http1_salvage(conn);
  exchange_refuse(&conn->exchange, error.status, exchange_code(error.status), error.reason, bytes_of(NULL, 0));
}

void http1_salvage(struct conn *conn) {
  struct http1 *http = conn->http;
  http_reader_salvage(http->reader);
  if (bytes_equal(http_reader_head(http->reader)->method, BYTES("HEAD"))) conn->exchange.flags |= EXCHANGE_NO_BODY;
  http->request.is_shared =
      router_shares(conn_http(conn)->router, conn_http(conn)->app->config, http_reader_head(http->reader)->path);
}

static bool reads(const struct conn *conn) {
  return conn->exchange.state == EXCHANGE_IDLE || conn->exchange.state == EXCHANGE_READING;
}

/* A request that has begun is finished; whether another one begins is a matter of the budget. */
static bool may_read(struct conn *conn) {
  return reads(conn) && (conn->exchange.state == EXCHANGE_READING || budget_left(&conn->exchange) > 0);
}

/* The answer is complete, if not written, and another request may follow: what was sent ahead is answered at once, so that the answers of a
 * turn, and what the requests published, leave together. A peer that does not read its answers is not asked for more. */
static bool may_go_on(const struct conn *conn) {
  const struct exchange *exchange = &conn->exchange;
  if (exchange->state != EXCHANGE_ANSWERING || exchange->role || !(exchange->flags & EXCHANGE_KEEP_ALIVE)) return false;
  if (exchange->flags & EXCHANGE_LINGER || exchange->subscriber.flags & SUBSCRIBER_BROKEN) return false;
  return exchange->subscriber.outbox && exchange->subscriber.outbox->bytes < STASH_MAX;
}

static void stash(struct conn *conn, struct http1 *http, struct bytes bytes) {
  buffer_append(&http->stash, bytes);
  if (http->stash.failed) {
    conn_abort(conn);
  } else if (http->stash.len >= STASH_MAX) {
    stream_read_stop(&conn->stream);
  }
}

/* What the connection holds of a body whose end has not come. */
static void count_unfinished(struct conn *conn, struct http1 *http) {
  if (conn->exchange.state == EXCHANGE_READING) {
    unfinished_hold(conn_http(conn), &http->holder, http_reader_body(http->reader).len, false);
    unfinished_settle(conn_http(conn));
  } else {
    unfinished_release(conn_http(conn), &http->holder);
  }
}

void exchange_give_up(struct exchange *exchange) {
  struct conn *conn = conn_of(exchange);
  unfinished_release(conn_http(conn), &conn->http->holder);
  http_reader_drop_body(conn->http->reader);
  if (!reads(conn)) return; /* it is refused already, or closing */
  http1_salvage(conn);
  conn->exchange.flags |= EXCHANGE_LINGER;
  exchange_refuse(&conn->exchange, 503, "unavailable", "too much is waiting", bytes_of(NULL, 0));
}

static void run(struct conn *conn, struct bytes bytes) {
  struct http1 *http = conn->http;
  http->feeding = true;
  for (enum http_event event = HTTP_HEAD; event != HTTP_MORE && may_read(conn);) {
    size_t used = 0;
    bool was_waiting = http_reader_idle(http->reader);
    event = http_reader_next(http->reader, bytes, &used);
    if (used > 0) bytes = bytes_of(bytes.ptr + used, bytes.len - used);
    switch (event) {
      case HTTP_MORE:
        if (was_waiting && !http_reader_idle(http->reader)) conn_set_deadline(conn);
        break;
      case HTTP_HEAD: on_head(conn, http); break;
      case HTTP_DONE: on_done(conn, http); break;
      case HTTP_ERROR:
        on_error(conn, http);
        bytes.len = 0;
        break;
    }
    if (may_go_on(conn) && bytes.len > 0) {
      http->served = true;
      exchange_set_state(&conn->exchange, EXCHANGE_IDLE);
    }
  }
  http->feeding = false;
  if (!http->released) count_unfinished(conn, http);
  bool handed_over = http->handed_over;
  if (http->released) {
    destroy(http);
    bool listens = handed_over && conn->exchange.state == EXCHANGE_STREAMING;
    if (listens && bytes.len > 0) conn->exchange.role->on_read(&conn->exchange, bytes);
  } else if (bytes.len > 0 && conn->exchange.state < EXCHANGE_STREAMING && !(conn->exchange.flags & EXCHANGE_LINGER)) {
    stash(conn, http, bytes);
    if (reads(conn)) budget_put_off(&conn->exchange);
  }
}

void http1_feed(struct conn *conn, struct bytes bytes) {
  if (conn->exchange.flags & EXCHANGE_LINGER) return;
  if (reads(conn) && !conn->http->feeding && !budget_is_put_off(&conn->exchange)) {
    run(conn, bytes);
  } else {
    stash(conn, conn->http, bytes);
  }
}

static void read_ahead(struct conn *conn) {
  struct buffer ahead = conn->http->stash;
  buffer_init(&conn->http->stash);
  bool ended = conn->exchange.flags & EXCHANGE_HALF_CLOSED;
  if (!ended && ahead.len >= STASH_MAX) stream_read_start(&conn->stream);
  /* The reader lets go of the request that was answered when it is called again. */
  run(conn, buffer_bytes(&ahead));
  buffer_deinit(&ahead);
  if (!ended || budget_is_put_off(&conn->exchange)) return;
  /* It sends nothing more: a stream, or an answer of the script, is for nobody. */
  bool awaits =
      conn->exchange.state == EXCHANGE_STREAMING || conn->exchange.state == EXCHANGE_WAITING || exchange_job(&conn->exchange);
  if (awaits || (reads(conn) && !conn->exchange.subscriber.outbox)) conn_close(conn);
}

void http1_next(struct conn *conn) {
  struct buffer *path = &conn->http->request.path;
  if (path->capacity > IDLE_PATH_MAX) buffer_deinit(path);
  conn->http->served = true;
  exchange_set_state(&conn->exchange, EXCHANGE_IDLE);
  read_ahead(conn);
}

void http1_resume(struct conn *conn) {
  if (reads(conn)) read_ahead(conn);
}
