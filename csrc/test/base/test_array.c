/* Arrays that grow: by doubling, up to a limit, and unchanged where memory is out. */
#include "base/array.h"

#include "base/memory.h"
#include "test/support.h"

static void doubles(void **state) {
  (void)state;
  uint32_t capacity = 0, moves = 0;
  uint64_t *items = NULL;
  for (uint32_t i = 0; i < 1000; i++) {
    uint32_t before = capacity;
    items = array_reserve(items, sizeof *items, &capacity, i + 1, SIZE_MAX);
    assert_non_null(items);
    assert_true(capacity > i);
    moves += capacity != before;
    items[i] = i;
  }
  assert_int_equal(capacity, 1024);
  assert_int_equal(moves, 10); /* from 2 */
  for (uint32_t i = 0; i < 1000; i++) assert_int_equal(items[i], i);
  memory_free(items);
}

static void has_what_is_needed(void **state) {
  (void)state;
  uint32_t capacity = 0;
  char *items = array_reserve(NULL, 100, &capacity, 1, SIZE_MAX);
  assert_int_equal(capacity, 1);
  items = array_reserve(items, 100, &capacity, 64, SIZE_MAX);
  assert_int_equal(capacity, 64);
  assert_ptr_equal(array_reserve(items, 100, &capacity, 64, SIZE_MAX), items);
  assert_ptr_equal(array_reserve(items, 100, &capacity, 0, SIZE_MAX), items);
  memory_free(items);
}

static void stops_at_its_limit(void **state) {
  (void)state;
  uint32_t capacity = 0;
  uint32_t *items = NULL;
  for (uint32_t i = 0; i < 11; i++) items = array_reserve(items, sizeof *items, &capacity, i + 1, 11);
  assert_int_equal(capacity, 11);
  assert_null(array_reserve(items, sizeof *items, &capacity, 12, 11));
  assert_int_equal(capacity, 11);
  memory_free(items);
  capacity = 0;
  assert_null(array_reserve(NULL, SIZE_MAX / 2, &capacity, 3, SIZE_MAX)); /* it would overflow */
  assert_null(array_reserve(NULL, 1, &capacity, (size_t)UINT32_MAX + 1, SIZE_MAX));
  assert_int_equal(capacity, 0);
}

static void is_unchanged_without_memory(void **state) {
  (void)state;
  uint32_t capacity = 0;
  uint32_t *items = array_reserve(NULL, sizeof *items, &capacity, 1, SIZE_MAX);
  items[0] = 7;
  memory_fail_after(1);
  assert_null(array_reserve(items, sizeof *items, &capacity, 5, SIZE_MAX));
  assert_int_equal(capacity, 4);
  assert_int_equal(items[0], 7);
  memory_fail_after(1);
  assert_null(array_unroll(items, sizeof *items, 4, 3, 2, 8));
  assert_int_equal(items[0], 7);
  memory_free(items);
}

static void unrolls_a_ring(void **state) {
  (void)state;
  for (uint32_t first = 0; first < 4; first++) {
    for (uint32_t count = 0; count <= 4; count++) {
      uint32_t *ring = memory_alloc(4 * sizeof *ring);
      for (uint32_t i = 0; i < 4; i++) ring[(first + i) % 4] = i;
      uint32_t *items = array_unroll(ring, sizeof *items, 4, first, count, 8);
      for (uint32_t i = 0; i < count; i++) assert_int_equal(items[i], i);
      memory_free(items);
    }
  }
  memory_free(array_unroll(NULL, 8, 0, 0, 0, 4));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(doubles), TEST(has_what_is_needed), TEST(stops_at_its_limit), TEST(is_unchanged_without_memory), TEST(unrolls_a_ring),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
