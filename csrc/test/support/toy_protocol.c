#define _XOPEN_SOURCE 700

#include "test/support/toy_protocol.h"

#include "base/memory.h"
#include "codec/http/http_reader.h"
#include "http/budget.h"
#include "http/exchange.h"
#include "http/exchange_sink.h"
#include "http/request.h"
#include "test/support.h"

struct toy_stats toy_stats;

struct toy_conn {
  struct conn_flush flush;
  struct list exchanges;
  struct buffer in;      /* a frame that is not complete */
  struct buffer out;     /* frames of this turn */
  struct buffer sending; /* with the stream, until it has written them */
  size_t window;         /* of all exchanges together */
  bool stops;
  struct conn conn;
};

struct toy_exchange {
  struct exchange exchange;
  struct toy_conn *conn;
  struct list link;
  struct request request;
  struct budget budget;
  struct http_limits limits;
  struct http_reader *reader;
  struct buffer rest; /* what its role did not take */
  size_t window;
  size_t wanted;   /* of what it was offered last, not taken */
  uint64_t due_ms; /* UINT64_MAX: never */
  uint32_t heard;
  uint8_t number;
  bool is_upgraded;
};

static struct toy_conn *toy_of(const struct conn *conn) { return container_of(conn, struct toy_conn, conn); }
static struct toy_exchange *toy_of_exchange(const struct exchange *exchange) {
  return container_of(exchange, struct toy_exchange, exchange);
}
static struct toy_exchange *toy_of_link(struct list *link) { return container_of(link, struct toy_exchange, link); }
static uint64_t now_of(const struct toy_conn *toy) { return conn_http(&toy->conn)->loop->clock.now_ms; }

/* ---- Frames --------------------------------------------------------------------------------------------------------------- */

static void put_frame(struct toy_conn *toy, enum toy_type type, uint8_t number, struct bytes payload) {
  char head[TOY_FRAME_HEAD] = {(char)type, (char)number, (char)(payload.len >> 8), (char)payload.len};
  buffer_append(&toy->out, bytes_of(head, sizeof head));
  buffer_append(&toy->out, payload);
  conn_flush_later(&toy->flush);
}

static size_t room_in(const struct toy_conn *toy) {
  size_t held = toy->out.len + toy->sending.len + TOY_FRAME_HEAD;
  return held < TOY_BUFFER ? TOY_BUFFER - held : 0;
}

static size_t allowed(const struct toy_exchange *toy) {
  size_t most = room_in(toy->conn);
  if (toy->window < most) most = toy->window;
  return toy->conn->window < most ? toy->conn->window : most;
}

/* ---- The sink ------------------------------------------------------------------------------------------------------------- */

static struct toy_exchange *toy_of_subscriber(struct subscriber *subscriber) {
  return container_of(subscriber, struct toy_exchange, exchange.subscriber);
}

static ptrdiff_t toy_write(struct subscriber *subscriber, const struct bytes *slices, size_t count) {
  struct toy_exchange *toy = toy_of_subscriber(subscriber);
  size_t most = allowed(toy), offered = 0, taken = 0;
  struct buffer payload;
  buffer_init(&payload);
  for (size_t i = 0; i < count; i++) {
    size_t len = slices[i].len < most - taken ? slices[i].len : most - taken;
    buffer_append(&payload, bytes_of(slices[i].ptr, len));
    taken += len;
    offered += slices[i].len;
  }
  if (taken > 0 && !payload.failed) put_frame(toy->conn, TOY_DATA, toy->number, buffer_bytes(&payload));
  bool failed = payload.failed || toy->conn->out.failed;
  buffer_deinit(&payload);
  if (failed) return MW_ENOMEM;
  toy->window -= taken;
  toy->conn->window -= taken;
  toy->wanted = offered - taken;
  toy_stats.short_takes += taken < offered;
  if (taken > 0) exchange_note_writing(&toy->exchange);
  return (ptrdiff_t)taken;
}

static int toy_hold(struct subscriber *subscriber, const struct bytes *slices, size_t count) {
  struct toy_exchange *toy = toy_of_subscriber(subscriber);
  toy->wanted = 0;
  for (size_t i = 0; i < count; i++) toy->wanted += slices[i].len;
  subscriber->outbox->seen_bytes = toy->wanted;
  exchange_set_deadline(&toy->exchange);
  toy_stats.held++;
  return HOLD_LATER;
}

static void toy_drained(struct subscriber *subscriber) { exchange_set_deadline(&toy_of_subscriber(subscriber)->exchange); }

/* It is over: freed when all subscribers of the turn were flushed. */
static void end_exchange(struct toy_exchange *toy, enum toy_type said) {
  if (toy->exchange.state == EXCHANGE_OVER) return;
  put_frame(toy->conn, said, toy->number, bytes_of(NULL, 0));
  exchange_finish(&toy->exchange);
  toy->due_ms = UINT64_MAX;
}

