/* The histories of all channels, once for all hubs: messages, ends, and the marks of channels of
 * which nothing else is left, within the limits. The store does not know subscribers.
 *
 * On a node of a cluster, the store is a cache of what the broker keeps. It then tells messages that
 * are not here and can be fetched (up to `evicted`) from those that are nowhere (up to `gone`).
 *
 * With several workers, it has a lock. Functions take it for themselves. A caller that uses what it
 * borrowed from the store (a struct stored, its history) holds it for as long: store_lock. */
#ifndef MOONWIRE_HUB_STORE_H
#define MOONWIRE_HUB_STORE_H

#include "base/clock.h"
#include "base/list.h"
#include "base/optional_lock.h"
#include "base/table.h"
#include "hub/history.h"
#include "hub/marks.h"
#include "hub/oldest.h"
#include "hub/policy.h"

VISIBILITY_PUSH

/* The part of one channel. It exists while it has messages, while a hub has the channel, and while
 * a message is promised a place; after that, only its mark is left. */
struct stored {
  /* in the list of all of the store, in the order of the sweep */
  struct list link;
  /* with a reference; a newer one replaces it when the store sees that */
  const struct channel_policy *policy;
  struct history history;
  /* the position of its last message if that was final; 0: more may follow. Written under the lock,
   * and read without */
  _Atomic uint64_t ended;
  /* if its mark was dropped, the floor that replaces it (hub/marks.h); 0: the mark is known */
  uint64_t floor;
  /* of the newest message when a page was last restored: for limits.history, none of the channel
   * counts as older, or a page would be evicted before it is read */
  uint64_t fetched;
  uint64_t oldest_position; /* used by hub/oldest.h */
  uint32_t oldest_place;
  bool is_followed;  /* of a cache: all that is published is put, so the part stays and may answer */
  uint32_t promised; /* messages that have a reserved place in the history */
  uint32_t users;    /* channels of hubs */
  /* subscriptions in all hubs. Relaxed, because nothing but a count is read from it */
  atomic_uint subscriber_count;
  /* the client and the address that are charged for its name; see store.on_forget */
  void *charged[2];
  struct bytes name;
  char text[];
};

struct store_bounds {
  size_t channels;  /* channels of which more than a mark is kept */
  uint64_t history; /* bytes of all histories */
  size_t marks;     /* marks of channels of which nothing else is kept */
  /* of the last message before the store was made, none of which is kept; 0: there was none */
  uint64_t position;
  bool is_shared; /* several hubs use it, each on a thread of its own */
  bool is_cache;  /* of what a broker keeps; always shared, because another thread restores it */
};

/* Messages of a channel that the broker keeps. */
struct store_page {
  struct message *const *messages; /* oldest first; `before` is set, or 0 */
  size_t count;
  /* they are all that the channel has after the one position and up to the other; UINT64_MAX: up to
   * now, and what follows will be put */
  uint64_t after, until;
  uint64_t gone;  /* messages up to it are nowhere */
  uint64_t ended; /* the position of the newest message of the channel, if it is final; or 0 */
};

/* What a history has for a client with some position. */
enum store_has {
  STORE_HAS_ALL,
  STORE_MUST_FETCH, /* nothing is missing for good, but it is not all here; only if it is a cache */
  STORE_HAS_GAP     /* some of it is nowhere */
};

struct store {
  struct optional_lock lock;
  struct table channels; /* struct stored by name */
  struct list all;
  const struct clock *clock;                          /* borrowed */
  void (*on_forget)(struct store *, struct stored *); /* called before one is freed; may be NULL */
  uint64_t position;                                  /* of the newest message that was put */
  size_t channels_max;
  bool is_cache;
  uint32_t *kind_counts; /* of `channels`, by kind */
  uint32_t kind_capacity;
  uint32_t promised_count; /* how many of `all` have promised > 0 */
  struct oldest oldest;
  uint64_t history_bytes, history_max; /* the weight of all histories, and its limit */
  atomic_size_t late_bytes;            /* weight of the forms that were encoded later */
  /* total: messages that were not kept, because there was no memory or no room for their channel */
  uint64_t lost;
  uint64_t refused;         /* channels, because of channels_max */
  uint64_t refused_of_kind; /* channels, because of the limit of their kind */
  uint64_t evicted;         /* total: messages evicted because of the limit of all histories */
  /* total: gaps that were perhaps unnecessary, because the mark of the channel was dropped */
  uint64_t floor_gaps;
  struct marks marks;
};

void store_init(struct store *store, const struct clock *clock, const struct store_bounds *bounds);
/* Replaces the bounds, except the position and what the store is. What is kept beyond them is evicted at the end of a turn;
 * of channels and marks, no more are added. */
