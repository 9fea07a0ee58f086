/* A subscriber that catches up reads messages from the histories of its channels at its own pace.
 * They are not queued in its outbox. Replay after a reconnect and catch-up after slowness work this
 * way.
 *
 * Over all channels of a subscriber, messages with a position are sent in increasing position
 * (delivery/subscriber.h). */
#ifndef MOONWIRE_DELIVERY_CATCHUP_H
#define MOONWIRE_DELIVERY_CATCHUP_H

#include "delivery/latest.h"
#include "delivery/subscriber.h"

VISIBILITY_PUSH

/* Bits of subscription->mark. */
enum {
  CATCHUP_BEHIND = 1,   /* it is read from its history */
  CATCHUP_HELD = 2,     /* it has no history, and its messages wait for the channels that have one */
  CATCHUP_GAP = 4,      /* its subscriber is to receive a gap */
  CATCHUP_FETCHES = 16, /* its subscriber waits for a page of its history */
  CATCHUP_MARKS = CATCHUP_BEHIND | CATCHUP_HELD | CATCHUP_GAP | CATCHUP_FETCHES,
  /* its subscriber has received the end, and is still subscribed; also when it is up to date */
  CATCHUP_ENDED = 8
};

/* One channel that is read from its history. */
struct catchup_source {
  struct subscription *subscription; /* CATCHUP_BEHIND */
  uint64_t after;                    /* everything up to here was pushed */
  uint64_t wanted;                   /* messages up to here were asked for (delivery/fetching.h) */
  uint32_t next;                     /* an index in the history, while it is fed */
  uint8_t tries;                     /* how often, without having more since */
  bool asks;                         /* they are to be asked for */
};

struct catchup {
  struct catchup_source *sources;
  size_t count;
  uint32_t capacity;
  struct latest latest;
  /* it exceeded a limit: messages that no history keeps are treated as the policy of their channel
   * says */
  bool stalled;
  bool has_gap;  /* a subscription has CATCHUP_GAP */
  bool ends;     /* a channel has ended */
  uint8_t waits; /* turns in a row in which it waited for the hub */
};

/* Reads a channel from its history after that position. If out of memory, marks the subscriber
 * broken. */
void catchup_follow(struct subscriber *subscriber, struct subscription *subscription, uint64_t after);
/* An event stream, whose positions only grow, has just subscribed to a channel: messages of the
 * channel wait until all others are read. If out of memory, marks the subscriber broken. */
void catchup_join(struct subscriber *subscriber, struct subscription *subscription, uint64_t after);
/* A channel has ended: the subscriber receives the end after the channel's last message. If out of
 * memory, marks the subscriber broken. */
void catchup_note_end(struct subscriber *subscriber);
/* Called when `message` would exceed the outbox or age limit. Applies each channel's slow policy to
 * the queued messages and to `message`, or sets SUBSCRIBER_SLOW. If out of memory, marks the
 * subscriber broken. */
void catchup_stall(struct subscriber *subscriber, struct subscription *subscription, struct message *message);
/* Returns true if the message, just delivered, must not be pushed: it is read later, dropped, or
 * kept. Only with SUBSCRIBER_BEHIND. */
bool catchup_take(struct subscriber *subscriber, struct subscription *subscription, struct message *message);
/* The subscription is about to end. Only with SUBSCRIBER_BEHIND. */
void catchup_leave(struct subscriber *subscriber, struct subscription *subscription);
enum catchup_step {
  CATCHUP_GOES_ON,   /* it has pushed, or has ended */
  CATCHUP_NEXT_TURN, /* it must be called again in the next turn, when the hub has received more */
  CATCHUP_WAITS      /* it must be called again after delivery_fetched, which marks the subscriber */
};
/* Called when everything that was pushed is written: pushes more, or ends catching up. Only with
 * SUBSCRIBER_BEHIND. */
enum catchup_step catchup_feed(struct subscriber *subscriber);
/* Stops catching up, and drops what was kept. Only with SUBSCRIBER_BEHIND. */
void catchup_end(struct subscriber *subscriber);
/* Returns the bytes of the messages that no history keeps and that wait. */
size_t catchup_kept_bytes(const struct subscriber *subscriber);

VISIBILITY_POP

#endif
