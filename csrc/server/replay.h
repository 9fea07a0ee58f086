/* What a subscriber gets from the histories of its channels when it comes: where it begins, what it missed, and in which order. */
#ifndef MOONWIRE_SERVER_REPLAY_H
#define MOONWIRE_SERVER_REPLAY_H

#include "server/exchange.h"

VISIBILITY_PUSH

struct replay_source {
  struct channel *channel;
  uint32_t next; /* index in its history */
  bool gap;      /* something between `since` and the first message to come is not kept */
};

struct replay {
  struct replay_source *sources; /* one a channel */
  size_t count;
  uint64_t cursor; /* the position after which the next push comes */
  size_t gap_count;
};

/* Looks into the channel that the exchange has just subscribed to (NULL: into all of its channels). MW_ENOMEM. */
int replay_init(struct replay *replay, struct exchange *exchange, struct since since, struct subscription *only);
/* Pushes it all, by increasing position over all channels; uses the replay up. */
void replay_push(struct replay *replay, struct exchange *exchange);
void replay_deinit(struct replay *replay);

VISIBILITY_POP

#endif
