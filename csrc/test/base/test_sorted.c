#include "base/sorted.h"

#include <stdlib.h>

#include "test/support.h"

enum { ENTRIES = 600, ROUNDS = 20000 };

struct entry {
  struct sorted_node node;
  char name[24];
  bool is_in;
};

static struct entry entries[ENTRIES];

static struct bytes key_of(int i) { return bytes_string(entries[i].name); }

/* Names in the order of their bytes: the i-th entry is the i-th. */
static void name_entries(void) {
  for (int i = 0; i < ENTRIES; i++) {
    entries[i].is_in = false;
    snprintf(entries[i].name, sizeof entries[i].name, "u%03d%s", i / 2, i % 2 ? "!" : "");
  }
}

static int next_in(int i) {
  while (i < ENTRIES && !entries[i].is_in) i++;
  return i;
}

static struct sorted_node *node_at(int i) { return i < ENTRIES ? &entries[i].node : NULL; }

static void check(const struct sorted *sorted) {
  size_t count = 0;
  for (int i = 0; i < ENTRIES; i++) {
    count += entries[i].is_in;
    assert_ptr_equal(sorted_find(sorted, key_of(i)), entries[i].is_in ? &entries[i].node : NULL);
    assert_ptr_equal(sorted_after(sorted, key_of(i)), node_at(next_in(i + 1)));
  }
  assert_int_equal(sorted->count, count);
  assert_ptr_equal(sorted_first(sorted), node_at(next_in(0)));
}

static void keeps_order_at_random(void **state) {
  (void)state;
  struct sorted sorted;
  sorted_init(&sorted);
  name_entries();
  srand(3);
  for (int round = 0; round < ROUNDS; round++) {
    int i = rand() % ENTRIES;
    if (entries[i].is_in) {
      sorted_remove(&sorted, &entries[i].node);
    } else {
      sorted_add(&sorted, &entries[i].node, key_of(i));
    }
    entries[i].is_in = !entries[i].is_in;
    if (round % 1000 == 0) check(&sorted);
  }
  check(&sorted);
}

static size_t depth_of(const struct sorted_node *node) {
  if (!node) return 0;
  size_t left = depth_of(node->left), right = depth_of(node->right);
  return 1 + (left > right ? left : right);
}

/* Added in order, it stays flat: 600 nodes need 10 levels at least. */
static void an_order_from_outside_does_not_unbalance_it(void **state) {
  (void)state;
  struct sorted sorted;
  sorted_init(&sorted);
  name_entries();
  for (int i = 0; i < ENTRIES; i++) sorted_add(&sorted, &entries[i].node, key_of(i));
  assert_true(depth_of(sorted.root) < 60);
}

static void a_prefix_comes_first(void **state) {
  (void)state;
  assert_true(sorted_compare(BYTES("a"), BYTES("ab")) < 0);
  assert_true(sorted_compare(BYTES(""), BYTES("a")) < 0);
  assert_true(sorted_compare(BYTES("b"), BYTES("ab")) > 0);
  assert_true(sorted_compare(BYTES("\xc3\xa4"), BYTES("z")) > 0);
  assert_int_equal(sorted_compare(BYTES("a"), BYTES("a")), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {TEST(keeps_order_at_random), TEST(an_order_from_outside_does_not_unbalance_it),
                                     TEST(a_prefix_comes_first)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
