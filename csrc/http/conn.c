#include "http/conn.h"

#include "base/log_limit.h"
#include "base/memory.h"
#include "delivery/subscriber.h"
#include "http/http1.h"
#include "net/stream_peer.h"
#include "server/native.h"

/* How long a peer may take to end its side after ours has ended, and to send its close frame after ours. */
enum { LINGER_MS = 2000, CLOSE_MS = 5000 };

static const struct mw_limits *limits_of(struct conn *conn) { return &conn_http(conn)->app->config->options.limits; }

/* ---- Beginning ------------------------------------------------------------------------------------------------------------ */

/* A connection whose stream is there and not connected. NULL without memory. */
static struct conn *make(struct http *http, enum stream_kind kind) {
  struct conn *conn = memory_calloc(1, offsetof(struct conn, stream) + stream_size(kind));
  if (!conn || stream_init(&conn->stream, &http->streams, kind) < 0) {
    memory_free(conn);
    log_limited(MW_LOG_ERROR, "no memory for a connection");
    return NULL;
  }
  object_count(OBJECT_CONN, 1);
  list_append(&http->conns, &conn->link);
  *(kind == STREAM_NONE ? &http->poll_client_count : &http->conn_count) += 1;
  timer_init(&conn->timer);
  exchange_init(&conn->exchange);
  return conn;
}

/* Its stream is connected: reads the first request. */
static void begin(struct conn *conn, const char *address) {
  struct http *http = conn_http(conn);
  http->stats->accepted++;
  if (log_enabled(MW_LOG_DEBUG)) {
    char remote[REMOTE_MAX];
    stream_remote(&conn->stream, remote, sizeof remote);
    log_limited(MW_LOG_DEBUG, "connect from %s to %s (connections=%zu)", remote, address, http->conn_count);
  }
  if (http->conn_count > limits_of(conn)->connections) {
    log_limited(MW_LOG_WARNING, "refused a connection: limits.connections (%zu) is reached", limits_of(conn)->connections);
    conn_close(conn); /* not by a reset, which many clients take for an error of their connect */
    return;
  }
  stream_set_options(&conn->stream, limits_of(conn)->progress_ms);
  conn->http = http1_new(http->app->config, conn);
  conn_set_deadline(conn);
  if (!conn->http || stream_read_start(&conn->stream) < 0) conn_abort(conn);
}

void conn_accept(struct http *http, struct listener *listener) {
  struct conn *conn = make(http, listener->kind);
  if (!conn) {
    listener_refuse(listener);
    return;
  }
  if (listener->is_private) conn->exchange.flags |= EXCHANGE_PRIVATE;
  if (listener_accept(listener, &conn->stream) < 0) {
    conn_close(conn);
  } else {
    begin(conn, listener->address);
  }
}

int conn_accept_memory(struct http *http, struct stream_peer *peer) {
  struct conn *conn = make(http, STREAM_MEMORY);
  if (!conn) return MW_ENOMEM;
  stream_peer_join(peer, &conn->stream);
  begin(conn, "memory");
  return 0;
}

struct exchange *exchange_without_peer(struct http *http, const struct role *role) {
  struct conn *conn = make(http, STREAM_NONE);
  if (!conn) return NULL;
  conn->timer.note = http->timers.tick;
  exchange_become(&conn->exchange, role);
  exchange_set_state(&conn->exchange, EXCHANGE_READING);
  exchange_set_state(&conn->exchange, EXCHANGE_STREAMING);
  return &conn->exchange;
}

/* ---- Ending --------------------------------------------------------------------------------------------------------------- */

static void finish(struct conn *conn) {
  exchange_end(&conn->exchange);
  exchange_set_state(&conn->exchange, EXCHANGE_OVER);
  conn->exchange.subscriber.flags |= SUBSCRIBER_OVER;
  timer_stop(&conn->timer);
}

void conn_close(struct conn *conn) {
  if (conn->exchange.state == EXCHANGE_OVER) return;
  finish(conn);
  stream_close(&conn->stream);
}

void conn_abort(struct conn *conn) {
  if (conn->exchange.state == EXCHANGE_OVER) return;
  finish(conn);
  stream_abort(&conn->stream);
}

void conn_on_closed(struct stream *stream) {
  struct conn *conn = container_of(stream, struct conn, stream);
  struct http *http = conn_http(conn);
  delivery_forget(http->delivery, &conn->exchange.subscriber);
  list_remove(&conn->link);
  *(stream_has_peer(stream) ? &http->conn_count : &http->poll_client_count) -= 1;
  /* Stopping waits for the last one, and the turn that sees it may be far away. */
  if (http->conn_count == 0 && http->app->state == APP_STOPPING) loop_wake(http->loop);
  log_limited(MW_LOG_DEBUG, "disconnect (connections=%zu)", http->conn_count);
  http1_release(conn);
  outbox_free(conn->exchange.subscriber.outbox);
  object_count(OBJECT_CONN, -1);
  memory_free(conn);
}

