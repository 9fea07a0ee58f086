#include "delivery/subscriber.h"

#include "base/log_limit.h"
#include "base/memory.h"
#include "delivery/catchup.h"
#include "delivery/compress.h"

void sink_init(struct sink *sink, const struct sink_ops *ops, struct delivery *delivery, const struct form_class *form,
               enum framing framing) {
  *sink = (struct sink){.ops = ops,
                        .delivery = delivery,
                        .form = form,
                        .framing = (uint8_t)framing,
                        .is_two_way = form->carrier->is_two_way,
                        .view = (uint8_t)(delivery->sink_count++ % TURN_VIEWS)};
}

/* ---- Channels -------------------------------------------------------------------------------- */

int subscriber_subscribe(struct subscriber *subscriber, struct bytes name, const struct channel_policy *policy) {
  struct subscription *subscription = &subscriber->first;
  if (subscriber->subscription_count == UINT16_MAX) return MW_ELIMIT;
  if (subscriber->first.channel) {
    struct further_subscription *further = memory_calloc(1, sizeof *further);
    if (!further) return MW_ENOMEM;
    further->owner = subscriber;
    subscription = &further->subscription;
  }
  subscription->mark = subscription == &subscriber->first ? 0 : SUBSCRIPTION_FURTHER;
  int status = hub_subscribe(subscriber->sink->delivery->hub, name, policy, subscription);
  if (status < 0) {
    if (subscription != &subscriber->first) memory_free(subscription);
    return status;
  }
  if (subscription != &subscriber->first) {
    subscription->next = subscriber->first.next;
    subscriber->first.next = subscription;
  }
  subscriber->subscription_count++;
  log_limited(MW_LOG_DEBUG, "subscribe %.*s", (int)name.len, name.ptr);
  return 0;
}

struct subscription *subscriber_next(struct subscriber *subscriber, struct subscription *subscription) {
  if (subscription) return subscription->next;
  return subscriber->first.channel ? &subscriber->first : subscriber->first.next;
}

struct subscription *subscriber_find(struct subscriber *subscriber, struct bytes name) {
  struct subscription *subscription = NULL;
  while ((subscription = subscriber_next(subscriber, subscription))) {
    if (bytes_equal(subscription->channel->name, name)) return subscription;
  }
  return NULL;
}

/* Ends a subscription that has a channel. */
static void leave(struct subscriber *subscriber, struct subscription *subscription, enum leave_reason reason) {
  const struct sink *sink = subscriber->sink;
  sink->ops->left(subscriber, subscription, reason);
  hub_unsubscribe(sink->delivery->hub, subscription);
  subscriber->subscription_count--;
  if (subscription != &subscriber->first) memory_free(subscription);
}

void subscriber_unsubscribe(struct subscriber *subscriber, struct subscription *subscription, enum leave_reason reason) {
  subscriber_settle(subscriber, 0);
  if (subscriber->flags & SUBSCRIBER_BEHIND) catchup_leave(subscriber, subscription);
  struct subscription *before = &subscriber->first;
  while (subscription != &subscriber->first && before->next != subscription) before = before->next;
  if (subscription != &subscriber->first) before->next = subscription->next;
  leave(subscriber, subscription, reason);
}

void subscriber_end(struct subscriber *subscriber) {
  subscriber_forget_turn(subscriber);
  subscriber->flags &= (uint16_t)~SUBSCRIBER_COLLECTS;
  if (subscriber->subscription_count > 0)
    log_limited(MW_LOG_DEBUG, "unsubscribe from %u channels", (unsigned)subscriber->subscription_count);
  if (subscriber->flags & SUBSCRIBER_BEHIND) catchup_end(subscriber);
  if (subscriber->first.channel) leave(subscriber, &subscriber->first, LEAVE_OVER);
  while (subscriber->first.next) {
    struct subscription *subscription = subscriber->first.next;
    subscriber->first.next = subscription->next;
    leave(subscriber, subscription, LEAVE_OVER);
  }
}

/* ---- Extras ---------------------------------------------------------------------------------- */

struct subscriber_extra *subscriber_extra(struct subscriber *subscriber) {
  if (subscriber->extra) return subscriber->extra;
  subscriber->extra = memory_calloc(1, sizeof *subscriber->extra);
  if (subscriber->extra) {
    subscriber->flags |= SUBSCRIBER_BARE;
  } else {
    subscriber_break(subscriber);
  }
  return subscriber->extra;
}

void subscriber_adopt(struct subscriber *subscriber, struct subscriber_extra *extra) {
  if (subscriber->flags & SUBSCRIBER_BARE) {
    *extra = *subscriber->extra;
    memory_free(subscriber->extra);
  }
  subscriber->flags &= (uint16_t)~SUBSCRIBER_BARE;
  subscriber->extra = extra;
}

void subscriber_disown(struct subscriber *subscriber) {
  if (subscriber->flags & SUBSCRIBER_BEHIND) catchup_end(subscriber);
  own_deflate_free(subscriber->extra->own);
  subscriber->extra = NULL;
}

void subscriber_release_extra(struct subscriber *subscriber) {
  if (!(subscriber->flags & SUBSCRIBER_BARE)) return;
  subscriber->flags &= (uint16_t)~SUBSCRIBER_BARE;
  memory_free(subscriber->extra);
  subscriber->extra = NULL;
}
