/* The source of time: the system's clock, or a manual one that a test advances. */
#ifndef MOONWIRE_BASE_CLOCK_H
#define MOONWIRE_BASE_CLOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/visibility.h"

VISIBILITY_PUSH

/* One thread updates it; any thread may read the times. */
struct clock {
  _Atomic uint64_t now_ms;  /* monotonic, at the last clock_update */
  _Atomic uint64_t wall_ms; /* since 1970-01-01 UTC, at the last clock_update */
  bool manual;              /* clock_update does nothing; only clock_advance changes the times */
};

/* Initializes a clock that follows the system, and updates it. */
void clock_init(struct clock *clock);
/* Reads the system's clocks. Called once in each turn of the loop. */
void clock_update(struct clock *clock);
/* Returns the system's monotonic time now. Only for code that runs while no loop turns; everything
 * else reads a clock. Any thread. */
uint64_t clock_system_ms(void);
/* Makes the clock manual and advances it. */
void clock_advance(struct clock *clock, uint64_t ms);

VISIBILITY_POP

#endif