static void toy_flushed(struct subscriber *subscriber) {
  struct toy_exchange *toy = toy_of_subscriber(subscriber);
  if (exchange_flushed(&toy->exchange)) end_exchange(toy, TOY_END);
}

static const struct sink_ops toy_sink = {
    .write = toy_write, .hold = toy_hold, .drained = toy_drained, .flushed = toy_flushed, EXCHANGE_REPORTS};

/* Something is taken again of the exchanges that wait for that. */
static void wake_exchanges(struct toy_conn *toy) {
  for (struct list *link = toy->exchanges.next; link != &toy->exchanges; link = link->next) {
    struct toy_exchange *waiting = toy_of_link(link);
    if (!(waiting->exchange.subscriber.flags & SUBSCRIBER_BLOCKED) || allowed(waiting) == 0) continue;
    toy_stats.ready++;
    subscriber_ready(&waiting->exchange.subscriber);
  }
}

/* ---- An exchange ---------------------------------------------------------------------------------------------------------- */

static void toy_begin(struct exchange *exchange, const struct answer_head *head) {
  struct toy_exchange *toy = toy_of_exchange(exchange);
  char status[8];
  int len = snprintf(status, sizeof status, "%d", head->status);
  put_frame(toy->conn, TOY_HEAD, toy->number, bytes_of(status, (size_t)len));
  if (toy->conn->out.failed) exchange_break(exchange);
  if (head->length == LENGTH_NONE || exchange->request->is_head) return;
  if (head->rope) {
    subscriber_push_rope(&exchange->subscriber, head->rope);
  } else if (head->body.len > 0) {
    struct blob *blob = blob_new(head->body);
    if (blob) subscriber_push(&exchange->subscriber, blob, blob_bytes(blob));
    if (!blob) exchange_break(exchange);
    blob_unref(blob);
  }
}

static void toy_end(struct exchange *exchange) { subscriber_mark(&exchange->subscriber); }

static bool toy_upgrade(struct exchange *exchange, const struct http_fields *fields) {
  struct toy_exchange *toy = toy_of_exchange(exchange);
  (void)fields;
  put_frame(toy->conn, TOY_HEAD, toy->number, BYTES("101"));
  toy->is_upgraded = !toy->conn->out.failed;
  if (toy->rest.len > 0) budget_put_off(&exchange->subscriber);
  return toy->is_upgraded;
}

static void toy_reset(struct exchange *exchange, enum reset_reason reason) {
  (void)reason;
  end_exchange(toy_of_exchange(exchange), TOY_RESET);
}

static void feed_role(struct toy_exchange *toy, struct bytes bytes) {
  struct exchange *exchange = &toy->exchange;
  if (!exchange->role || exchange->state > EXCHANGE_ENDING) return;
  if (!(exchange->flags & EXCHANGE_CONNECTING)) exchange_note_heard(exchange);
  size_t taken = exchange->role->on_read(exchange, bytes);
  toy_stats.partly_read += taken < bytes.len;
  if (taken == bytes.len || exchange->state == EXCHANGE_OVER) return;
  buffer_append(&toy->rest, bytes_of(bytes.ptr + taken, bytes.len - taken));
  if (toy->rest.failed) exchange_break(exchange);
  if (!(exchange->flags & EXCHANGE_STOPPED)) budget_put_off(&exchange->subscriber);
}

static void toy_resume(struct exchange *exchange) {
  struct toy_exchange *toy = toy_of_exchange(exchange);
  if (!toy->is_upgraded || exchange->flags & EXCHANGE_STOPPED || toy->rest.len == 0) return;
  struct buffer rest = toy->rest;
  buffer_init(&toy->rest);
  feed_role(toy, buffer_bytes(&rest));
  buffer_deinit(&rest);
}

static void toy_read(struct exchange *exchange, bool on) {
  if (on && toy_of_exchange(exchange)->rest.len > 0) budget_put_off(&exchange->subscriber);
}

static void toy_nothing(struct exchange *exchange) { (void)exchange; /* it holds no body, and keeps its head */ }

static size_t toy_unwritten(const struct exchange *exchange) { return toy_of_exchange(exchange)->wanted; }

static struct conn *toy_conn(struct exchange *exchange) { return &toy_of_exchange(exchange)->conn->conn; }

static uint32_t *toy_heard(struct exchange *exchange) { return &toy_of_exchange(exchange)->heard; }

