#include "base/rate.h"

#define SECOND_NS 1e9

struct rate rate_of(double per_second, size_t burst) {
  if (per_second <= 0) return (struct rate){0, 0};
  if (burst == 0) burst = per_second >= 1 ? (size_t)(per_second * 2) : 1;
  /* Rounded down: with 3 a second, the third token of a second is there before the second ends. */
  uint64_t interval_ns = (uint64_t)(SECOND_NS / per_second);
  return (struct rate){.interval_ns = interval_ns, .slack_ns = (burst - 1) * interval_ns};
}

uint64_t rate_wait(struct rate rate, uint64_t full_ns, uint64_t now_ns) {
  uint64_t least_ns = full_ns > rate.slack_ns ? full_ns - rate.slack_ns : 0;
  return rate_is_limited(rate) && least_ns > now_ns ? least_ns - now_ns : 0;
}

uint64_t rate_taken(struct rate rate, uint64_t full_ns, uint64_t now_ns) {
  return (full_ns > now_ns ? full_ns : now_ns) + rate.interval_ns;
}
