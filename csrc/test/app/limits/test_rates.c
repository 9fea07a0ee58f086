#include "app/limits/rates.h"

#include "base/memory.h"
#include "test/support.h"

#define SECOND UINT64_C(1000000000)

static struct rates rates;
static uint64_t now_ns;

static int begin(void **state) {
  now_ns = 1000 * SECOND;
  int status = support_setup(state);
  return status < 0 ? status : rates_init(&rates);
}

static int end(void **state) {
  rates_deinit(&rates);
  return support_teardown(state);
}

static uint64_t key_of(unsigned who, unsigned what) {
  return rates_key(&rates, bytes_of((const char *)&who, sizeof who), bytes_of((const char *)&what, sizeof what), 1);
}

static uint64_t take(uint64_t key, struct rate rate) {
  size_t refused;
  return rates_take(&rates, &(struct rates_token){key, rate}, 1, now_ns, &refused);
}

static void pass(uint64_t seconds) {
  for (uint64_t i = 0; i < seconds; i++) {
    now_ns += SECOND;
    rates_second(&rates, now_ns);
  }
}

static void a_bucket_is_exact_among_others(void **state) {
  (void)state;
  struct rate rate = rate_of(20, 40);
  uint64_t taken = 0;
  for (unsigned ms = 0; ms < 500000; ms += 10) {
    now_ns = 1000 * SECOND + ms * (SECOND / 1000);
    taken += take(key_of(1, 1), rate) == 0;
    if (ms % 1000 == 0) take(key_of(2 + ms, 1), rate_of(0.01, 1)); /* so that the table grows */
    if (ms % 1000 == 0) rates_second(&rates, now_ns);
  }
  /* 40 at once, and 20 a second for 499.99 seconds. */
  assert_int_equal(taken, 40 + 9999);
}

static void all_tokens_are_taken_or_none(void **state) {
  (void)state;
  size_t refused;
  struct rates_token tokens[] = {{key_of(1, 1), rate_of(1, 10)}, {key_of(1, 2), rate_of(1, 2)}, {key_of(1, 3), rate_of(0, 0)}};
  assert_int_equal(rates_take(&rates, tokens, 3, now_ns, &refused), 0);
  assert_int_equal(rates_take(&rates, tokens, 3, now_ns, &refused), 0);
  assert_int_equal(rates_take(&rates, tokens, 3, now_ns, &refused), SECOND);
  assert_int_equal(refused, 1);
  /* Nothing was taken from the first. */
  for (int i = 0; i < 8; i++) assert_int_equal(take(tokens[0].key, tokens[0].rate), 0);
  assert_int_equal(take(tokens[0].key, tokens[0].rate), SECOND);
}

static void a_client_that_is_quiet_costs_nothing(void **state) {
  (void)state;
  assert_int_equal(rates_bytes(&rates), 0);
  for (unsigned i = 0; i < 10000; i++) take(key_of(i, 1), rate_of(10, 20));
  assert_true(rates_bytes(&rates) > 0);
  pass(32);
  assert_int_equal(rates_bytes(&rates), 0);
}

static size_t bytes_of_clients(unsigned messages) {
  for (unsigned k = 0; k < messages; k++) {
    for (unsigned i = 0; i < 10000; i++) take(key_of(i, 1), rate_of(100, 200));
  }
  return rates_bytes(&rates);
}

static void clients_at_their_limit_cost_no_more_than_others(void **state) {
  (void)state;
  size_t once = bytes_of_clients(1), always = bytes_of_clients(300);
  assert_true(take(key_of(1, 1), rate_of(100, 200)) > 0);
  assert_int_equal(once, always);
  assert_true(always <= 10000 * 64);
}

static void memory_shrinks_with_the_number_of_senders(void **state) {
  (void)state;
  for (unsigned i = 0; i < 10000; i++) take(key_of(i, 1), rate_of(10, 20));
  take(key_of(1, 2), rate_of(0.001, 1));
  pass(32);
  assert_true(rates_bytes(&rates) <= 64 * 16);
  assert_true(take(key_of(1, 2), rate_of(0.001, 1)) > 0);
}

static void the_table_is_bounded(void **state) {
  (void)state;
  for (unsigned i = 0; i < RATES_MAX; i++) assert_int_equal(take(key_of(i, 1), rate_of(0.01, 1)), 0);
  assert_true(take(key_of(RATES_MAX, 1), rate_of(0.01, 1)) > 0);
  assert_true(rates_bytes(&rates) <= (size_t)RATES_MAX * 4 * 16);
  /* Those that have a bucket are served. */
  assert_int_equal(take(key_of(7, 1), rate_of(0.01, 2)), 0);
  pass(200);
  assert_int_equal(take(key_of(RATES_MAX, 1), rate_of(0.01, 1)), 0);
}

static void without_memory_nothing_is_lost(void **state) {
  (void)state;
  struct rate rate = rate_of(0.01, 1);
  memory_fail_after(1);
  assert_true(take(key_of(0, 1), rate) > 0);
  assert_int_equal(take(key_of(0, 1), rate), 0);
  for (unsigned i = 1; i < 32; i++) assert_int_equal(take(key_of(i, 1), rate), 0);
  memory_fail_after(1); /* the table cannot grow */
  assert_true(take(key_of(32, 1), rate) > 0);
  for (unsigned i = 0; i < 32; i++) assert_true(take(key_of(i, 1), rate) > 0);
  assert_int_equal(take(key_of(32, 1), rate), 0);
  memory_fail_after(0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(a_bucket_is_exact_among_others, begin, end),
      cmocka_unit_test_setup_teardown(all_tokens_are_taken_or_none, begin, end),
      cmocka_unit_test_setup_teardown(a_client_that_is_quiet_costs_nothing, begin, end),
      cmocka_unit_test_setup_teardown(clients_at_their_limit_cost_no_more_than_others, begin, end),
      cmocka_unit_test_setup_teardown(memory_shrinks_with_the_number_of_senders, begin, end),
      cmocka_unit_test_setup_teardown(the_table_is_bounded, begin, end),
      cmocka_unit_test_setup_teardown(without_memory_nothing_is_lost, begin, end),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
