#include "net/descriptors.h"

#include <stdint.h>
#include <sys/resource.h>

/* A tenth, but at least what a small app opens itself, and at most what a large one needs. */
enum { RESERVE_MIN = 24, RESERVE_MAX = 256 };

size_t descriptors_limit(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur > SIZE_MAX) return SIZE_MAX;
  return (size_t)limit.rlim_cur;
}

size_t descriptors_for_connections(size_t most) {
  size_t limit = descriptors_limit(), reserve = limit / 10;
  if (reserve < RESERVE_MIN) reserve = RESERVE_MIN;
  if (reserve > RESERVE_MAX) reserve = RESERVE_MAX;
  size_t allowed = limit > reserve ? limit - reserve : 1;
  return allowed < most ? allowed : most;
}
