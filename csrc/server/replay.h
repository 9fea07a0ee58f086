/* What a subscriber gets from the histories of its channels when it comes: where it begins, and what it missed for good. */
#ifndef MOONWIRE_SERVER_REPLAY_H
#define MOONWIRE_SERVER_REPLAY_H

#include "server/exchange.h"

VISIBILITY_PUSH

struct replay_source {
  struct subscription *subscription;
  uint64_t after; /* what it gets comes behind that position */
  bool gap;       /* something between `since` and the first message to come is not kept, or is beyond the limits of a replay */
};

struct replay {
  struct replay_source *sources; /* one a channel */
  size_t count;
  uint64_t cursor; /* the position after which the next push comes */
  size_t gap_count;
};

/* Looks into the channel that the exchange has just subscribed to (NULL: into all of its channels). MW_ENOMEM. */
int replay_init(struct replay *replay, struct exchange *exchange, struct since since, struct subscription *only);
/* Has it fed to the session as it takes it. Without memory the session is broken. */
void replay_start(const struct replay *replay, struct exchange *exchange);
void replay_deinit(struct replay *replay);

VISIBILITY_POP

#endif
