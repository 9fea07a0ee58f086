#include "app/limits/tally.h"

#include <stdlib.h>

#include "base/memory.h"
#include "moonwire.h"
#include "test/support.h"

static struct tally tally;

static int begin(void **state) {
  int status = support_setup(state);
  return status < 0 ? status : tally_init(&tally);
}

static int end(void **state) {
  tally_deinit(&tally);
  return support_teardown(state);
}

static uint64_t key_of(unsigned who) { return tally_key(&tally, bytes_of((const char *)&who, sizeof who)); }

static void each_key_has_its_limit(void **state) {
  (void)state;
  for (int i = 0; i < 3; i++) assert_int_equal(tally_take(&tally, key_of(1), 3), 0);
  assert_int_equal(tally_take(&tally, key_of(1), 3), MW_ELIMIT);
  assert_int_equal(tally_take(&tally, key_of(2), 3), 0);
  tally_release(&tally, key_of(1));
  assert_int_equal(tally_take(&tally, key_of(1), 3), 0);
  assert_int_equal(tally_take(&tally, key_of(1), 2), MW_ELIMIT);
  for (int i = 0; i < 3; i++) tally_release(&tally, key_of(1));
  tally_release(&tally, key_of(2));
  assert_int_equal(tally_used(&tally), 0);
}

/* Against a plain array, with few keys, so that slots are removed among others. */
static void counts_are_right_in_any_order(void **state) {
  (void)state;
  enum { KEYS = 300 };
  static size_t counts[KEYS];
  uint32_t random = 1;
  for (int i = 0; i < 200000; i++) {
    random = random * 1103515245U + 12345U;
    unsigned who = (random >> 8) % KEYS;
    bool takes = (random >> 20) % (i < 100000 ? 3 : 5) < 2;
    if (takes && tally_take(&tally, key_of(who), 5) == 0) counts[who]++;
    if (!takes && counts[who] > 0) {
      tally_release(&tally, key_of(who));
      counts[who]--;
    }
    if (i % 1000 != 0) continue;
    size_t used = 0;
    for (unsigned k = 0; k < KEYS; k++) {
      assert_int_equal(tally_count(&tally, key_of(k)), counts[k]);
      used += counts[k] > 0;
    }
    assert_int_equal(tally_used(&tally), used);
  }
  for (unsigned k = 0; k < KEYS; k++) {
    for (; counts[k] > 0; counts[k]--) tally_release(&tally, key_of(k));
  }
  assert_int_equal(tally_used(&tally), 0);
  assert_null(tally.slots);
}

static void without_memory_nothing_changes(void **state) {
  (void)state;
  memory_fail_after(1);
  assert_int_equal(tally_take(&tally, key_of(1), 3), MW_ENOMEM);
  for (unsigned i = 0; i < 32; i++) assert_int_equal(tally_take(&tally, key_of(i), 1), 0);
  memory_fail_after(1);
  assert_int_equal(tally_take(&tally, key_of(32), 1), MW_ENOMEM);
  memory_fail_after(0);
  assert_int_equal(tally_used(&tally), 32);
  for (unsigned i = 0; i < 32; i++) tally_release(&tally, key_of(i));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(each_key_has_its_limit, begin, end),
      cmocka_unit_test_setup_teardown(counts_are_right_in_any_order, begin, end),
      cmocka_unit_test_setup_teardown(without_memory_nothing_changes, begin, end),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
