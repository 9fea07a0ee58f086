/* What is kept of the channels, once for all hubs: their histories, where they ended, and the marks of
 * those of which nothing else is left, within the limits. Knows no subscribers. One thread at a time. */
#ifndef MOONWIRE_HUB_STORE_H
#define MOONWIRE_HUB_STORE_H

#include "base/clock.h"
#include "base/list.h"
#include "base/table.h"
#include "hub/history.h"
#include "hub/marks.h"
#include "hub/oldest.h"
#include "hub/policy.h"

VISIBILITY_PUSH

/* What is kept of one channel. It stays while it has messages, while a hub has the channel, and while a
 * message is promised a place; then only its mark remains. */
struct stored {
  struct list link;                    /* in the store's list of all; rotated by the sweep */
  const struct channel_policy *policy; /* borrowed */
  struct history history;
  uint64_t ended;           /* the position of its last message, if that was final; 0: more may come */
  uint64_t floor;           /* where its mark was not there: what stood in for it (hub/marks.h); 0: the mark is known */
  uint64_t oldest_position; /* hub/oldest.h's */
  uint32_t oldest_place;
  uint32_t promised; /* messages that were promised a place in the history */
  uint32_t users;    /* channels of hubs */
  void *charged[2];  /* whom its name is charged to; the owner's, see store.on_forget */
  struct bytes name;
  char text[];
};

struct store_bounds {
  size_t channels;   /* of which something besides a mark is kept */
  uint64_t history;  /* bytes of all histories */
  size_t marks;      /* of channels of which nothing else is kept */
  uint64_t position; /* of the last message before the store began: no message up to it is kept; 0: there was none */
};

struct store {
  struct table channels; /* struct stored by name */
  struct list all;
  const struct clock *clock;                          /* borrowed */
  void (*on_forget)(struct store *, struct stored *); /* it is about to be freed; NULL: nothing is to be done */
  uint64_t position;                                  /* of the newest message that was put */
  size_t channels_max;
  uint32_t promised_count; /* of `all`, those with promised > 0 */
  struct oldest oldest;
  uint64_t history_bytes, history_max; /* what all histories hold, and may hold */
  atomic_size_t late_bytes;            /* what is held besides of forms that were encoded later */
  uint64_t lost;                       /* so far: messages not kept because there was no memory, or no room for their channel */
  uint64_t evicted;                    /* so far: messages evicted because all histories together held too much */
  uint64_t floor_gaps;                 /* so far: gaps that may be none, because the mark of the channel had been dropped */
  struct marks marks;
};

void store_init(struct store *store, const struct clock *clock, const struct store_bounds *bounds);
/* No hub may have a channel. */
void store_deinit(struct store *store);

/* Returns what is kept of a channel besides its mark: borrowed; NULL: nothing. */
struct stored *store_find(const struct store *store, struct bytes name);
/* The same, without what is too old. */
struct stored *store_look(struct store *store, struct bytes name);
/* Adds a hub to its users, and makes it if necessary. MW_ENOMEM; MW_ELIMIT: bounds.channels. */
int store_acquire(struct store *store, struct bytes name, const struct channel_policy *policy, struct stored **stored);
/* Removes a user. */
void store_release(struct store *store, struct stored *stored);

/* Makes all the room that the next message of a channel needs to be kept, for which message->promised is
 * then set: store_put keeps it whatever happens until then. MW_ENOMEM; MW_ELIMIT: bounds.channels. */
int store_promise(struct store *store, struct message *message, const struct channel_policy *policy);
/* The message does not come. */
void store_break_promise(struct store *store, struct message *message);
/* Keeps a message, whose position is above all before it, as the policy says, and sets message->before. A
 * final one ends the channel until the next one. Never fails as a whole: what cannot be kept counts as
 * evicted, so that a client that reconnects receives a gap. `stored`: the channel's, if the caller has it. */
void store_put(struct store *store, struct stored *stored, struct message *message, const struct channel_policy *policy);

/* Returns true if a client that has seen everything up to `since` gets the rest of that channel from its
 * history. Expires what is too old. Call it once for each time that a client may receive a gap: it counts
 * those that may be none. */
bool store_complete(struct store *store, struct stored *stored, uint64_t since);
/* Returns the index in stored->history at which a replay begins: after `since`, or the newest `replay` of
 * the policy if has_since is false. Expires what is too old. */
uint32_t store_replay_from(struct store *store, struct stored *stored, bool has_since, uint64_t since);
/* Returns the position of the channel's last message if that ended it, also if only its mark is left;
 * 0: it has not ended. */
uint64_t store_ended(const struct store *store, struct bytes name);

/* Returns what all histories hold, in bytes. */
uint64_t store_history_bytes(const struct store *store);
/* Evicts the oldest messages of all while the histories hold too much: forms may have been encoded since. */
void store_bound(struct store *store);
/* Looks at up to `budget` channels in turn: expires messages, and forgets channels of which nothing is left. */
void store_sweep(struct store *store, size_t budget);

VISIBILITY_POP

#endif
