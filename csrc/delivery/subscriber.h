/* A subscriber: its unsent messages, and the sink through which it receives them. Delivery knows
 * nothing else of a subscriber: no connection, exchange, client, or protocol.
 *
 * During a turn, messages are only marked or put into the outbox. They are written at the end of
 * the turn, by delivery_flush (delivery/delivery.h). */
#ifndef MOONWIRE_DELIVERY_SUBSCRIBER_H
#define MOONWIRE_DELIVERY_SUBSCRIBER_H

#include "delivery/delivery.h"
#include "delivery/outbox.h"
#include "hub/channel.h"

VISIBILITY_PUSH

struct catchup;
struct rope;
struct subscriber;

/* Events that a sink writes in its own form. */
enum event_type {
  EVENT_GAP,    /* messages of the channel are no longer available */
  EVENT_END,    /* the channel has ended; with an id if that is the new cursor */
  EVENT_CURSOR, /* the id is the new cursor; there is no channel */
  /* Those of sessions; never from here. */
  EVENT_EXPIRING,    /* the token of the client is about to expire */
  EVENT_PRESENCE,    /* who is in the channel */
  EVENT_UNSUBSCRIBED /* the app has ended the subscription */
};

enum leave_reason {
  LEAVE_ASKED, /* the subscriber or the app has ended it */
  LEAVE_FINAL, /* the channel has ended */
  LEAVE_OVER   /* the subscriber itself ends */
};

enum { HOLD_LATER = 1 };

/* All functions that delivery calls above itself. Every one is set. */
struct sink_ops {
  /* Writes as much as the peer accepts now. Returns the number of bytes (0: none), or a negative
   * status if the peer has disconnected. */
  ptrdiff_t (*write)(struct subscriber *subscriber, const struct bytes *slices, size_t count);
  /* Takes all of the slices. Their bytes stay valid until it calls subscriber_written. HOLD_LATER:
   * it took none, and calls subscriber_ready when `write` may succeed again. Negative: the peer has
   * disconnected. */
  int (*hold)(struct subscriber *subscriber, const struct bytes *slices, size_t count);
  /* Called when the outbox has become empty and is freed. */
  void (*drained)(struct subscriber *subscriber);
  /* Called at the end of each flush of the subscriber. Closes one that is SUBSCRIBER_BROKEN or
   * SUBSCRIBER_SLOW; may end the subscriber. */
  void (*flushed)(struct subscriber *subscriber);
  /* Takes a message instead of the outbox. Only called with SUBSCRIBER_COLLECTS. `message` is as in
   * hub_deliver_fn. */
  void (*collect)(struct subscriber *subscriber, struct message *message);
  /* Does the same for data for this subscriber only: part of a blob, to which it takes a
   * reference. */
  void (*collect_push)(struct subscriber *subscriber, struct blob *blob, struct bytes part);
  /* Returns the number of unsent bytes that it took by collect_push. */
  size_t (*collected)(const struct subscriber *subscriber);
  /* Pushes an event. */
  void (*event)(struct subscriber *subscriber, enum event_type type, struct bytes channel, struct bytes id);
  /* Called when a message of the channel exceeds a limit for the first time since the subscriber
   * was last up to date. */
  void (*slow)(struct subscriber *subscriber, const struct channel *channel);
  /* Called just before a subscription ends. */
  void (*left)(struct subscriber *subscriber, struct subscription *subscription, enum leave_reason reason);
  /* Called when every channel of an event stream has ended and the client knows that. */
  void (*finish)(struct subscriber *subscriber);
  /* Returns whose subscriber it is: messages with this `except` are not for it. Borrowed; empty:
   * nobody's. */
  struct bytes (*identity)(const struct subscriber *subscriber);
  /* Returns the limit on unsent bytes other than the messages of channels; SIZE_MAX: no limit. */
  size_t (*limit)(const struct subscriber *subscriber);
};

/* How a subscriber receives. Immutable, and shared by all subscribers that receive in the same
 * way. */
struct sink {
  const struct sink_ops *ops;
  struct delivery *delivery;
  const struct form_class *form;
  uint8_t framing; /* enum framing */
  bool is_two_way; /* as its form's carrier; found here once for each write */
  uint8_t view;    /* the turn view that it uses; those of other sinks may use it, too */
};

