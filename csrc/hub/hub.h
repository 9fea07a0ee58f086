/* All channels of one worker, in memory and without I/O. Hubs are replicas: every hub sees every message in the same order. */
#ifndef MOONWIRE_HUB_HUB_H
#define MOONWIRE_HUB_HUB_H

#include "base/clock.h"
#include "base/table.h"
#include "hub/marks.h"
#include "hub/oldest.h"

VISIBILITY_PUSH

struct hub;

/* Hands a message, the last of subscription->channel->turn, to one subscriber. May mark, and may not change the hub. A message of
 * NULL says that one was lost for lack of memory: the subscriber must be cut off, so that it returns and is told. */
typedef void (*hub_deliver_fn)(struct subscription *subscription, struct message *message);
/* A channel is about to be freed. */
typedef void (*hub_forget_fn)(struct hub *hub, struct channel *channel);

struct hub_bounds {
  size_t channels;   /* that may be live */
  uint64_t history;  /* bytes of all histories */
  size_t marks;      /* of channels that are no longer live */
  uint64_t position; /* of the last message before the hub began: no message up to it is kept; 0: there was none */
};

struct hub {
  struct table channels;
  struct list all; /* the same channels; rotated by the sweep */
  struct channel *in_turn;
  const struct clock *clock; /* borrowed */
  hub_deliver_fn deliver;
  hub_forget_fn on_forget;  /* NULL: nobody cares */
  uint64_t position;        /* of the newest message seen */
  uint64_t delivered, lost; /* so far: handed to subscribers; not kept or handed on for lack of memory */
  size_t channels_max;
  uint32_t promised; /* channels that were promised a message */
  struct oldest oldest;
  uint64_t history_bytes, history_max; /* what all histories hold, and may hold */
  atomic_size_t late_bytes;            /* what is held besides of forms that were encoded later */
  uint64_t evicted;                    /* so far: messages let go because all histories together held too much */
  uint8_t
      rosters_lost; /* counts down once a second: members were lost of a channel without a roster, so those of all such are not known */
  uint64_t floor_gaps; /* so far: gaps that may be none, because the mark of the channel had been dropped */
  struct marks marks;
};

void hub_init(struct hub *hub, const struct clock *clock, const struct hub_bounds *bounds, hub_deliver_fn deliver);
/* There must be no subscriptions. */
void hub_deinit(struct hub *hub);

/* The channel, or NULL if it is not there. */
struct channel *hub_find(const struct hub *hub, struct bytes name);
/* Adds a subscriber, making the channel if need be. MW_ENOMEM, MW_ELIMIT (channels_max). */
int hub_subscribe(struct hub *hub, struct bytes name, const struct channel_policy *policy, struct subscription *subscription);
/* Does nothing if it is not subscribed. A channel of which nothing is left is freed, with its name. */
void hub_unsubscribe(struct hub *hub, struct subscription *subscription);
/* Makes the channel if necessary, and all the room that the next message needs to be kept there, for which message->promised is then set:
 * hub_publish keeps it whatever happens until then. MW_ENOMEM, MW_ELIMIT (channels_max). */
int hub_promise(struct hub *hub, struct message *message, const struct channel_policy *policy);
/* The message does not come. */
void hub_break_promise(struct hub *hub, struct message *message);
/* Keeps the message as the policy says and hands it to each subscriber; a final one ends the channel, until something is published again. Never fails as a whole: what cannot be kept is marked as
 * evicted, so that whoever returns is told of the gap. */
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

/* True if a client that has seen everything up to `since` gets the rest of that channel from its history. Expires what is too old. Call it
 * once for each time that a client may be told of a gap: it counts those that may be none. */
bool hub_complete(struct hub *hub, struct channel *channel, uint64_t since);
/* The index in channel->history at which a replay begins: after `since`, or the newest `replay` of the policy if has_since is false.
 * Expires what is too old. */
uint32_t hub_replay_from(struct hub *hub, struct channel *channel, bool has_since, uint64_t since);
/* The same channel with what is too old expired; NULL if it is not there. */
struct channel *hub_look(struct hub *hub, struct bytes name);

/* The position of the channel's last message if that ended it; 0: it has not ended. Also of a channel that is no longer live. */
uint64_t hub_ended(const struct hub *hub, struct bytes name);

/* What all histories hold. */
uint64_t hub_history_bytes(const struct hub *hub);

/* Looks at up to `budget` channels in turn: drops what is too old, and channels of which nothing is left. */
void hub_sweep(struct hub *hub, size_t budget);

VISIBILITY_POP

#endif