/* ---- Reading -------------------------------------------------------------------------------------------------------------- */

bool conn_may_read(struct stream *stream) {
  struct exchange *exchange = &container_of(stream, struct conn, stream)->exchange;
  return budget_left(exchange) > 0 && !budget_is_put_off(exchange);
}

void conn_on_read(struct stream *stream, struct bytes bytes) {
  struct conn *conn = container_of(stream, struct conn, stream);
  /* What comes on a stream, or after the last answer, is nobody's. */
  struct exchange *exchange = &conn->exchange;
  budget_charge(exchange, bytes.len);
  if (exchange->state < EXCHANGE_STREAMING) {
    if (conn->http) http1_feed(conn, bytes);
  } else if (exchange->state <= EXCHANGE_ENDING && exchange->role) {
    /* Who has not said who it is, is given so long from the upgrade, whatever else it says. */
    if (!(exchange->flags & EXCHANGE_CONNECTING)) conn->timer.note = conn_http(conn)->timers.tick;
    exchange->role->on_read(exchange, bytes);
  }
}

void exchange_resume(struct exchange *exchange) {
  struct conn *conn = conn_of(exchange);
  if (exchange->state < EXCHANGE_STREAMING) {
    if (conn->http) http1_resume(conn);
  } else if (exchange->flags & EXCHANGE_NATIVE) {
    native_resume(exchange);
  }
}

void conn_on_end(struct stream *stream, int status) {
  struct conn *conn = container_of(stream, struct conn, stream);
  struct exchange *exchange = &conn->exchange;
  /* A peer that has ended its side still gets the answers that need nobody's leave, also those that are waiting while a further
   * request has begun; one that waits for the script, or streams, has gone. */
  bool answers = exchange->state == EXCHANGE_ANSWERING ||
                 (exchange->state == EXCHANGE_ASKING && !exchange_job(exchange) && !exchange->role->needs_peer);
  bool answered = exchange->state < EXCHANGE_ASKING && (exchange->subscriber.outbox || budget_is_put_off(exchange));
  if ((answers || answered) && status == UV_EOF) {
    exchange->flags |= EXCHANGE_HALF_CLOSED;
    exchange->flags &= (uint16_t)~EXCHANGE_LINGER;
  } else {
    conn_close(conn);
  }
}

void conn_on_written(struct stream *stream, int status) {
  struct conn *conn = container_of(stream, struct conn, stream);
  struct exchange *exchange = &conn->exchange;
  if (exchange->state == EXCHANGE_OVER || status < 0) {
    exchange->subscriber.outbox->writing = 0;
    conn_close(conn);
    return;
  }
  exchange_note_writing(exchange);
  subscriber_written(&exchange->subscriber, 0);
}

/* ---- Deadlines ------------------------------------------------------------------------------------------------------------ */

void conn_set_deadline(struct conn *conn) {
  struct http *http = conn_http(conn);
  const struct mw_limits *limits = limits_of(conn);
  uint64_t delay_ms = limits->progress_ms;
  bool writes = conn->exchange.subscriber.outbox != NULL;
  switch ((enum exchange_state)conn->exchange.state) {
    case EXCHANGE_IDLE:
      if (!writes) delay_ms = http1_waits(conn->http) ? limits->idle_ms : limits->head_ms;
      break;
    case EXCHANGE_READING:
      if (!writes) delay_ms = limits->body_ms;
      break;
    case EXCHANGE_ASKING: delay_ms = limits->answer_ms; break;
    case EXCHANGE_WAITING: delay_ms = conn->exchange.role->left_ms(&conn->exchange); break;
    case EXCHANGE_STREAMING:
      if (!writes) delay_ms = conn->exchange.role->silence_ms(&conn->exchange);
      break;
    case EXCHANGE_ANSWERING: break;
    case EXCHANGE_ENDING:
      if (!writes) delay_ms = CLOSE_MS;
      break;
    case EXCHANGE_LINGERING: delay_ms = LINGER_MS; break;
    case EXCHANGE_OVER: return;
  }
  timer_start(&http->timers, &conn->timer, delay_ms);
}

/* Something is to be written and the deadline for progress is over. */
static void check_progress(struct conn *conn) {
  struct outbox *outbox = conn->exchange.subscriber.outbox;
  size_t unwritten = stream_unwritten(&conn->stream); /* without what was pushed behind it meanwhile */
  if (outbox->writing > 0 && unwritten >= outbox->seen_bytes) {
    conn_http(conn)->stats->dead_closed++;
    log_limited(MW_LOG_INFO, "closed a connection: its peer read nothing for %llu ms (limits.progress_seconds; progress_ms in C)",
                (unsigned long long)limits_of(conn)->progress_ms);
    conn_abort(conn);
    return;
  }
  outbox->seen_bytes = unwritten;
  conn_set_deadline(conn);
}