void sink_init(struct sink *sink, const struct sink_ops *ops, struct delivery *delivery, const struct form_class *form,
               enum framing framing);

enum subscriber_flag {
  SUBSCRIBER_DIRTY = 1 << 0, /* listed for the flush */
  /* something was lost, or the peer has disconnected: closed at the end of the turn */
  SUBSCRIBER_BROKEN = 1 << 1,
  /* over a limit: closed at the end of the turn, after what was written completely */
  SUBSCRIBER_SLOW = 1 << 2,
  SUBSCRIBER_BEHIND = 1 << 3,   /* extra->catchup is set */
  SUBSCRIBER_COLLECTS = 1 << 4, /* its sink takes messages by `collect` */
  SUBSCRIBER_BLOCKED = 1 << 5,  /* its sink will call subscriber_ready */
  /* extra was made here, and is freed when the subscriber is up to date */
  SUBSCRIBER_BARE = 1 << 6,
  SUBSCRIBER_OVER = 1 << 7 /* it receives nothing more and is not marked */
};

/* Data that only some subscribers have. May be the first member of a larger struct of the owner
 * (subscriber_adopt). */
struct subscriber_extra {
  struct catchup *catchup; /* with SUBSCRIBER_BEHIND */
  struct own_deflate *own; /* with a form that is_own */
};

struct subscriber {
  const struct sink *sink;
  struct subscriber *next_dirty;
  struct outbox *outbox;          /* NULL if nothing is queued */
  struct subscriber_extra *extra; /* NULL for most */
  /* what must still be written: the part turn_before of other channels' turn lists, if it is not 0,
   * and then this channel's list from turn_start on (turn_view.h); NULL: nothing */
  struct subscription *turn;
  uint16_t turn_start, turn_before;
  uint16_t subscription_count;
  uint16_t flags;
  struct subscription first; /* the others have their own memory, and are listed after it */
};

/* A subscription beyond the first. */
struct further_subscription {
  struct subscription subscription; /* with SUBSCRIPTION_FURTHER */
  struct subscriber *owner;
};

/* A bit of subscription->mark. The bits 0 to 7 are for catch-up, the others for the owner. */
enum { SUBSCRIPTION_FURTHER = 1 << 30 };

static inline struct subscriber *subscription_owner(struct subscription *subscription) {
  if (subscription->mark & SUBSCRIPTION_FURTHER)
    return container_of(subscription, struct further_subscription, subscription)->owner;
  return container_of(subscription, struct subscriber, first);
}

/* ---- Channels (delivery/subscriber.c) ---- */

/* Subscribes to another channel. Returns 0, MW_ENOMEM, or MW_ELIMIT. */
int subscriber_subscribe(struct subscriber *subscriber, struct bytes name, const struct channel_policy *policy);
/* Returns the subscription to a channel, or NULL. */
struct subscription *subscriber_find(struct subscriber *subscriber, struct bytes name);
/* Returns the subscription after `subscription`; NULL starts and ends. */
struct subscription *subscriber_next(struct subscriber *subscriber, struct subscription *subscription);
/* Leaves a channel. Messages that were published to it before are written before anything that
 * follows. */
void subscriber_unsubscribe(struct subscriber *subscriber, struct subscription *subscription, enum leave_reason reason);
/* Leaves all channels and stops catching up. */
void subscriber_end(struct subscriber *subscriber);
/* Returns subscriber->extra, which is made if necessary. If out of memory, returns NULL and marks
 * the subscriber broken. */
struct subscriber_extra *subscriber_extra(struct subscriber *subscriber);
/* Makes `extra`, part of a struct of the owner, subscriber->extra; it is zeroed. The owner calls
 * subscriber_disown before freeing it. */
void subscriber_adopt(struct subscriber *subscriber, struct subscriber_extra *extra);
void subscriber_disown(struct subscriber *subscriber);
/* The subscriber is up to date: frees an extra that nothing else needs. */
void subscriber_release_extra(struct subscriber *subscriber);

