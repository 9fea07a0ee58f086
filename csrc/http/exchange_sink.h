/* The sink of an exchange (delivery/subscriber.h): its subscriber receives by its protocol, and
 * reports to roles and the app. */
#ifndef MOONWIRE_HTTP_EXCHANGE_SINK_H
#define MOONWIRE_HTTP_EXCHANGE_SINK_H

#include "delivery/collect.h"

VISIBILITY_PUSH

struct exchange;

/* The first step of a protocol's sink_ops.flushed: notifies the role, and closes an exchange that
 * is broken or slow. Returns true if the answer is complete and written. */
bool exchange_flushed(struct exchange *exchange);

void exchange_report_event(struct subscriber *subscriber, enum event_type type, struct bytes channel, struct bytes id);
void exchange_report_slow(struct subscriber *subscriber, const struct channel *channel);
void exchange_report_left(struct subscriber *subscriber, struct subscription *subscription, enum leave_reason reason);
void exchange_report_finish(struct subscriber *subscriber);
struct bytes exchange_identity(const struct subscriber *subscriber);
size_t exchange_limit(const struct subscriber *subscriber);

/* Members of a protocol's sink_ops that are the same for all. */
#define EXCHANGE_REPORTS                                                                                                         \
  SINK_NEVER_COLLECTS, .event = exchange_report_event, .slow = exchange_report_slow, .left = exchange_report_left,               \
                       .finish = exchange_report_finish, .identity = exchange_identity, .limit = exchange_limit

VISIBILITY_POP

#endif
