/* What a new subscriber receives from the histories of its channels: where the replay begins, and
 * what is no longer available. */
#ifndef MOONWIRE_DELIVERY_REPLAY_H
#define MOONWIRE_DELIVERY_REPLAY_H

#include "delivery/subscriber.h"

VISIBILITY_PUSH

struct replay_source {
  struct subscription *subscription;
  uint64_t after; /* it receives the messages after this position */
  /* a message between `since` and the first one to come is not kept, or exceeds the limits of a
   * replay */
  bool gap;
};

struct replay {
  struct replay_source *sources; /* one for each channel */
  size_t count;
  uint64_t cursor; /* the position after which the next push comes */
  size_t gap_count;
};

/* Returns true if the store is a cache that lacks messages that a client with the cursor `since` is to
 * receive of the channel. They are to be fetched (delivery->fetch) up to *until, if possible before the
 * client joins: a gap is then known when the join is answered. Fetch again while *until falls. Any
 * thread. */
bool replay_must_fetch(struct store *store, const struct replay_limits *limits, struct bytes channel, struct since since,
                       uint64_t *until);
/* Prepares the replay of the channel that was just subscribed to (NULL: of all channels of the
 * subscriber). Returns 0 or MW_ENOMEM. */
int replay_init(struct replay *replay, struct subscriber *subscriber, struct since since, struct subscription *only);
/* Starts the replay, which is fed to the subscriber as it reads. If out of memory, marks the
 * subscriber broken. */
void replay_start(const struct replay *replay, struct subscriber *subscriber);
void replay_deinit(struct replay *replay);

VISIBILITY_POP

#endif
