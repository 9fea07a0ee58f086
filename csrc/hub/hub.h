/* The channels of one worker that have subscribers, in memory and without I/O. Every hub sees every message in the same order. What is kept of
 * them is in the store, which is there once; a hub reads it up to the position that it has seen. */
#ifndef MOONWIRE_HUB_HUB_H
#define MOONWIRE_HUB_HUB_H

#include "hub/channel.h"

VISIBILITY_PUSH

struct hub;

/* Hands a message, the last of subscription->channel->turn, to one subscriber. May mark, and may not change the hub. A message of
 * NULL says that one was lost for lack of memory: the subscriber must be cut off, so that it returns and is told. */
typedef void (*hub_deliver_fn)(struct subscription *subscription, struct message *message);
struct hub {
  struct table channels; /* struct channel by name: those with subscribers or members */
  struct list all;       /* the same channels */
  struct channel *in_turn;
  struct store *store; /* borrowed */
  hub_deliver_fn deliver;
  uint64_t position;        /* of the newest message seen */
  uint64_t delivered, lost; /* so far: handed to subscribers; not handed on for lack of memory */
  uint8_t
      rosters_lost; /* counts down once a second: members were lost of a channel without a roster, so those of all such are not known */
};

void hub_init(struct hub *hub, struct store *store, hub_deliver_fn deliver);
/* There must be no subscriptions. */
void hub_deinit(struct hub *hub);

/* The channel, or NULL if it is not there. */
struct channel *hub_find(const struct hub *hub, struct bytes name);
/* Adds a subscriber, making the channel if need be. MW_ENOMEM, MW_ELIMIT (store_bounds.channels). */
int hub_subscribe(struct hub *hub, struct bytes name, const struct channel_policy *policy, struct subscription *subscription);
/* Does nothing if it is not subscribed. A channel of which nothing is left is freed, with its name. */
void hub_unsubscribe(struct hub *hub, struct subscription *subscription);
/* Puts a message that has a position into the store, unless another hub did so already, and hands it to each subscriber. */
void hub_publish(struct hub *hub, struct message *message, const struct channel_policy *policy);
/* Takes over what became of a channel's members, and hands the announcement to each subscriber. False if there was no memory or room to keep
 * it: the members of the channel are not known then until a whole batch comes. */
bool hub_update_roster(struct hub *hub, const struct roster_batch *batch, const struct channel_policy *policy);
/* The members of a channel as its subscribers were told: a reference, as roster_snapshot. NULL if out of memory, or if they are not known. */
struct blob *hub_snapshot(const struct hub *hub, struct bytes name, bool counts_only, size_t most);
/* Appends a part of them, as roster_write_page. False if they are not known. */
bool hub_write_page(const struct hub *hub, struct bytes name, const struct roster_query *query, struct buffer *out);
/* The subscribers have taken what they want of this turn: drops the turn lists, and what is too much of the histories. */
void hub_end_turn(struct hub *hub);

/* Returns the position of the channel's last message if that ended it and the hub has seen it; 0: it has not ended. */
static inline uint64_t hub_ended(const struct hub *hub, const struct channel *channel) {
  return channel->stored->ended <= hub->position ? channel->stored->ended : 0;
}

VISIBILITY_POP

#endif
