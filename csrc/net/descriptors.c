#include "net/descriptors.h"

#include <stdint.h>
#include <sys/resource.h>

#include "net/thread.h"

/* A tenth, but at least what a small app opens itself, and at most what a large one needs. The loop
 * of each worker after the first needs some more, and there may be one for each core; of few
 * descriptors, they have half at most. */
enum { RESERVE_MIN = 24, RESERVE_MAX = 256, RESERVE_WORKER = 4 };

size_t descriptors_limit(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur > SIZE_MAX) return SIZE_MAX;
  return (size_t)limit.rlim_cur;
}

size_t descriptors_for_connections(size_t most) {
  size_t limit = descriptors_limit(), reserve = limit / 10;
  size_t least = RESERVE_MIN + RESERVE_WORKER * (size_t)(thread_cores() - 1);
  if (least > limit / 2) least = limit / 2 > RESERVE_MIN ? limit / 2 : RESERVE_MIN;
  if (reserve < least) reserve = least;
  if (reserve > RESERVE_MAX && least < RESERVE_MAX) reserve = RESERVE_MAX;
  size_t allowed = limit > reserve ? limit - reserve : 1;
  return allowed < most ? allowed : most;
}
