/* The limits of a configuration, and how often each refused something. */
#ifndef MOONWIRE_APP_LIMITS_LIMITS_H
#define MOONWIRE_APP_LIMITS_LIMITS_H

#include <stdatomic.h>

#include "base/rate.h"
#include "moonwire.h"

VISIBILITY_PUSH

/* Returns NULL, or a constant that states the fault. */
const char *limits_fault(const struct mw_limits *limits);
const char *limits_rate_fault(struct mw_rate rate);
struct rate limits_rate(struct mw_rate rate);
/* The rate of verbs. Its burst is 0 by default, and lets a client that reconnects subscribe to all
 * its channels, and read them. */
struct rate limits_verb_rate(const struct mw_limits *limits);

/* Counts of refusals, and of peers that were closed, by limit. */
struct limit_counts {
  atomic_ullong counts[MW_LIMIT_COUNT];
};

/* Counts one. Any thread: only the sum matters, so the order is relaxed. */
static inline void limit_count(struct limit_counts *counts, enum mw_limit limit) {
  atomic_fetch_add_explicit(&counts->counts[limit], 1, memory_order_relaxed);
}

VISIBILITY_POP

#endif
