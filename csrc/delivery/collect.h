/* Sinks that collect messages instead of writing them: their unused functions. */
#ifndef MOONWIRE_DELIVERY_COLLECT_H
#define MOONWIRE_DELIVERY_COLLECT_H

#include "delivery/subscriber.h"

VISIBILITY_PUSH

ptrdiff_t collect_no_write(struct subscriber *subscriber, const struct bytes *slices, size_t count);
int collect_no_hold(struct subscriber *subscriber, const struct bytes *slices, size_t count);
void collect_no_drained(struct subscriber *subscriber);
void collect_no_event(struct subscriber *subscriber, enum event_type type, struct bytes channel, struct bytes id);
void collect_no_slow(struct subscriber *subscriber, const struct channel *channel);
void collect_no_finish(struct subscriber *subscriber);
struct bytes collect_no_identity(const struct subscriber *subscriber);
size_t collect_no_limit(const struct subscriber *subscriber);

/* The members of a sink whose subscribers are all SUBSCRIBER_COLLECTS. */
#define SINK_ONLY_COLLECTS                                                                                                       \
  .write = collect_no_write, .hold = collect_no_hold, .drained = collect_no_drained, .event = collect_no_event,                  \
  .slow = collect_no_slow, .finish = collect_no_finish, .limit = collect_no_limit

void collect_nothing(struct subscriber *subscriber, struct message *message);
void collect_no_push(struct subscriber *subscriber, struct blob *blob, struct bytes part);
size_t collect_none(const struct subscriber *subscriber);

/* The members of a sink without such subscribers. */
#define SINK_NEVER_COLLECTS .collect = collect_nothing, .collect_push = collect_no_push, .collected = collect_none

VISIBILITY_POP

#endif
