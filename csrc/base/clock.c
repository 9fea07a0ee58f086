#define _POSIX_C_SOURCE 200809L /* clock_gettime */

#include "base/clock.h"

#include <time.h>

static uint64_t read_ms(clockid_t id) {
  struct timespec now;
  clock_gettime(id, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void clock_init(struct clock *clock) {
  clock->manual = false;
  clock_update(clock);
}

void clock_update(struct clock *clock) {
  if (clock->manual) return;
  clock->now_ms = read_ms(CLOCK_MONOTONIC);
  clock->wall_ms = read_ms(CLOCK_REALTIME);
}

uint64_t clock_system_ms(void) { return read_ms(CLOCK_MONOTONIC); }

void clock_advance(struct clock *clock, uint64_t ms) {
  clock->manual = true;
  clock->now_ms += ms;
  clock->wall_ms += ms;
}
