/* What a new subscriber receives from the histories of its channels: where the replay begins, and what is no longer available. */
#ifndef MOONWIRE_DELIVERY_REPLAY_H
#define MOONWIRE_DELIVERY_REPLAY_H

#include "delivery/subscriber.h"

VISIBILITY_PUSH

struct replay_source {
  struct subscription *subscription;
  uint64_t after; /* it receives the messages after this position */
  bool gap;       /* something between `since` and the first message to come is not kept, or is beyond the limits of a replay */
};

struct replay {
  struct replay_source *sources; /* one a channel */
  size_t count;
  uint64_t cursor; /* the position after which the next push comes */
  size_t gap_count;
};

/* Looks into the channel that was just subscribed to (NULL: into all channels of the subscriber). MW_ENOMEM. */
int replay_init(struct replay *replay, struct subscriber *subscriber, struct since since, struct subscription *only);
/* Starts the replay, which is fed to the subscriber as it takes it. If out of memory, marks the subscriber broken. */
void replay_start(const struct replay *replay, struct subscriber *subscriber);
/* Appends the member "recovered" of an acknowledgement, after others, if the client has said what it has seen. */
void replay_write_recovered(struct buffer *out, struct since since, size_t gap_count);
void replay_deinit(struct replay *replay);

VISIBILITY_POP

#endif
