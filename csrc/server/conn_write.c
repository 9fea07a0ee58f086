/* How a connection writes: the turn list of its one channel, its outbox, and what it lacks (conn.h). */
#include "base/log_limit.h"
#include "server/conn.h"
#include "server/http1.h"
#include "server/lag.h"
#include "server/native.h"
#include "server/server.h"
#include "server/session.h"

/* How often one is fed in a turn, at most. */
enum { FEED_ROUNDS = 4 };

/* An event stream is kept alive by what is written; of a peer that can speak, only what is heard counts. */
static void note_writing(struct conn *conn) {
  if (!form_is_ws(conn->exchange.wire)) conn->timer.note = conn_worker(conn)->timers.tick;
}

static bool is_under_way(const struct exchange *exchange) { return exchange->outbox && exchange->outbox->writing > 0; }

/* True if nothing of what waits is to be written any more. */
static bool is_lost(const struct exchange *exchange) {
  return exchange->flags & EXCHANGE_BROKEN || (exchange->flags & EXCHANGE_SLOW && exchange->state == EXCHANGE_STREAMING);
}

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
    note_writing(conn);
    if ((size_t)written < view->bytes) {
      session_settle(exchange, (size_t)written);
      return;
    }
    session->turn_start += view->count;
    if (session->turn_start == channel->turn_count) session->turn = NULL;
  }
}

void conn_write(struct conn *conn) {
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
    note_writing(conn);
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
    outbox->seen_bytes = stream_unwritten(&conn->stream);
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
  note_writing(conn);
  worker_mark_dirty(conn_worker(conn), conn);
}

/* Everything is written: what follows. */
static void after_writing(struct conn *conn) {
  struct exchange *exchange = &conn->exchange;
  if (exchange->state == EXCHANGE_ANSWERING) {
    if (exchange->role) {
      exchange->role->on_written(exchange);
    } else if (exchange->flags & EXCHANGE_LINGER) {
      exchange_set_state(exchange, EXCHANGE_LINGERING);
      stream_end(&conn->stream);
    } else if (exchange->flags & EXCHANGE_KEEP_ALIVE) {
      http1_next(conn);
    } else {
      conn_close(conn);
    }
  } else if (exchange->state == EXCHANGE_ENDING && exchange->role) {
    conn_set_deadline(conn); /* the peer's farewell is awaited */
  } else if (exchange->state == EXCHANGE_ENDING && exchange->flags & EXCHANGE_LINGER) {
    exchange_set_state(exchange, EXCHANGE_LINGERING);
    stream_end(&conn->stream);
  } else if (exchange->state == EXCHANGE_ENDING ||
             (exchange->state < EXCHANGE_ASKING && exchange->flags & EXCHANGE_HALF_CLOSED && !budget_is_put_off(exchange))) {
    conn_close(conn);
  }
}

static void log_slow(struct conn *conn) {
  const struct exchange *exchange = &conn->exchange;
  size_t keyed = exchange->flags & EXCHANGE_LAGS ? conn->native->lag->latest.bytes : 0;
  log_limited(MW_LOG_INFO,
              "closed slow subscriber: outbox over limits.outbox (messages=%zu keyed=%zu other=%zu bytes, closed_total=%llu)",
              outbox_messages_size(exchange->outbox), keyed, outbox_own_size(exchange->outbox),
              (unsigned long long)conn_worker(conn)->stats.slow_closed);
}

/* One that takes too little: what it has not begun to take is dropped, so that its end can be told. */
static void close_slow(struct conn *conn) {
  struct outbox *outbox = conn->exchange.outbox;
  conn_worker(conn)->stats.slow_closed++;
  log_slow(conn);
  if (outbox) outbox_drop(outbox);
  exchange_close(&conn->exchange, CLOSE_SLOW, "too slow");
}

/* What it lacks is pushed and written as long as all of it is taken, and a turn of others does not become too long. */
static void feed(struct conn *conn) {
  struct exchange *exchange = &conn->exchange;
  for (int round = 0; exchange->flags & EXCHANGE_LAGS && !exchange->outbox && !is_lost(exchange); round++) {
    if (round == FEED_ROUNDS) {
      worker_mark_next(conn_worker(conn), conn);
      return;
    }
    lag_feed(exchange);
    if (exchange->outbox && !is_lost(exchange)) conn_write(conn);
  }
}

void conn_flush(struct conn *conn) {
  struct exchange *exchange = &conn->exchange;
  if (exchange->state != EXCHANGE_OVER && exchange->role && exchange->role->on_flush) exchange->role->on_flush(exchange);
  if (exchange->state == EXCHANGE_OVER) return;
  if (exchange->outbox) session_settle(exchange, 0);
  if (!is_under_way(exchange) && !is_lost(exchange)) {
    write_turn(conn);
    if (exchange->outbox && !is_under_way(exchange) && !is_lost(exchange)) conn_write(conn);
    feed(conn);
  }
  if (exchange->flags & EXCHANGE_SLOW && exchange->state == EXCHANGE_STREAMING && !(exchange->flags & EXCHANGE_BROKEN)) {
    close_slow(conn);
    if (exchange->outbox && !is_under_way(exchange) && !is_lost(exchange)) conn_write(conn);
  }
  if (exchange->flags & EXCHANGE_BROKEN) {
    conn_abort(conn);
  } else if (!exchange->outbox) {
    after_writing(conn);
  }
  if (exchange->flags & EXCHANGE_NATIVE && exchange->role) exchange->role->on_flushed(exchange);
}
