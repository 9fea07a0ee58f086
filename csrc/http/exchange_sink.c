#include "http/exchange_sink.h"

#include <assert.h>

#include "codec/sse.h"
#include "http/conn.h"
#include "http/http1.h"
#include "server/names.h"
#include "server/native.h"
#include "server/reply.h"

static_assert((int)SINK_SLICES_MAX <= (int)STREAM_SLICES_MAX, "a stream takes fewer slices than a sink is offered");

/* Of a subscriber with this sink. */
static struct exchange *exchange_here(struct subscriber *subscriber) {
  return container_of(subscriber, struct exchange, subscriber);
}

struct exchange *exchange_of(struct subscriber *subscriber) {
  return subscriber && subscriber->sink->ops == &exchange_sink ? exchange_here(subscriber) : NULL;
}

/* ---- Writing ------------------------------------------------------------------------------------------------------------- */

void exchange_note_writing(struct exchange *exchange) {
  struct conn *conn = conn_of(exchange);
  if (!form_is_ws(exchange_form(exchange))) conn->timer.note = conn_http(conn)->timers.tick;
}

static ptrdiff_t sink_write(struct subscriber *subscriber, const struct bytes *slices, size_t count) {
  struct exchange *exchange = exchange_here(subscriber);
  ptrdiff_t written = stream_try_write(&conn_of(exchange)->stream, slices, count);
  if (written >= 0) exchange_note_writing(exchange);
  return written;
}

static int sink_hold(struct subscriber *subscriber, const struct bytes *slices, size_t count) {
  struct conn *conn = conn_of(exchange_here(subscriber));
  int status = stream_write(&conn->stream, slices, count);
  if (status < 0) return status;
  subscriber->outbox->seen_bytes = stream_unwritten(&conn->stream);
  conn_set_deadline(conn);
  return 0;
}

static void sink_drained(struct subscriber *subscriber) { conn_set_deadline(conn_of(exchange_here(subscriber))); }

static size_t sink_limit(const struct subscriber *subscriber) {
  struct exchange *exchange = exchange_here((struct subscriber *)(uintptr_t)subscriber);
  if (exchange->state != EXCHANGE_STREAMING || !exchange->role) return SIZE_MAX;
  return exchange->role->outbox_limit(exchange);
}

/* ---- The end of a flush --------------------------------------------------------------------------------------------------- */

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
    conn_set_deadline(conn); /* the peer's close frame is awaited */
  } else if (exchange->state == EXCHANGE_ENDING && exchange->flags & EXCHANGE_LINGER) {
    exchange_set_state(exchange, EXCHANGE_LINGERING);
    stream_end(&conn->stream);
  } else if (exchange->state == EXCHANGE_ENDING ||
             (exchange->state < EXCHANGE_ASKING && exchange->flags & EXCHANGE_HALF_CLOSED && !budget_is_put_off(exchange))) {
    conn_close(conn);
  }
}

static void sink_flushed(struct subscriber *subscriber) {
  struct exchange *exchange = exchange_here(subscriber);
  if (exchange->role && exchange->role->on_flush) exchange->role->on_flush(exchange);
  if (exchange->state == EXCHANGE_OVER) return;
  bool is_broken = subscriber->flags & SUBSCRIBER_BROKEN;
  if (subscriber->flags & SUBSCRIBER_SLOW && !is_broken) exchange_close(exchange, CLOSE_SLOW, "too slow");
  if (is_broken) {
    conn_abort(conn_of(exchange));
  } else if (!subscriber->outbox) {
    after_writing(conn_of(exchange));
  }
  if (exchange->flags & EXCHANGE_NATIVE && exchange->role) exchange->role->on_flushed(exchange);
}

/* ---- Events --------------------------------------------------------------------------------------------------------------- */

static void sink_collect(struct subscriber *subscriber, struct message *message) {
  struct exchange *exchange = exchange_here(subscriber);
  exchange->role->on_deliver(exchange, message);
}

static void sink_collect_push(struct subscriber *subscriber, struct blob *blob, struct bytes part) {
  struct exchange *exchange = exchange_here(subscriber);
  exchange->role->on_push(exchange, blob, part);
}

/* An id that no event brings. */
static void push_cursor(struct exchange *exchange, struct bytes id) {
  struct buffer block;
  buffer_init(&block);
  if (exchange_form(exchange) == FORM_ENVELOPE)
    form_write_event(&block, FORM_ENVELOPE, BYTES("moonwire:ping"), bytes_of(NULL, 0));
  if (exchange_form(exchange) == FORM_SSE) buffer_append_char(&block, '\n');
  sse_add_id(&block, id);
  if (block.failed) {
    exchange_break(exchange);
  } else {
    subscriber_push_text(&exchange->subscriber, buffer_bytes(&block));
  }
  buffer_deinit(&block);
}

static void sink_event(struct subscriber *subscriber, enum event_type type, struct bytes channel, struct bytes id) {
  struct exchange *exchange = exchange_here(subscriber);
  switch (type) {
    case EVENT_GAP: reply_channel_event(exchange, BYTES("moonwire:gap"), channel, id); break;
    case EVENT_END: reply_channel_event(exchange, BYTES("moonwire:end"), channel, id); break;
    case EVENT_CURSOR: push_cursor(exchange, id); break;
  }
}

/* Nothing depends on it, and it may fail. */
static void sink_slow(struct subscriber *subscriber, const struct channel *channel) {
  struct exchange *exchange = exchange_here(subscriber);
  struct app *app = exchange_app(exchange);
  const struct kind *kind = &app->config->kinds[channel->policy->kind];
  struct job_channel about = {.name = channel->name, .kind = kind};
  struct mw_client *client = kind->hooks & MW_HOOK_SLOW ? native_client(exchange) : NULL;
  struct script_job *job = client ? job_new(JOB_SLOW, app->config, client, NULL, &about, 1) : NULL;
  if (!job) return;
  job->mail.to = exchange_address(exchange);
  job->step = STEP_SLOW;
  app->script->tell(app, job);
}

static void sink_left(struct subscriber *subscriber, struct subscription *subscription, enum leave_reason reason) {
  struct exchange *exchange = exchange_here(subscriber);
  names_leave(exchange, subscription, reason != LEAVE_OVER);
  if (reason == LEAVE_FINAL) native_leave(exchange, subscription->channel->name);
}

static void sink_finish(struct subscriber *subscriber) { exchange_end_stream(exchange_here(subscriber)); }

const struct sink_ops exchange_sink = {.write = sink_write,
                                       .hold = sink_hold,
                                       .drained = sink_drained,
                                       .flushed = sink_flushed,
                                       .collect = sink_collect,
                                       .collect_push = sink_collect_push,
                                       .event = sink_event,
                                       .slow = sink_slow,
                                       .left = sink_left,
                                       .finish = sink_finish,
                                       .limit = sink_limit};
