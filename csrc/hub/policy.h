/* How the channels of a kind behave. */
#ifndef MOONWIRE_HUB_POLICY_H
#define MOONWIRE_HUB_POLICY_H

#include "hub/history.h"

VISIBILITY_PUSH

/* What happens to a subscriber that takes less than there is, when its limit is reached. */
enum slow {
  SLOW_CLOSE,   /* it is closed */
  SLOW_CATCHUP, /* what waits for it is let go, and read from the histories when it takes something again */
  SLOW_DROP,    /* what waits for it is let go, and it is told so */
  SLOW_LATEST,  /* of what waits for it, the newest by key is kept */
};

struct channel_policy {
  uint32_t kind;
  struct history_bounds history;
  uint64_t history_ttl_ms; /* 0: for ever */
  uint32_t replay;         /* for subscribers without a cursor */
  enum slow slow;
  size_t outbox;   /* bytes that may wait for one subscriber */
  uint64_t age_ms; /* how long they may; 0: as long as it lasts */
};

VISIBILITY_POP

#endif
