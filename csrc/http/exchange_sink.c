#include "http/exchange_sink.h"

#include "http/exchange.h"

/* Returns the exchange of a subscriber that has such a sink. */
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

/* ---- The end of a flush ---------------------------------------------------------------------- */

/* Called when everything is written. Returns true if the complete answer is. */
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
  if (http_has_session(&exchange->subscriber) && exchange->role) exchange->role->on_flushed(exchange);
  return is_done;
}

/* ---- Events ---------------------------------------------------------------------------------- */

void exchange_report_event(struct subscriber *subscriber, enum event_type type, struct bytes channel, struct bytes id) {
  http_of(subscriber)->sessions->event(subscriber, type, channel, id);
}

void exchange_report_slow(struct subscriber *subscriber, const struct channel *channel) {
  http_of(subscriber)->sessions->slow(subscriber, channel);
}

void exchange_report_left(struct subscriber *subscriber, struct subscription *subscription, enum leave_reason reason) {
  http_of(subscriber)->sessions->left(subscriber, subscription, reason);
}

struct bytes exchange_identity(const struct subscriber *subscriber) {
  return http_of(subscriber)->sessions->identity(subscriber);
}

void exchange_report_finish(struct subscriber *subscriber) {
  struct exchange *exchange = exchange_here(subscriber);
  if (exchange->role) exchange->role->on_finish(exchange);
}