/* The connection has one timer: for the deadline that is the next. */
static void start_timer(struct toy_conn *toy) {
  uint64_t next_ms = UINT64_MAX;
  for (struct list *link = toy->exchanges.next; link != &toy->exchanges; link = link->next)
    if (toy_of_link(link)->due_ms < next_ms) next_ms = toy_of_link(link)->due_ms;
  if (next_ms == UINT64_MAX) {
    timer_stop(&toy->conn.timer);
  } else {
    timer_start(&conn_http(&toy->conn)->timers, &toy->conn.timer, next_ms > now_of(toy) ? next_ms - now_of(toy) : 0);
  }
}

static void toy_set_deadline(struct exchange *exchange, uint64_t delay_ms) {
  struct toy_exchange *toy = toy_of_exchange(exchange);
  if (exchange->state == EXCHANGE_OVER || stream_is_closing(&toy->conn->conn.stream)) return;
  toy->due_ms = now_of(toy->conn) + delay_ms;
  start_timer(toy->conn);
}

static void free_exchange(struct toy_exchange *toy) {
  exchange_deinit(&toy->exchange);
  list_remove(&toy->link);
  budget_deinit(conn_http(&toy->conn->conn), &toy->budget);
  buffer_deinit(&toy->request.path);
  mw_config_unref(toy->request.config);
  buffer_deinit(&toy->rest);
  http_reader_free(toy->reader);
  memory_free(toy);
  toy_stats.exchanges--;
}

static struct toy_exchange *new_exchange(struct toy_conn *conn, uint8_t number, size_t window) {
  struct toy_exchange *toy = memory_calloc(1, sizeof *toy);
  if (!toy) return NULL;
  toy->conn = conn;
  toy->limits = (struct http_limits){.target = 1000, .head = 4000, .fields = 20, .body = 1000};
  toy->number = number;
  toy->window = window;
  toy->due_ms = UINT64_MAX;
  toy->reader = http_reader_new(&toy->limits);
  if (!toy->reader) {
    memory_free(toy);
    return NULL;
  }
  exchange_init(&toy->exchange, conn_class_of(&conn->conn));
  toy->exchange.request = &toy->request;
  budget_init(&toy->budget, &toy->exchange.subscriber);
  toy->request.budget = &toy->budget;
  toy->request.head = http_reader_head(toy->reader);
  list_append(&conn->exchanges, &toy->link);
  toy_stats.exchanges++;
  return toy;
}

