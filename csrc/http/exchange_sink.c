#include "http/exchange_sink.h"

#include "codec/sse.h"
#include "http/exchange.h"
#include "server/names.h"
#include "server/reply.h"
#include "server/session.h"

/* Of a subscriber with such a sink. */
static struct exchange *exchange_here(struct subscriber *subscriber) {
  return container_of(subscriber, struct exchange, subscriber);
}

struct exchange *exchange_of(struct subscriber *subscriber) {
  return subscriber && subscriber->sink->ops->limit == exchange_limit ? exchange_here(subscriber) : NULL;
}

size_t exchange_limit(const struct subscriber *subscriber) {
  struct exchange *exchange = exchange_here((struct subscriber *)(uintptr_t)subscriber);
  if (exchange->state != EXCHANGE_STREAMING || !exchange->role) return SIZE_MAX;
  return exchange->role->outbox_limit(exchange);
}

/* ---- The end of a flush --------------------------------------------------------------------------------------------------- */

/* Everything is written. True: so is all of the answer. */
static bool after_writing(struct exchange *exchange) {
  if (exchange->state == EXCHANGE_ANSWERING && exchange->role) {
    exchange->role->on_written(exchange);
    return false;
  }
  if (exchange->state == EXCHANGE_ENDING && exchange->role)
    exchange_set_deadline(exchange); /* the peer's close frame is awaited */
  return (exchange->state == EXCHANGE_ANSWERING || exchange->state == EXCHANGE_ENDING) && !exchange->role;
}

bool exchange_flushed(struct exchange *exchange) {
  bool is_done = false;
  if (exchange->subscriber.flags & SUBSCRIBER_BROKEN) {
    exchange_reset(exchange);
    return false;
  }
  if (exchange->subscriber.flags & SUBSCRIBER_SLOW) exchange_close(exchange, CLOSE_SLOW, "too slow");
  if (!exchange->subscriber.outbox) is_done = after_writing(exchange);
  if (session_of(&exchange->subscriber) && exchange->role) exchange->role->on_flushed(exchange);
  return is_done;
}

/* ---- Events --------------------------------------------------------------------------------------------------------------- */

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

void exchange_report_event(struct subscriber *subscriber, enum event_type type, struct bytes channel, struct bytes id) {
  switch (type) {
    case EVENT_GAP: reply_channel_event(subscriber, BYTES("moonwire:gap"), channel, id); break;
    case EVENT_END: reply_channel_event(subscriber, BYTES("moonwire:end"), channel, id); break;
    case EVENT_CURSOR: push_cursor(exchange_here(subscriber), id); break;
  }
}

/* Nothing depends on it, and it may fail. */
void exchange_report_slow(struct subscriber *subscriber, const struct channel *channel) {
  struct app *app = http_of(subscriber)->app;
  const struct kind *kind = &app->config->kinds[channel->policy->kind];
  struct job_channel about = {.name = channel->name, .kind = kind};
  struct mw_client *client = kind->hooks & MW_HOOK_SLOW ? session_client(subscriber) : NULL;
  struct script_job *job = client ? job_new(JOB_SLOW, app->config, client, NULL, &about, 1) : NULL;
  if (!job) return;
  job->mail.to = session_address(subscriber);
  job->step = STEP_SLOW;
  app->script->tell(app, job);
}

void exchange_report_left(struct subscriber *subscriber, struct subscription *subscription, enum leave_reason reason) {
  names_leave(subscriber, subscription, reason != LEAVE_OVER);
  if (reason == LEAVE_FINAL) session_leave(subscriber, subscription->channel->name);
}

void exchange_report_finish(struct subscriber *subscriber) { exchange_end_stream(exchange_here(subscriber)); }
