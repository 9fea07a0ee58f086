#include <time.h>

#include "base/clock.h"
#include "test/support.h"

static void follows_the_system(void **state) {
  (void)state;
  struct clock clock;
  uint64_t before = (uint64_t)time(NULL) * 1000;
  clock_init(&clock);
  uint64_t after = ((uint64_t)time(NULL) + 2) * 1000; /* time() may lag behind the clock */
  assert_in_range(clock.wall_ms, before, after);
  uint64_t start = clock.now_ms;
  while (clock.now_ms == start) clock_update(&clock); /* it moves, and forward only */
  assert_true(clock.now_ms > start);
}

static void moves_by_hand(void **state) {
  (void)state;
  struct clock clock;
  clock_init(&clock);
  struct clock start = clock;
  clock_advance(&clock, 5000);
  clock_update(&clock);
  assert_int_equal(clock.now_ms, start.now_ms + 5000);
  assert_int_equal(clock.wall_ms, start.wall_ms + 5000);
}

int main(void) {
  const struct CMUnitTest tests[] = {TEST(follows_the_system), TEST(moves_by_hand)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
