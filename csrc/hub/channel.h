/* One channel of one hub: its subscribers, its members, and what was published to it in this turn. */
#ifndef MOONWIRE_HUB_CHANNEL_H
#define MOONWIRE_HUB_CHANNEL_H

#include "hub/roster.h"
#include "hub/store.h"

VISIBILITY_PUSH

/* Belongs to its channel, which points to it, and is listed by its owner, the subscriber, in whose memory it lies. */
struct subscription {
  struct channel *channel;   /* NULL: not subscribed */
  struct subscription *next; /* of the same owner */
  uint32_t index;            /* the place in channel->subscriptions */
  uint32_t mark;             /* free for the owner */
};

struct channel {
  struct list link;                    /* in the hub's list of all */
  struct stored *stored;               /* what is kept of it; the channel is one of its users */
  const struct channel_policy *policy; /* stored->policy */
  struct bytes name;                   /* stored->name */
  struct roster *roster;               /* its members; NULL: there are none */
  bool roster_lost;                    /* it is incomplete, for lack of memory, until a whole batch comes */
  struct subscription **subscriptions;
  uint32_t subscription_count, subscription_capacity;
  /* What was published in this turn, oldest first, one list for all subscribers. */
  struct message **turn;
  uint32_t turn_count, turn_capacity;
  struct subscription *inventor; /* which brought it into being, while it is subscribed; NULL: another, or nobody */
  struct channel *next_in_turn;  /* in the hub's list of channels that have a turn list */
};

/* Takes over the caller's use of `stored`. NULL without memory. */
struct channel *channel_new(struct stored *stored);
/* There must be no subscriptions and no turn list. */
void channel_free(struct channel *channel);
/* 0 or MW_ENOMEM. The subscription must be in no channel. */
int channel_add(struct channel *channel, struct subscription *subscription);
void channel_remove(struct channel *channel, struct subscription *subscription);
/* Appends to the turn list, keeping a reference; 0 or MW_ENOMEM. */
int channel_turn_append(struct channel *channel, struct message *message);
void channel_turn_clear(struct channel *channel);

VISIBILITY_POP

#endif
