/* The options of a kind of channel. */
#ifndef MOONWIRE_HUB_POLICY_H
#define MOONWIRE_HUB_POLICY_H

#include "hub/history.h"

VISIBILITY_PUSH

/* What happens to a subscriber that is too slow, when its limit is reached. */
enum slow {
  SLOW_CLOSE, /* the subscriber is closed */
  /* its queued messages are dropped, and read from the histories once it reads again */
  SLOW_CATCHUP,
  SLOW_DROP,   /* its queued messages are dropped, and it receives a gap */
  SLOW_LATEST, /* of its queued messages, the newest for each key is kept */
};

struct channel_policy {
  uint32_t kind;
  struct history_bounds history;
  uint64_t history_ttl_ms; /* 0: no limit */
  uint32_t replay;         /* messages for subscribers without a cursor */
  enum slow slow;
  size_t outbox;   /* bytes that may be queued for one subscriber */
  uint64_t age_ms; /* how long they may be queued; 0: no limit */
};

VISIBILITY_POP

#endif