void store_set_bounds(struct store *store, const struct store_bounds *bounds);
/* Frees everything. No hub may have a channel. */
void store_deinit(struct store *store);

static inline void store_lock(struct store *store) { optional_lock_take(&store->lock); }
static inline void store_unlock(struct store *store) { optional_lock_release(&store->lock); }

/* Returns the part of a channel, borrowed, or NULL if at most a mark is kept. Under the lock, as
 * store_look, store_complete, store_is_ahead, and store_replay_from. */
struct stored *store_find(const struct store *store, struct bytes name);
/* Does the same after expiring old messages. */
struct stored *store_look(struct store *store, struct bytes name);
/* Adds a use by a hub, and makes the part if necessary. Returns 0, MW_ENOMEM, or MW_ELIMIT
 * (bounds.channels, or those of the policy). */
int store_acquire(struct store *store, struct bytes name, const struct channel_policy *policy, struct stored **stored);
/* Ends a use. */
void store_release(struct store *store, struct stored *stored);

/* Reserves all that store_put needs to keep the message, regardless of what happens before that.
 * Sets message->promised. Returns 0, MW_ENOMEM, or MW_ELIMIT, as store_acquire. */
int store_promise(struct store *store, struct message *message, const struct channel_policy *policy);
/* Releases what store_promise reserved: the message will not be published. */
void store_break_promise(struct store *store, struct message *message);
/* Keeps a message, whose position is higher than all before it, as the policy defines. Sets
 * message->before, unless a broker has. A final message ends the channel, until another one is published. Always
 * succeeds: a message that cannot be kept counts as evicted, so that a client that resumes receives
 * a gap. `stored` is the part of the channel, if the caller has it. */
void store_put(struct store *store, struct stored *stored, struct message *message, const struct channel_policy *policy);

/* ---- Of a cache (hub/store_cache.c) ---- */

/* Adds a page to what is kept of a channel, within the bounds. If messages between the two are
 * missing, the newer one stays. Keeps references. Returns 0, or, as store_acquire, MW_ENOMEM or
 * MW_ELIMIT: then what could not be kept can be fetched again. */
int store_restore(struct store *store, struct bytes name, const struct channel_policy *policy, const struct store_page *page);
/* The channel is not followed any more: nothing of it is here until a page up to now is restored, or
 * a message is put. */
void store_forget(struct store *store, struct bytes name);
/* Everything up to the position was put, or was of no channel that is followed. */
void store_reach(struct store *store, uint64_t position);
/* Messages of the channel up to the position were lost: they are gone. */
void store_lose(struct store *store, struct bytes name, uint64_t position);

/* ---- Reading ---- */

/* Returns what the history has for a client with the position `since`. Expires old messages. Call it
 * once for each possible gap, because it counts those that were perhaps unnecessary. */
enum store_has store_complete(struct store *store, struct stored *stored, uint64_t since);
/* Returns the position up to which messages are nowhere, so that nothing can fetch them. */
static inline uint64_t store_gone(const struct store *store, const struct stored *stored) {
  return store->is_cache ? stored->history.gone : stored->history.evicted;
}
/* Returns the position after which the messages begin that a client with the position `since` (0: from
 * the beginning) is to receive and that are not gone. */
uint64_t store_begin(const struct store *store, const struct stored *stored, uint64_t since);
/* Returns true if the store is a cache, and some of the messages after that position (store_begin) must be
 * fetched. */
bool store_lacks(struct store *store, struct stored *stored, uint64_t begin);
/* Returns true if the store is so far ahead of a hub at the position `until` that the history does
 * not tell whether something between `since` and `until` was evicted: it may all be later. When the
 * hub has received what was published, it is known. Expires old messages. */
bool store_is_ahead(struct store *store, struct stored *stored, uint64_t since, uint64_t until);
/* Returns the index in stored->history where a replay begins: after `since`, or at the newest
 * `replay` messages of the policy if has_since is false. Expires old messages. */
uint32_t store_replay_from(struct store *store, struct stored *stored, bool has_since, uint64_t since);
/* Returns the position of the final message of a channel, even if only its mark is left, or 0 if it
 * has not ended. */
uint64_t store_ended(struct store *store, struct bytes name);

/* A new epoch begins after its `position`, which may be lower than those before: nothing is kept of
 * what was published, so clients that resume receive a gap. */
void store_restart(struct store *store, uint64_t position);

/* Returns the weight of all histories. */
uint64_t store_history_bytes(const struct store *store);
/* Evicts the oldest messages of all while the histories exceed their limit, because forms may have
 * been encoded since. */
void store_bound(struct store *store);
/* Checks up to `budget` channels, in rotation: expires old messages, and frees the parts of
 * channels of which nothing is left. */
void store_sweep(struct store *store, size_t budget);

VISIBILITY_POP

#endif
