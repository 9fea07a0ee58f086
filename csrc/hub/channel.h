/* One channel of a hub: its subscribers, its members, and the messages published to it in this
 * turn. */
#ifndef MOONWIRE_HUB_CHANNEL_H
#define MOONWIRE_HUB_CHANNEL_H

#include "hub/roster.h"
#include "hub/store.h"

VISIBILITY_PUSH

/* A subscription belongs to its channel, which points to it. Its owner, the subscriber, lists it
 * and contains its memory. */
struct subscription {
  struct channel *channel;   /* NULL if it is not subscribed */
  struct subscription *next; /* of the same owner */
  uint32_t index;            /* its index in channel->subscriptions */
  uint32_t mark;             /* for the owner */
};

struct channel {
  struct list link; /* in the list of all channels of the hub */
  /* what the store keeps of it; the channel is one of its users */
  struct stored *stored;
  const struct channel_policy *policy; /* likewise */
  struct bytes name;                   /* stored->name */
  struct roster *roster;               /* its members; NULL if there are none */
  /* it is incomplete, because of a failed allocation, until a whole batch arrives */
  bool roster_lost;
  bool is_fetching; /* for delivery: a page of its history was asked for (delivery/fetching.h) */
  struct subscription **subscriptions;
  uint32_t subscription_count, subscription_capacity;
  /* The messages published in this turn, oldest first; one list for all subscribers. */
  struct message **turn;
  uint32_t turn_count, turn_capacity;
  /* the subscription that created it, while it is subscribed; NULL: another one, or none */
  struct subscription *inventor;
  struct channel *next_in_turn; /* in the hub's list of channels that have a turn list */
};

/* Takes over the caller's use of `stored`. Returns a channel, or NULL if out of memory. */
struct channel *channel_new(struct stored *stored);
/* Frees a channel. It must have no subscriptions and no turn list. */
void channel_free(struct channel *channel);
/* Adds a subscription, which must not be in a channel. Returns 0 or MW_ENOMEM. */
int channel_add(struct channel *channel, struct subscription *subscription);
void channel_remove(struct channel *channel, struct subscription *subscription);
/* Appends to the turn list, with a reference to the message. Returns 0 or MW_ENOMEM. */
int channel_turn_append(struct channel *channel, struct message *message);
void channel_turn_clear(struct channel *channel);

VISIBILITY_POP

#endif