static uint32_t read_number(const char *at) {
  const unsigned char *bytes = (const unsigned char *)at;
  return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static void take_request(struct toy_conn *conn, uint8_t number, struct bytes payload) {
  struct toy_exchange *toy = new_exchange(conn, number, read_number(payload.ptr));
  if (!toy) {
    put_frame(conn, TOY_RESET, number, bytes_of(NULL, 0));
    return;
  }
  struct bytes text = bytes_of(payload.ptr + 4, payload.len - 4);
  for (size_t used = 0; toy->exchange.state != EXCHANGE_OVER; text = bytes_of(text.ptr + used, text.len - used)) {
    enum http_event event = http_reader_next(toy->reader, text, &used);
    if (event == HTTP_HEAD) {
      if (!exchange_read_head(&toy->exchange)) end_exchange(toy, TOY_RESET);
    } else if (event == HTTP_DONE) {
      toy->request.body = http_reader_body(toy->reader);
      exchange_start(&toy->exchange);
      break;
    } else {
      end_exchange(toy, TOY_RESET);
    }
  }
}

static void take_frame(struct toy_conn *conn, enum toy_type type, uint8_t number, struct bytes payload) {
  struct toy_exchange *toy = NULL;
  for (struct list *link = conn->exchanges.next; link != &conn->exchanges; link = link->next)
    if (toy_of_link(link)->number == number && toy_of_link(link)->exchange.state != EXCHANGE_OVER) toy = toy_of_link(link);
  if (type == TOY_REQUEST) {
    take_request(conn, number, payload);
  } else if (type == TOY_WINDOW) {
    if (number == 0) conn->window += read_number(payload.ptr);
    if (toy) toy->window += read_number(payload.ptr);
    wake_exchanges(conn);
  } else if (type == TOY_RESET && toy) {
    end_exchange(toy, TOY_RESET);
  } else if (type == TOY_DATA && toy) {
    budget_charge(&toy->exchange.subscriber, payload.len);
    if (toy->is_upgraded && toy->rest.len == 0) {
      feed_role(toy, payload);
    } else {
      buffer_append(&toy->rest, payload);
      if (toy->rest.failed) exchange_break(&toy->exchange);
    }
  }
}

/* ---- A connection --------------------------------------------------------------------------------------------------------- */

static void toy_init(struct conn *conn) {
  struct toy_conn *toy = toy_of(conn);
  toy->flush.conn = conn;
  list_init(&toy->flush.link);
  list_init(&toy->exchanges);
}

static int toy_open(struct conn *conn, bool is_private) {
  (void)is_private;
  return stream_read_start(&conn->stream);
}

static bool toy_may_read(struct conn *conn) { return toy_of(conn)->out.len < 4 * TOY_BUFFER; }

static void toy_on_read(struct conn *conn, struct bytes bytes) {
  struct toy_conn *toy = toy_of(conn);
  size_t at = 0;
  buffer_append(&toy->in, bytes);
  while (!toy->in.failed && !stream_is_closing(&conn->stream) && toy->in.len - at >= TOY_FRAME_HEAD) {
    const unsigned char *head = (const unsigned char *)toy->in.data + at;
    size_t len = (size_t)head[2] << 8 | head[3];
    if (toy->in.len - at - TOY_FRAME_HEAD < len) break;
    at += TOY_FRAME_HEAD + len;
    take_frame(toy, (enum toy_type)head[0], head[1], bytes_of((const char *)head + TOY_FRAME_HEAD, len));
  }
  if (toy->in.failed) {
    conn_abort(conn);
  } else {
    buffer_consume(&toy->in, at);
  }
}

static void toy_on_end(struct conn *conn, int status) {
  (void)status;
  conn_close(conn);
}

static void toy_flush(struct conn *conn) {
  struct toy_conn *toy = toy_of(conn);
  for (struct list *link = toy->exchanges.next, *next; link != &toy->exchanges; link = next) {
    next = link->next;
    if (toy_of_link(link)->exchange.state == EXCHANGE_OVER) free_exchange(toy_of_link(link));
  }
  if (toy->out.failed) {
    conn_abort(conn);
  } else if (toy->sending.len == 0 && toy->out.len > 0) {
    toy_stats.writes++;
    toy->sending = toy->out;
    buffer_init(&toy->out);
    if (stream_write(&conn->stream, &(struct bytes){toy->sending.data, toy->sending.len}, 1) < 0) conn_abort(conn);
  } else if (toy->stops && list_empty(&toy->exchanges) && toy->sending.len == 0) {
    conn_close(conn);
  }
}

static void toy_on_written(struct conn *conn, int status) {
  struct toy_conn *toy = toy_of(conn);
  buffer_deinit(&toy->sending);
  if (status < 0) {
    conn_close(conn);
  } else {
    conn_flush_later(&toy->flush);
    wake_exchanges(toy);
  }
}

static void toy_on_due(struct conn *conn) {
  struct toy_conn *toy = toy_of(conn);
  for (struct list *link = toy->exchanges.next, *next; link != &toy->exchanges; link = next) {
    next = link->next;
    if (toy_of_link(link)->due_ms > now_of(toy)) continue;
    toy_of_link(link)->due_ms = UINT64_MAX;
    exchange_on_due(&toy_of_link(link)->exchange);
  }
  start_timer(toy);
}

static void toy_stop(struct conn *conn, bool is_due) {
  struct toy_conn *toy = toy_of(conn);
  toy->stops = true;
  for (struct list *link = toy->exchanges.next; link != &toy->exchanges; link = link->next)
    exchange_stop(&toy_of_link(link)->exchange, is_due);
  conn_flush_later(&toy->flush);
}

static void toy_close(struct conn *conn) {
  struct toy_conn *toy = toy_of(conn);
  for (struct list *link = toy->exchanges.next; link != &toy->exchanges; link = link->next)
    if (toy_of_link(link)->exchange.state != EXCHANGE_OVER) exchange_finish(&toy_of_link(link)->exchange);
  list_remove(&toy->flush.link);
}

static void toy_deinit(struct conn *conn) {
  struct toy_conn *toy = toy_of(conn);
  list_remove(&toy->flush.link);
  while (!list_empty(&toy->exchanges)) free_exchange(toy_of_link(toy->exchanges.next));
  buffer_deinit(&toy->in);
  buffer_deinit(&toy->out);
  buffer_deinit(&toy->sending);
}

const struct protocol toy_protocol = {.name = "toy",
                                      .conn_at = offsetof(struct toy_conn, conn),
                                      .init = toy_init,
                                      .open = toy_open,
                                      .may_read = toy_may_read,
                                      .on_read = toy_on_read,
                                      .on_end = toy_on_end,
                                      .on_written = toy_on_written,
                                      .on_due = toy_on_due,
                                      .flush = toy_flush,
                                      .stop = toy_stop,
                                      .close = toy_close,
                                      .deinit = toy_deinit,
                                      .sink = &toy_sink,
                                      .begin = toy_begin,
                                      .end = toy_end,
                                      .upgrade = toy_upgrade,
                                      .reset = toy_reset,
                                      .read = toy_read,
                                      .resume = toy_resume,
                                      .give_up = toy_nothing,
                                      .shed = toy_nothing,
                                      .unwritten = toy_unwritten,
                                      .conn = toy_conn,
                                      .set_deadline = toy_set_deadline,
                                      .heard = toy_heard};
