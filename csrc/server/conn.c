#include "server/conn.h"

#include "base/log.h"
#include "base/memory.h"
#include "server/http1.h"
#include "server/server.h"
#include "server/session.h"

enum { LINGER_MS = 2000 };

static const struct mw_limits *limits_of(struct conn *conn) { return &conn_worker(conn)->server->config->options.limits; }

/* ---- Beginning ------------------------------------------------------------------------------------------------------------ */

void conn_accept(struct worker *worker, struct listener *listener) {
  struct conn *conn = memory_calloc(1, offsetof(struct conn, stream) + stream_size(listener->kind));
  if (!conn || stream_init(&conn->stream, &worker->streams, listener->kind) < 0) {
    memory_free(conn);
    listener_refuse(listener);
    log_line(MW_LOG_ERROR, "no memory for a connection");
    return;
  }
  object_count(OBJECT_CONN, 1);
  list_append(&worker->conns, &conn->link);
  worker->conn_count++;
  timer_init(&conn->timer);
  exchange_init(&conn->exchange);
  if (listener->is_private) conn->exchange.flags |= EXCHANGE_PRIVATE;
  if (listener_accept(listener, &conn->stream) < 0) {
    conn_close(conn);
    return;
  }
  worker->stats.accepted++;
  log_line(MW_LOG_DEBUG, "connect by %s, %zu connections", listener->address, worker->conn_count);
  if (worker->conn_count > limits_of(conn)->connections) {
    log_line(MW_LOG_WARNING, "limits.connections (%zu) is reached: a connection is refused", limits_of(conn)->connections);
    conn_abort(conn);
    return;
  }
  stream_set_options(&conn->stream, limits_of(conn)->progress_ms);
  conn->http = http1_new(worker->server->config);
  conn_set_deadline(conn);
  if (!conn->http || stream_read_start(&conn->stream) < 0) conn_abort(conn);
}

/* ---- Ending --------------------------------------------------------------------------------------------------------------- */

static void finish(struct conn *conn) {
  exchange_end(&conn->exchange);
  exchange_set_state(&conn->exchange, EXCHANGE_OVER);
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
  struct worker *worker = conn_worker(conn);
  /* The list of dirty ones is only ever emptied as a whole: one that is in it must be passed over until then. */
  if (conn->exchange.flags & EXCHANGE_DIRTY) worker_flush(worker);
  list_remove(&conn->link);
  worker->conn_count--;
  log_line(MW_LOG_DEBUG, "disconnect, %zu connections", worker->conn_count);
  http1_release(conn);
  outbox_free(conn->exchange.outbox);
  object_count(OBJECT_CONN, -1);
  memory_free(conn);
}

/* ---- Reading -------------------------------------------------------------------------------------------------------------- */

void conn_on_read(struct stream *stream, struct bytes bytes) {
  struct conn *conn = container_of(stream, struct conn, stream);
  /* What comes on a stream, or after the last answer, is nobody's. */
  if (conn->http && conn->exchange.state < EXCHANGE_STREAMING) http1_feed(conn, bytes);
}

void conn_on_end(struct stream *stream, int status) {
  struct conn *conn = container_of(stream, struct conn, stream);
  (void)status;
  /* A peer that has ended its side still gets the answers that need nobody's leave; one that waits for the script, or streams, has gone. */
  bool answers =
      conn->exchange.state == EXCHANGE_ANSWERING || (conn->exchange.state == EXCHANGE_ASKING && !conn->exchange.errand);
  if (answers && status == UV_EOF) {
    conn->exchange.flags |= EXCHANGE_HALF_CLOSED;
    conn->exchange.flags &= (uint16_t)~EXCHANGE_LINGER;
  } else {
    conn_close(conn);
  }
}

/* ---- Writing -------------------------------------------------------------------------------------------------------------- */

