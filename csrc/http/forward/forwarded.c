/* The half of the worker that answers (http/forward/forward.h): a protocol whose only exchange is a
 * request of another worker. Its stream carries nothing. */
#include <stdio.h>

#include "base/memory.h"
#include "http/admission/remote.h"
#include "http/budget.h"
#include "http/conn.h"
#include "http/exchange_sink.h"
#include "http/forward/forward.h"
#include "http/request.h"

struct forwarded {
  struct exchange exchange;
  struct request request;
  struct budget budget;
  struct forward *forward; /* a reference */
  struct http_fields fields;
  struct buffer text; /* the body of the answer */
  int status;         /* of an answer that has begun */
  bool is_complete;   /* the answer is */
  uint32_t heard;
  struct conn conn; /* last */
};

static struct forwarded *forwarded_of(const struct conn *conn) { return container_of(conn, struct forwarded, conn); }
static struct forwarded *forwarded_of_exchange(const struct exchange *exchange) {
  return container_of(exchange, struct forwarded, exchange);
}
static struct forwarded *forwarded_of_subscriber(const struct subscriber *subscriber) {
  return container_of(subscriber, struct forwarded, exchange.subscriber);
}

/* ---- The sink -------------------------------------------------------------------------------- */

static ptrdiff_t sink_write(struct subscriber *subscriber, const struct bytes *slices, size_t count) {
  struct forwarded *forwarded = forwarded_of_subscriber(subscriber);
  size_t before = forwarded->text.len;
  for (size_t i = 0; i < count; i++) buffer_append(&forwarded->text, slices[i]);
  return forwarded->text.failed ? MW_ENOMEM : (ptrdiff_t)(forwarded->text.len - before);
}

/* `write` takes everything, so nothing is left to hold. */
static int sink_hold(struct subscriber *subscriber, const struct bytes *slices, size_t count) {
  (void)subscriber;
  (void)slices;
  (void)count;
  return MW_ENOMEM;
}

static void sink_drained(struct subscriber *subscriber) { (void)subscriber; }

static void sink_flushed(struct subscriber *subscriber) {
  struct forwarded *forwarded = forwarded_of_subscriber(subscriber);
  if (!exchange_flushed(&forwarded->exchange)) return;
  forwarded->is_complete = true;
  conn_close(&forwarded->conn);
}

static const struct sink_ops forwarded_sink = {
    .write = sink_write, .hold = sink_hold, .drained = sink_drained, .flushed = sink_flushed, EXCHANGE_REPORTS};

/* ---- An exchange ----------------------------------------------------------------------------- */

static void begin(struct exchange *exchange, const struct answer_head *head) {
  struct forwarded *forwarded = forwarded_of_exchange(exchange);
  forwarded->status = head->status;
  http_fields_add_all(&forwarded->fields, head->fields);
  http_fields_add_all(&forwarded->fields, head->more);
  if (head->content_type.len > 0) http_fields_add(&forwarded->fields, BYTES("Content-Type"), head->content_type);
  /* Streams are not forwarded. */
  if (forwarded->fields.text.failed || head->length == LENGTH_STREAM) exchange_break(exchange);
  if (head->rope) {
    subscriber_push_rope(&exchange->subscriber, head->rope);
  } else if (head->body.len > 0) {
    struct blob *blob = blob_new(head->body);
    if (blob) subscriber_push(&exchange->subscriber, blob, blob_bytes(blob));
    if (!blob) exchange_break(exchange);
    blob_unref(blob);
  }
  subscriber_mark(&exchange->subscriber);
}

static void end(struct exchange *exchange) { subscriber_mark(&exchange->subscriber); }

static bool upgrade(struct exchange *exchange, const struct http_fields *fields) {
  (void)exchange;
  (void)fields;
  return false;
}

static void reset(struct exchange *exchange, enum reset_reason reason) {
  (void)reason;
  conn_close(&forwarded_of_exchange(exchange)->conn);
}

static void read_exchange(struct exchange *exchange, bool on) {
  (void)exchange;
  (void)on;
}

static void do_nothing(struct exchange *exchange) { (void)exchange; }

static size_t unwritten(const struct exchange *exchange) {
  (void)exchange;
  return 0;
}

static struct conn *conn_of(struct exchange *exchange) { return &forwarded_of_exchange(exchange)->conn; }

static void set_deadline(struct exchange *exchange, uint64_t delay_ms) {
  struct conn *conn = &forwarded_of_exchange(exchange)->conn;
  if (exchange->state == EXCHANGE_OVER || stream_is_closing(&conn->stream)) return;
  timer_start(&conn_http(conn)->timers, &conn->timer, delay_ms);
}

static uint32_t *heard(struct exchange *exchange) { return &forwarded_of_exchange(exchange)->heard; }

/* ---- A connection, of one exchange ----------------------------------------------------------- */

static void init(struct conn *conn) {
  struct forwarded *forwarded = forwarded_of(conn);
  exchange_init(&forwarded->exchange, conn_class_of(conn));
  budget_init(&forwarded->budget, &forwarded->exchange.subscriber);
  forwarded->request.budget = &forwarded->budget;
  forwarded->exchange.request = &forwarded->request;
  /* It is not a connection of a peer. */
  atomic_fetch_sub(&conn_http(conn)->app->conn_count, 1);
}