static void check_silence(struct conn *conn) {
  struct http *http = conn_http(conn);
  struct exchange *exchange = &conn->exchange;
  uint64_t silent_ms = (uint64_t)(http->timers.tick - conn->timer.note) * 1000;
  uint64_t silence_ms = exchange->role->silence_ms(exchange);
  /* A peer that was asked something has until its deadline, whatever else it sends. */
  bool fixed = exchange->flags & (EXCHANGE_CONNECTING | EXCHANGE_PINGED | EXCHANGE_DUE);
  if (!fixed && silent_ms < silence_ms) {
    timer_start(&http->timers, &conn->timer, silence_ms - silent_ms);
    return;
  }
  exchange->role->on_silent(exchange);
  if (exchange->state == EXCHANGE_STREAMING) conn_set_deadline(conn);
}

/* An EventSource does not reconnect after a 408, but after a connection that was lost. */
static bool asks_for_stream(struct conn *conn) {
  struct bytes path = conn->http->request.head->path;
  return path.len > 0 && bytes_equal(path, config_path(conn_http(conn)->app->config, ENDPOINT_SSE));
}

static void refuse_late(struct conn *conn, const char *reason) {
  http1_salvage(conn);
  if (asks_for_stream(conn)) {
    conn_close(conn);
    return;
  }
  conn->exchange.flags |= EXCHANGE_LINGER;
  exchange_refuse(&conn->exchange, 408, "bad_request", reason, bytes_of(NULL, 0));
}

void conn_on_due(struct timers *timers, struct timer *timer) {
  (void)timers;
  struct conn *conn = container_of(timer, struct conn, timer);
  struct exchange *exchange = &conn->exchange;
  if (exchange->subscriber.outbox && exchange->state != EXCHANGE_ASKING && exchange->state != EXCHANGE_WAITING) {
    check_progress(conn);
    return;
  }
  switch ((enum exchange_state)exchange->state) {
    case EXCHANGE_IDLE:
      if (conn->http && !http_reader_idle(conn->http->reader)) {
        refuse_late(conn, "the head of the request did not come in time");
      } else {
        conn_close(conn);
      }
      break;
    case EXCHANGE_READING: refuse_late(conn, "the body of the request did not come in time"); break;
    case EXCHANGE_ASKING:
    case EXCHANGE_WAITING:
      exchange_forget(exchange);
      exchange->role->on_late(exchange);
      break;
    case EXCHANGE_STREAMING: check_silence(conn); break;
    case EXCHANGE_ANSWERING: conn_abort(conn); break;
    case EXCHANGE_ENDING:
    case EXCHANGE_LINGERING: conn_close(conn); break;
    case EXCHANGE_OVER: break;
  }
}

void conn_stop(struct conn *conn) {
  struct exchange *exchange = &conn->exchange;
  exchange->flags &= (uint16_t)~EXCHANGE_KEEP_ALIVE;
  switch ((enum exchange_state)exchange->state) {
    case EXCHANGE_IDLE:
    case EXCHANGE_READING:
      if (exchange->subscriber.outbox) {
        exchange->flags |= EXCHANGE_HALF_CLOSED; /* closed when the answers that wait are written */
      } else {
        conn_close(conn);
      }
      break;
    case EXCHANGE_ASKING:
    case EXCHANGE_WAITING:
      exchange_forget(exchange);
      exchange->role->on_late(exchange);
      break;
    case EXCHANGE_STREAMING: exchange_close(exchange, CLOSE_STOPPING, ""); break;
    case EXCHANGE_ENDING:
      /* The peer's close frame is no longer awaited. */
      exchange_end_role(exchange);
      subscriber_mark(&conn->exchange.subscriber);
      break;
    case EXCHANGE_ANSWERING:
    case EXCHANGE_LINGERING:
    case EXCHANGE_OVER: break;
  }
}

/* ---- What exchanges ask of their connection ---------------------------------------------------------------------------------- */

void exchange_disconnect(struct exchange *exchange) { conn_close(conn_of(exchange)); }

void exchange_reset(struct exchange *exchange) { conn_abort(conn_of(exchange)); }

void exchange_read(struct exchange *exchange, bool on) {
  struct stream *stream = &conn_of(exchange)->stream;
  if (on) {
    exchange->flags &= (uint16_t)~EXCHANGE_STOPPED;
    stream_read_start(stream);
  } else {
    exchange->flags |= EXCHANGE_STOPPED;
    stream_read_stop(stream);
  }
}

void exchange_set_deadline(struct exchange *exchange) { conn_set_deadline(conn_of(exchange)); }

uint64_t exchange_silent_ms(struct exchange *exchange) {
  struct conn *conn = conn_of(exchange);
  return (uint64_t)(conn_http(conn)->timers.tick - conn->timer.note) * 1000;
}

void exchange_remote(struct exchange *exchange, char *out, size_t size) { stream_remote(&conn_of(exchange)->stream, out, size); }

bool exchange_has_peer(const struct exchange *exchange) {
  return stream_has_peer(&container_of(exchange, struct conn, exchange)->stream);
}

void exchange_note_heard(struct exchange *exchange) { conn_of(exchange)->timer.note = exchange_http(exchange)->timers.tick; }