/* Writes the shared list of the one channel that this turn brought something from. */
static void write_turn(struct conn *conn) {
  struct exchange *exchange = &conn->exchange;
  struct session *session = &exchange->session;
  struct worker *worker = conn_worker(conn);
  while (session->turn) {
    struct channel *channel = session->turn->channel;
    const struct turn_view *view =
        worker_turn_view(worker, channel, session->turn_start, exchange->wire, exchange->flags & EXCHANGE_CHUNKED);
    if (!view) {
      exchange->flags |= EXCHANGE_BROKEN;
      return;
    }
    ptrdiff_t written = stream_try_write(&conn->stream, view->slices, view->count);
    if (written < 0) {
      exchange->flags |= EXCHANGE_BROKEN;
      return;
    }
    conn->timer.note = worker->timers.tick;
    if ((size_t)written < view->bytes) {
      session_settle(exchange, (size_t)written);
      return;
    }
    session->turn_start += view->count;
    if (session->turn_start == channel->turn_count) session->turn = NULL;
  }
}

/* Writes the outbox as far as it goes; the rest is left to one stream_write. */
static void write_outbox(struct conn *conn) {
  struct exchange *exchange = &conn->exchange;
  struct outbox *outbox = exchange->outbox;
  struct bytes slices[STREAM_SLICES_MAX];
  while (outbox->count > 0) {
    size_t count = outbox_peek(outbox, slices, STREAM_SLICES_MAX);
    ptrdiff_t written = stream_try_write(&conn->stream, slices, count);
    if (written < 0) {
      exchange->flags |= EXCHANGE_BROKEN;
      return;
    }
    conn->timer.note = conn_worker(conn)->timers.tick;
    size_t offered = 0;
    for (size_t i = 0; i < count; i++) offered += slices[i].len;
    outbox_consume(outbox, (size_t)written);
    if ((size_t)written == offered) continue;
    count = outbox_peek(outbox, slices, STREAM_SLICES_MAX);
    for (size_t i = 0; i < count; i++) outbox->writing += slices[i].len;
    if (stream_write(&conn->stream, slices, count) < 0) {
      outbox->writing = 0;
      exchange->flags |= EXCHANGE_BROKEN;
      return;
    }
    outbox->seen_bytes = outbox->bytes;
    conn_set_deadline(conn);
    return;
  }
  outbox_free(outbox);
  exchange->outbox = NULL;
  conn_set_deadline(conn);
}

void conn_on_written(struct stream *stream, int status) {
  struct conn *conn = container_of(stream, struct conn, stream);
  struct outbox *outbox = conn->exchange.outbox;
  size_t written = outbox->writing;
  outbox->writing = 0;
  if (conn->exchange.state == EXCHANGE_OVER) return;
  if (status < 0) {
    conn_close(conn);
    return;
  }
  outbox_consume(outbox, written);
  conn->timer.note = conn_worker(conn)->timers.tick;
  worker_mark_dirty(conn_worker(conn), conn);
}

/* Everything is written: what follows. */
static void after_writing(struct conn *conn) {
  struct exchange *exchange = &conn->exchange;
  if (exchange->state == EXCHANGE_ANSWERING) {
    if (exchange->role) {
      if (exchange->role->on_written) exchange->role->on_written(exchange);
    } else if (exchange->flags & EXCHANGE_LINGER) {
      exchange_set_state(exchange, EXCHANGE_LINGERING);
      stream_end(&conn->stream);
    } else if (exchange->flags & EXCHANGE_KEEP_ALIVE) {
      http1_next(conn);
    } else {
      conn_close(conn);
    }
  } else if (exchange->state == EXCHANGE_ENDING) {
    conn_close(conn);
  }
}

static void cut_off(struct conn *conn) {
  struct worker *worker = conn_worker(conn);
  if (conn->exchange.flags & EXCHANGE_SLOW) {
    worker->stats.slow_closed++;
    log_line(MW_LOG_INFO, "a subscriber is too slow: %zu bytes wait for it, and limits.outbox is %zu: its stream is closed",
             conn->exchange.outbox->bytes, limits_of(conn)->outbox);
  }
  conn_abort(conn);
}

void conn_flush(struct conn *conn) {
  struct exchange *exchange = &conn->exchange;
  if (exchange->state == EXCHANGE_OVER) return;
  bool under_way = exchange->outbox && exchange->outbox->writing > 0;
  if (exchange->outbox) session_settle(exchange, 0);
  if (!under_way && !(exchange->flags & (EXCHANGE_BROKEN | EXCHANGE_SLOW))) {
    write_turn(conn);
    if (exchange->outbox) write_outbox(conn);
  }
  if (exchange->flags & (EXCHANGE_BROKEN | EXCHANGE_SLOW)) {
    cut_off(conn);
  } else if (!exchange->outbox) {
    after_writing(conn);
  }
}

