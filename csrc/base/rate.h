/* Rates: how often something may happen. A token bucket, by the generic cell rate algorithm (ITU-T
 * I.371): its whole state is the time at which the bucket is full again. An unused bucket therefore
 * needs no memory, and time passes without a timer. */
#ifndef MOONWIRE_BASE_RATE_H
#define MOONWIRE_BASE_RATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/visibility.h"

VISIBILITY_PUSH

/* All zero: no limit. */
struct rate {
  uint64_t interval_ns; /* in which one token is added; 0: no limit */
  uint64_t slack_ns;    /* in which the bucket fills up, less one interval */
};

/* The bounds of what rate_of takes. */
#define RATE_MIN 0.001
#define RATE_MAX 1e6
enum { RATE_BURST_MAX = 1000000 };

/* Returns the rate of `per_second` tokens (0: no limit), with at most `burst` in the bucket (0:
 * those of two seconds, at least 1). Both must be within the bounds above. */
struct rate rate_of(double per_second, size_t burst);
static inline bool rate_is_limited(struct rate rate) { return rate.interval_ns > 0; }

/* Returns how long one has to wait for a token, in nanoseconds; 0: there is one. `full_ns` is the
 * time at which the bucket is full again: 0 or in the past for a new one. */
uint64_t rate_wait(struct rate rate, uint64_t full_ns, uint64_t now_ns);
/* Returns the time at which the bucket is full again if one token is taken now. */
uint64_t rate_taken(struct rate rate, uint64_t full_ns, uint64_t now_ns);

VISIBILITY_POP

#endif
