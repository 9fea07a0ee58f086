/* Where time comes from: the system, or a test that moves it by hand. */
#ifndef MOONWIRE_BASE_CLOCK_H
#define MOONWIRE_BASE_CLOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/visibility.h"

VISIBILITY_PUSH

/* Moved by one thread; read by any. */
struct clock {
  _Atomic uint64_t now_ms;  /* monotonic, as of the last clock_update */
  _Atomic uint64_t wall_ms; /* since 1970-01-01 UTC, as of the last clock_update */
  bool manual;              /* clock_update does nothing: only clock_advance moves it */
};

/* A clock that follows the system, already updated. */
void clock_init(struct clock *clock);
/* Reads the system's clocks; once a loop turn. */
void clock_update(struct clock *clock);
/* The system's monotonic clock, now. For what goes on while no loop turns: everything else asks a clock. */
uint64_t clock_system_ms(void);
/* Makes it manual and moves it on. */
void clock_advance(struct clock *clock, uint64_t ms);

VISIBILITY_POP

#endif
