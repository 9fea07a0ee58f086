#include "base/heap.h"

#include "test/support.h"

struct item {
  uint64_t key;
  uint32_t tag;
};

static uint64_t key_of(const void *item) { return ((const struct item *)item)->key; }

static void gives_the_lowest_first(void **state) {
  (void)state;
  struct item items[50];
  for (size_t count = 0; count <= COUNT_OF(items); count++) {
    struct heap heap = {.items = items, .size = sizeof *items, .count = count, .key = key_of};
    for (size_t i = 0; i < count; i++) items[i] = (struct item){.key = i * 7919 % 53, .tag = (uint32_t)(i * 7919 % 53)};
    heap_build(&heap);
    uint64_t last = 0;
    while (heap.count > 0) {
      struct item top = items[0];
      assert_true(top.key >= last);
      assert_int_equal(top.tag, top.key);
      last = top.key;
      heap_pop(&heap);
      assert_int_equal(items[heap.count].key, top.key);
    }
  }
}

/* Several ascending sequences, of which the top one moves on, are merged. */
static void merges(void **state) {
  (void)state;
  struct item items[] = {{5, 3}, {1, 7}, {3, 5}};
  struct heap heap = {.items = items, .size = sizeof *items, .count = COUNT_OF(items), .key = key_of};
  uint64_t last = 0;
  size_t seen = 0;
  for (heap_build(&heap); heap.count > 0; seen++) {
    assert_true(items[0].key >= last);
    last = items[0].key;
    items[0].key += items[0].tag;
    if (items[0].key > 100) {
      heap_pop(&heap);
    } else {
      heap_settle(&heap);
    }
  }
  assert_int_equal(seen, (100 - 5) / 3 + 1 + (100 - 1) / 7 + 1 + (100 - 3) / 5 + 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {TEST(gives_the_lowest_first), TEST(merges)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
