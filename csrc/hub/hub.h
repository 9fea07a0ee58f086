/* The channels of one worker that have subscribers, in memory and without I/O. Every hub receives
 * all messages in the same order. Their histories are in the store, which exists once; a hub reads
 * it up to the position that it has received. */
#ifndef MOONWIRE_HUB_HUB_H
#define MOONWIRE_HUB_HUB_H

#include "hub/channel.h"

VISIBILITY_PUSH

struct hub;

/* Called with each message for each subscriber; the message is the last of
 * subscription->channel->turn. May mark the subscription, and must not change the hub. If `message`
 * is NULL, a message was lost because of a failed allocation: the subscriber must be disconnected,
 * so that it resumes and receives a gap. */
typedef void (*hub_deliver_fn)(struct subscription *subscription, struct message *message);
struct hub {
  struct table channels; /* struct channel by name: those with subscribers or members */
  struct list all;       /* the same channels */
  struct channel *in_turn;
  size_t turn_bytes;   /* the weight of the messages in turn lists */
  struct store *store; /* borrowed */
  hub_deliver_fn deliver;
  uint64_t position; /* of the newest message received */
  size_t subscription_count;
  /* total: given to subscribers; not given because of a failed allocation */
  uint64_t delivered, lost;
  /* counts down once a second: members were lost of a channel without a roster, so no such channel
   * knows its members */
  uint8_t rosters_lost;
};

void hub_init(struct hub *hub, struct store *store, hub_deliver_fn deliver);
/* Frees everything. There must be no subscriptions. */
void hub_deinit(struct hub *hub);

/* Returns the channel, or NULL if it is not live. */
struct channel *hub_find(const struct hub *hub, struct bytes name);
/* Adds a subscriber, and makes the channel if necessary. Returns 0, MW_ENOMEM, or MW_ELIMIT
 * (store_bounds.channels). */
int hub_subscribe(struct hub *hub, struct bytes name, const struct channel_policy *policy, struct subscription *subscription);
/* Removes a subscriber, if it is subscribed. Frees the channel, and its name, if nothing of it is
 * left. */
void hub_unsubscribe(struct hub *hub, struct subscription *subscription);
/* Puts a message with a position into the store, unless it is there, and gives it to each
 * subscriber. */
void hub_publish(struct hub *hub, struct message *message, const struct channel_policy *policy);
/* Applies changes to the members of a channel, and gives the announcement to each subscriber.
 * Returns false if there is no memory or no room to keep them: the members of the channel are then
 * unknown until a whole batch arrives. */
bool hub_update_roster(struct hub *hub, const struct roster_batch *batch, const struct channel_policy *policy);
/* Finds the members of a channel that its subscribers know; NULL: it has none. Returns false if
 * they are unknown. */
bool hub_roster(const struct hub *hub, struct bytes name, struct roster **roster);
/* A new epoch begins after its `position`: every subscriber is disconnected, as if a message had
 * been lost. The store has begun it (store_restart). */
void hub_restart(struct hub *hub, uint64_t position);
/* Ends the turn, after the subscribers have read its messages: frees the turn lists, and evicts
 * what exceeds the limit of all histories. */
void hub_end_turn(struct hub *hub);

/* Returns the position of the final message of the channel, if the hub has received it, or 0. */
static inline uint64_t hub_ended(const struct hub *hub, const struct channel *channel) {
  uint64_t ended = channel->stored->ended;
  return ended <= hub->position ? ended : 0;
}

VISIBILITY_POP

#endif