static int open_conn(struct conn *conn, bool is_private) {
  (void)conn;
  (void)is_private;
  return 0;
}

static bool may_read(struct conn *conn) {
  (void)conn;
  return false;
}

static void on_read(struct conn *conn, struct bytes bytes) {
  (void)conn;
  (void)bytes;
}

static void on_status(struct conn *conn, int status) {
  (void)conn;
  (void)status;
}

static void on_due(struct conn *conn) { exchange_on_due(&forwarded_of(conn)->exchange); }
static void flush(struct conn *conn) { (void)conn; }
static void stop(struct conn *conn, bool is_due) { exchange_stop(&forwarded_of(conn)->exchange, is_due); }

/* Posts the answer. If out of memory, there is none. */
static void post_answer(struct forwarded *forwarded) {
  struct app *app = exchange_app(&forwarded->exchange);
  struct forward *forward = forwarded->forward;
  if (!forward) return;
  if (forwarded->is_complete) {
    forward->fields = http_fields_keep(&forwarded->fields);
    forward->text = blob_new(buffer_bytes(&forwarded->text));
    forward->status = forward->fields && forward->text ? forwarded->status : 0;
  }
  forward->conn = NULL;
  forward_ref(forward);
  app->workers->post(app, &forward->answer);
}

static void close_conn(struct conn *conn) {
  struct forwarded *forwarded = forwarded_of(conn);
  exchange_finish(&forwarded->exchange);
  post_answer(forwarded);
}

static void deinit(struct conn *conn) {
  struct forwarded *forwarded = forwarded_of(conn);
  atomic_fetch_add(&conn_http(conn)->app->conn_count, 1);
  exchange_deinit(&forwarded->exchange);
  budget_deinit(conn_http(conn), &forwarded->budget);
  buffer_deinit(&forwarded->request.path);
  mw_config_unref(forwarded->request.config);
  http_fields_deinit(&forwarded->fields);
  buffer_deinit(&forwarded->text);
  if (forwarded->forward) forward_unref(forwarded->forward);
}

const struct protocol forwarded_protocol = {.name = "forwarded",
                                            .conn_at = offsetof(struct forwarded, conn),
                                            .init = init,
                                            .open = open_conn,
                                            .may_read = may_read,
                                            .on_read = on_read,
                                            .on_end = on_status,
                                            .on_written = on_status,
                                            .on_due = on_due,
                                            .flush = flush,
                                            .stop = stop,
                                            .close = close_conn,
                                            .deinit = deinit,
                                            .sink = &forwarded_sink,
                                            .begin = begin,
                                            .end = end,
                                            .upgrade = upgrade,
                                            .reset = reset,
                                            .read = read_exchange,
                                            .resume = do_nothing,
                                            .give_up = do_nothing,
                                            .shed = do_nothing,
                                            .unwritten = unwritten,
                                            .conn = conn_of,
                                            .set_deadline = set_deadline,
                                            .heard = heard};

/* ---- Mail ------------------------------------------------------------------------------------ */

/* As if the request had just been read from a connection. */
static void start(struct forwarded *forwarded) {
  struct exchange *exchange = &forwarded->exchange;
  struct request *request = &forwarded->request;
  request->head = &forwarded->forward->head;
  request->is_private = forwarded->forward->is_private;
  exchange_http(exchange)->stats->requests--; /* it was counted where it came from */
  const struct forward *forward = forwarded->forward;
  bool is_adopted = remote_adopt(&forwarded->conn, forward->remote, forward->scheme, forward->is_trusted) == 0;
  if (!is_adopted || !exchange_read_head(exchange)) {
    conn_close(&forwarded->conn);
    return;
  }
  request->is_shared = false; /* the fields for pages of other origins are added there */
  request->body = forwarded->forward->body;
  exchange_start(exchange);
}

static void take_begin(struct mail *mail, void *room, struct subscriber *subscriber) {
  struct http *http = room;
  struct forward *forward = container_of(mail, struct forward, begin);
  (void)subscriber;
  struct conn *conn = conn_new(&http->forwarded, STREAM_MEMORY);
  if (conn) {
    forwarded_of(conn)->forward = forward;
    forward->conn = conn;
    start(forwarded_of(conn));
  } else {
    http->app->workers->post(http->app, &forward->answer);
  }
}

static void take_cancel(struct mail *mail, void *room, struct subscriber *subscriber) {
  struct forward *forward = container_of(mail, struct forward, cancel);
  (void)room;
  (void)subscriber;
  if (forward->conn) conn_close(forward->conn);
  forward_unref(forward);
}

static void drop_begin(struct mail *mail) { forward_unref(container_of(mail, struct forward, begin)); }
static void drop_cancel(struct mail *mail) { forward_unref(container_of(mail, struct forward, cancel)); }

const struct mail_class forwarded_begin = {.take = take_begin, .drop = drop_begin};
const struct mail_class forwarded_cancel = {.take = take_cancel, .drop = drop_cancel};