/* ---- Messages (delivery/deliver.c) ---- */

/* A hub_deliver_fn. Marks the subscriber. Puts the message into the outbox only if that is not
 * empty. */
void subscriber_deliver(struct subscription *subscription, struct message *message);
/* Messages of the channel are nowhere: the subscriber receives a gap after all that it was given. */
void subscriber_gap(struct subscription *subscription);
/* Moves the messages of a turn list that is not written yet to the outbox, so that other data can
 * follow them. The first `skip` bytes are written. */
void subscriber_settle(struct subscriber *subscriber, size_t skip);
/* Drops them: they are written, or will not be. */
static inline void subscriber_forget_turn(struct subscriber *subscriber) {
  subscriber->turn = NULL;
  subscriber->turn_before = 0;
}
/* Appends a message from a history, even over a limit, unless the subscriber is its `except`. */
void subscriber_replay(struct subscriber *subscriber, struct message *message);
/* Appends part of a blob after everything that was delivered, with a reference. Over the sink's
 * limit, the subscriber is marked slow. */
void subscriber_push(struct subscriber *subscriber, struct blob *blob, struct bytes part);
/* Appends all of a rope, or nothing of it if it exceeds the limit. */
void subscriber_push_rope(struct subscriber *subscriber, const struct rope *rope);
/* Returns true if the message must not reach the subscriber. */
bool subscriber_is_excepted(const struct subscriber *subscriber, const struct message *message);

/* Returns the number of unsent bytes other than the messages of channels. */
static inline size_t subscriber_own_size(const struct subscriber *subscriber) {
  if (subscriber->flags & SUBSCRIBER_COLLECTS) return subscriber->sink->ops->collected(subscriber);
  return outbox_own_size(subscriber->outbox);
}

/* ---- Texts (delivery/text.c) ---- */

/* Appends a text in the subscriber's form: a frame of a WebSocket, compressed if that is
 * negotiated, or text of an event stream. */
void subscriber_push_text(struct subscriber *subscriber, struct bytes text);
/* Does the same for a text that may be shared. Returns how many bytes had to be compressed for
 * that. */
size_t subscriber_push_text_rope(struct subscriber *subscriber, const struct rope *text);
/* The same, never compressed. */
void subscriber_push_text_plain(struct subscriber *subscriber, const struct rope *text);

/* ---- Writing (delivery/write.c) ---- */

/* Appends part of a blob to the outbox regardless of its size, with a reference. `message`: the
 * part is all of that message, and can be dropped; NULL: it cannot. If out of memory, marks the
 * subscriber broken. */
void subscriber_append(struct subscriber *subscriber, struct blob *blob, struct bytes part, struct message *message);
/* Writes as much of the outbox as the sink accepts, unless it already holds a part. */
void subscriber_offer(struct subscriber *subscriber);
/* Called by the sink when it has written what it held, or has failed to (`status` is negative). */
void subscriber_written(struct subscriber *subscriber, int status);
/* Called by the sink when it accepts data again. */
void subscriber_ready(struct subscriber *subscriber);
/* Returns true if the sink holds a part of the outbox, or will call subscriber_ready. */
static inline bool subscriber_waits(const struct subscriber *subscriber) {
  return subscriber->flags & SUBSCRIBER_BLOCKED || (subscriber->outbox && subscriber->outbox->writing > 0);
}

/* Marks the subscriber for the flush at the end of the turn. */
static inline void subscriber_mark(struct subscriber *subscriber) {
  struct delivery *delivery = subscriber->sink->delivery;
  if (subscriber->flags & (SUBSCRIBER_DIRTY | SUBSCRIBER_OVER)) return;
  subscriber->flags |= SUBSCRIBER_DIRTY;
  subscriber->next_dirty = delivery->dirty;
  delivery->dirty = subscriber;
}

/* Called when something was lost, usually because of a failed allocation: the subscriber is closed
 * at the end of the turn, so that its client reconnects. */
static inline void subscriber_break(struct subscriber *subscriber) {
  subscriber->flags |= SUBSCRIBER_BROKEN;
  subscriber_mark(subscriber);
}

VISIBILITY_POP

#endif
