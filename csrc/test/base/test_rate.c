#include "base/rate.h"

#include "test/support.h"

#define MS UINT64_C(1000000)

static void a_rate_of_zero_is_no_limit(void **state) {
  (void)state;
  struct rate none = rate_of(0, 0);
  assert_false(rate_is_limited(none));
  assert_int_equal(rate_wait(none, UINT64_MAX, 0), 0);
}

static void a_burst_is_two_seconds_by_default(void **state) {
  (void)state;
  static const struct {
    double rate;
    size_t burst;
  } cases[] = {{0.1, 1}, {0.6, 1}, {1, 2}, {1.5, 3}, {20, 40}};
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    struct rate rate = rate_of(cases[i].rate, 0);
    assert_int_equal(rate.slack_ns, (cases[i].burst - 1) * rate.interval_ns);
  }
}

/* A sender that tries `tries` times in each step of `step_ms`. Returns how often it succeeds. */
static uint64_t send_all(struct rate rate, uint64_t tries, uint64_t step_ms, uint64_t steps) {
  uint64_t full_ns = 0, count = 0;
  for (uint64_t step = 0; step <= steps; step++) {
    for (uint64_t i = 0; i < tries; i++) {
      uint64_t now_ns = (1000 + step * step_ms) * MS;
      if (rate_wait(rate, full_ns, now_ns) > 0) continue;
      full_ns = rate_taken(rate, full_ns, now_ns);
      count++;
    }
  }
  return count;
}

static void a_rate_is_exact_to_one_message_over_ten_thousand(void **state) {
  (void)state;
  static const struct {
    double rate;
    size_t burst;
  } cases[] = {{20, 1}, {20, 40}, {3, 7}, {7, 1}, {0.1, 1}, {1.0 / 3, 2}, {30, 60}, {999, 10}, {1000, 2000}, {33.3, 5}};
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    struct rate rate = rate_of(cases[i].rate, cases[i].burst);
    uint64_t seconds = (uint64_t)(10000 / cases[i].rate) + 1;
    for (uint64_t step_ms = 1; step_ms <= 1000; step_ms *= 10) {
      uint64_t steps = seconds * 1000 / step_ms;
      if (steps > 1000000) continue;
      /* As many tries as can succeed in one step, and one more. */
      uint64_t tries = (uint64_t)(cases[i].rate * (double)step_ms / 1000) + cases[i].burst + 2;
      double most = (double)cases[i].burst + cases[i].rate * (double)seconds;
      double count = (double)send_all(rate, tries, step_ms, steps);
      /* A full bucket takes no more tokens: those of a step longer than it takes to fill are lost. */
      bool is_lossless = cases[i].rate * (double)step_ms / 1000 <= (double)cases[i].burst - 1;
      assert_true(count <= most + 1);
      assert_true(!is_lossless || count >= most - 1);
    }
  }
}

static void the_wait_ends_with_a_token(void **state) {
  (void)state;
  struct rate rate = rate_of(3, 2);
  uint64_t now_ns = 5000 * MS, full_ns = 0;
  for (int i = 0; i < 2; i++) full_ns = rate_taken(rate, full_ns, now_ns);
  for (int i = 0; i < 100; i++) {
    uint64_t wait_ns = rate_wait(rate, full_ns, now_ns);
    assert_true(wait_ns > 0);
    assert_true(rate_wait(rate, full_ns, now_ns + wait_ns - 1) > 0);
    assert_int_equal(rate_wait(rate, full_ns, now_ns + wait_ns), 0);
    now_ns += wait_ns;
    full_ns = rate_taken(rate, full_ns, now_ns);
  }
}

static void the_largest_rate_and_burst_do_not_overflow(void **state) {
  (void)state;
  struct rate slow = rate_of(RATE_MIN, RATE_BURST_MAX), fast = rate_of(RATE_MAX, RATE_BURST_MAX);
  uint64_t now_ns = UINT64_C(1) << 61; /* 73 years */
  assert_true(slow.slack_ns / (RATE_BURST_MAX - 1) == slow.interval_ns);
  uint64_t full_ns = now_ns + slow.slack_ns + slow.interval_ns;
  assert_true(full_ns > now_ns);
  assert_int_equal(rate_wait(slow, full_ns, now_ns), slow.interval_ns);
  assert_int_equal(fast.interval_ns, 1000);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_rate_of_zero_is_no_limit),
      cmocka_unit_test(a_burst_is_two_seconds_by_default),
      cmocka_unit_test(a_rate_is_exact_to_one_message_over_ten_thousand),
      cmocka_unit_test(the_wait_ends_with_a_token),
      cmocka_unit_test(the_largest_rate_and_burst_do_not_overflow),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