/* ---- Deadlines ------------------------------------------------------------------------------------------------------------ */

void conn_set_deadline(struct conn *conn) {
  struct worker *worker = conn_worker(conn);
  const struct mw_limits *limits = limits_of(conn);
  uint64_t delay_ms = 0;
  switch ((enum exchange_state)conn->exchange.state) {
    case EXCHANGE_IDLE: delay_ms = http1_waits(conn->http) ? limits->idle_ms : limits->head_ms; break;
    case EXCHANGE_READING: delay_ms = limits->body_ms; break;
    case EXCHANGE_ASKING: delay_ms = limits->answer_ms; break;
    case EXCHANGE_STREAMING: delay_ms = conn->exchange.outbox ? limits->progress_ms : limits->heartbeat_ms; break;
    case EXCHANGE_ANSWERING:
    case EXCHANGE_ENDING: delay_ms = limits->progress_ms; break;
    case EXCHANGE_LINGERING: delay_ms = LINGER_MS; break;
    case EXCHANGE_OVER: return;
  }
  timer_start(&worker->timers, &conn->timer, delay_ms);
}

/* Something is to be written and the deadline for progress is over. */
static void check_progress(struct conn *conn) {
  struct outbox *outbox = conn->exchange.outbox;
  size_t unwritten = outbox->bytes - outbox->writing + stream_unwritten(&conn->stream);
  if (outbox->writing > 0 && unwritten >= outbox->seen_bytes) {
    conn_worker(conn)->stats.dead_closed++;
    log_line(MW_LOG_INFO, "a peer took nothing for %llu ms: closed", (unsigned long long)limits_of(conn)->progress_ms);
    conn_abort(conn);
    return;
  }
  outbox->seen_bytes = unwritten;
  conn_set_deadline(conn);
}

static void check_silence(struct conn *conn) {
  struct worker *worker = conn_worker(conn);
  uint64_t silent_ms = (uint64_t)(worker->timers.tick - conn->timer.note) * 1000;
  uint64_t heartbeat_ms = limits_of(conn)->heartbeat_ms;
  if (silent_ms >= heartbeat_ms) {
    if (conn->exchange.role && conn->exchange.role->on_silent) conn->exchange.role->on_silent(&conn->exchange);
    conn_set_deadline(conn);
  } else {
    timer_start(&worker->timers, &conn->timer, heartbeat_ms - silent_ms);
  }
}

static void refuse_late(struct conn *conn, const char *reason) {
  conn->exchange.flags |= EXCHANGE_LINGER;
  exchange_refuse(&conn->exchange, 408, "bad_request", reason, bytes_of(NULL, 0));
}

void conn_on_due(struct timers *timers, struct timer *timer) {
  (void)timers;
  struct conn *conn = container_of(timer, struct conn, timer);
  struct exchange *exchange = &conn->exchange;
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
      exchange_forget(exchange);
      exchange->role->on_late(exchange);
      break;
    case EXCHANGE_STREAMING:
      if (exchange->outbox) {
        check_progress(conn);
      } else {
        check_silence(conn);
      }
      break;
    case EXCHANGE_ANSWERING:
    case EXCHANGE_ENDING:
      if (exchange->outbox) {
        check_progress(conn);
      } else {
        conn_abort(conn);
      }
      break;
    case EXCHANGE_LINGERING: conn_close(conn); break;
    case EXCHANGE_OVER: break;
  }
}

void conn_stop(struct conn *conn) {
  struct exchange *exchange = &conn->exchange;
  exchange->flags &= (uint16_t)~EXCHANGE_KEEP_ALIVE;
  switch ((enum exchange_state)exchange->state) {
    case EXCHANGE_IDLE:
    case EXCHANGE_READING: conn_close(conn); break;
    case EXCHANGE_ASKING:
      exchange_forget(exchange);
      exchange->role->on_late(exchange);
      break;
    case EXCHANGE_STREAMING: exchange_end_stream(exchange); break;
    case EXCHANGE_ANSWERING:
    case EXCHANGE_ENDING:
    case EXCHANGE_LINGERING:
    case EXCHANGE_OVER: break;
  }
}
