/* Work for the store once a second: sweeps channels, and logs losses to limits. */
#ifndef MOONWIRE_SERVER_UPKEEP_H
#define MOONWIRE_SERVER_UPKEEP_H

#include <stdint.h>

#include "base/visibility.h"

VISIBILITY_PUSH

struct mw_server;

/* A count, how much of it was logged, and when. */
struct upkeep_news {
  uint64_t logged, logged_ms;
};

struct upkeep {
  struct upkeep_news evicted, floor_gaps; /* of the store's counts */
};

/* On the thread of the first worker. */
void upkeep_second(struct mw_server *server);

VISIBILITY_POP

#endif
