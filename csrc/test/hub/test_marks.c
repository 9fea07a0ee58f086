#include "hub/marks.h"

#include "base/memory.h"
#include "test/support.h"

static void put(struct marks *marks, unsigned name, uint32_t kind, uint64_t position) {
  char text[16];
  int len = snprintf(text, sizeof text, "%u", name);
  marks_put(marks, bytes_of(text, (size_t)len), kind, position, position % 7 == 0);
}

static struct mark get(const struct marks *marks, unsigned name, uint32_t kind) {
  char text[16];
  int len = snprintf(text, sizeof text, "%u", name);
  return marks_get(marks, bytes_of(text, (size_t)len), kind);
}

static void knows_what_was_set(void **state) {
  (void)state;
  struct marks marks;
  marks_init(&marks, 100, 0);
  assert_int_equal(get(&marks, 1, 0).position, 0);
  marks_put(&marks, BYTES("a"), 0, 5, false);
  marks_put(&marks, BYTES("b"), 3, 7, true);
  struct mark a = marks_get(&marks, BYTES("a"), 0), b = marks_get(&marks, BYTES("b"), 3), c = marks_get(&marks, BYTES("c"), 3);
  assert_true(a.position == 5 && !a.is_final && !a.is_floor);
  assert_true(b.position == 7 && b.is_final && !b.is_floor);
  assert_true(c.position == 0 && !c.is_final && c.is_floor);
  marks_put(&marks, BYTES("b"), 3, 9, false); /* it goes on */
  marks_put(&marks, BYTES("a"), 0, 4, true);  /* never back */
  b = marks_get(&marks, BYTES("b"), 3);
  a = marks_get(&marks, BYTES("a"), 0);
  assert_true(b.position == 9 && !b.is_final);
  assert_true(a.position == 5 && !a.is_final);
  assert_int_equal(marks.count, 2);
  marks_deinit(&marks);
}

/* The oldest goes, and stands in for all that is not there; one that was set again is not old. */
static void drops_the_oldest(void **state) {
  (void)state;
  struct marks marks;
  marks_init(&marks, 3, 0);
  for (unsigned n = 1; n <= 3; n++) put(&marks, n, 0, n * 10);
  put(&marks, 1, 0, 40);
  assert_int_equal(marks_floor(&marks, 0), 0);
  put(&marks, 4, 0, 50);
  assert_int_equal(marks_floor(&marks, 0), 20);
  assert_true(get(&marks, 2, 0).is_floor && get(&marks, 2, 0).position == 20);
  assert_true(get(&marks, 99, 0).is_floor && get(&marks, 99, 0).position == 20);
  assert_int_equal(get(&marks, 1, 0).position, 40);
  assert_int_equal(get(&marks, 3, 0).position, 30);
  put(&marks, 2, 0, 60); /* and returns */
  assert_int_equal(get(&marks, 2, 0).position, 60);
  assert_int_equal(marks_floor(&marks, 0), 30);
  assert_int_equal(marks.dropped, 2);
  assert_int_equal(marks.count, 3);
  marks_deinit(&marks);
}

/* However many names one kind has: as long as another has less than its share, it loses nothing. */
static void a_kind_with_many_names_pays_itself(void **state) {
  (void)state;
  enum { MAX = 1000, EACH = MAX / 4 };
  struct marks marks;
  uint64_t position = 0;
  marks_init(&marks, MAX, 0);
  for (unsigned n = 0; n < EACH; n++) {
    put(&marks, n, 1, ++position);
    put(&marks, 10000 + n, 2, ++position);
  }
  for (unsigned n = 0; n < 50 * MAX; n++) put(&marks, 100000 + n, 0, ++position);
  assert_int_equal(marks_floor(&marks, 1), 0);
  assert_int_equal(marks_floor(&marks, 2), 0);
  assert_int_equal(marks_floor(&marks, 0), position - (MAX - 2 * EACH));
  for (unsigned n = 0; n < EACH; n++) {
    assert_int_equal(get(&marks, n, 1).position, 2 * n + 1);
    assert_int_equal(get(&marks, 10000 + n, 2).position, 2 * n + 2);
  }
  /* Of two that want more than their share each gets it. */
  for (unsigned n = 0; n < 5 * MAX; n++) put(&marks, 20000 + n, 2, ++position);
  assert_int_equal(marks_floor(&marks, 1), 0);
  assert_int_equal(marks.kinds[0].count, (MAX - EACH) / 2);
  assert_int_equal(marks.kinds[2].count, (MAX - EACH) / 2);
  marks_deinit(&marks);
}

/* The last list and its floor are shared. */
static void any_number_of_kinds(void **state) {
  (void)state;
  struct marks marks;
  marks_init(&marks, 2, 0);
  put(&marks, 1, MARKS_KINDS + 5, 10);
  put(&marks, 2, UINT32_MAX, 20);
  assert_int_equal(get(&marks, 1, 3).position, 10);
  put(&marks, 3, MARKS_KINDS - 1, 30);
  assert_int_equal(marks_floor(&marks, MARKS_KINDS + 77), 10);
  assert_int_equal(marks_floor(&marks, MARKS_KINDS - 2), 0);
  put(&marks, 4, 0, 40); /* of a kind with less */
  assert_int_equal(marks_floor(&marks, UINT32_MAX), 20);
  assert_int_equal(get(&marks, 4, 0).position, 40);
  marks_deinit(&marks);
}

static uint32_t next_random(uint32_t *random, uint32_t count) {
  *random = *random * 1664525u + 1013904223u;
  return (*random >> 8) % count;
}

/* Against a list of all that was set: what is known is right, and what is not is covered by the
 * floor of its kind. */
static void never_knows_less_than_there_was(void **state) {
  (void)state;
  enum { NAMES = 3000, STEPS = 20000 };
  static uint64_t positions[NAMES];
  static const size_t sizes[] = {1, 2, 3, 7, 255, 256, 257, 1000, 2999, 5000};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    struct marks marks;
    uint32_t random = (uint32_t)i;
    memset(positions, 0, sizeof positions);
    marks_init(&marks, sizes[i], 0);
    for (uint64_t position = 1; position <= STEPS; position++) {
      unsigned name = next_random(&random, position % 3 ? NAMES : 40);
      put(&marks, name, name % 5, position);
      positions[name] = position;
      name = next_random(&random, NAMES);
      struct mark mark = get(&marks, name, name % 5);
      assert_true(mark.is_floor ? mark.position >= positions[name] : mark.position == positions[name]);
      assert_true(mark.is_floor ? !mark.is_final : mark.is_final == (mark.position % 7 == 0));
    }
    unsigned known = 0, used = 0;
    for (unsigned name = 0; name < NAMES; name++) {
      used += positions[name] > 0;
      struct mark mark = get(&marks, name, name % 5);
      known += !mark.is_floor;
      assert_true(mark.is_floor ? mark.position >= positions[name] : mark.position == positions[name]);
    }
    assert_int_equal(known, marks.count);
    assert_int_equal(marks.count, used < sizes[i] ? used : sizes[i]);
    if (sizes[i] >= NAMES) assert_int_equal(marks.dropped, 0);
    marks_deinit(&marks);
  }
}

/* If out of memory the floor rises: nothing is taken for complete that may not be. */
static bool grow(void *context) {
  (void)context;
  enum { NAMES = 5000 };
  struct marks marks;
  marks_init(&marks, 100000, 0);
  for (unsigned name = 0; name < NAMES; name++) put(&marks, name, name % 3, name + 1);
  for (unsigned name = 0; name < NAMES; name++) assert_true(get(&marks, name, name % 3).position >= name + 1);
  bool whole = marks.dropped == 0;
  if (whole) assert_int_equal(marks.count, NAMES);
  marks_deinit(&marks);
  return whole;
}

static void stands_failing_memory(void **state) {
  (void)state;
  assert_true(support_fail_each(grow, NULL) > 20);
}

static void takes_what_the_documents_say(void **state) {
  (void)state;
  enum { NAMES = 100000 };
  struct marks marks;
  marks_init(&marks, 1000000, 0);
  for (unsigned name = 0; name < NAMES; name++) put(&marks, name, 0, name + 1);
  assert_int_equal(marks.count, NAMES);
  /* The chunks of 256, and the pointers to them. */
  assert_true(memory_live() <= NAMES / 256 + 2);
  for (unsigned name = 0; name < NAMES; name++) assert_int_equal(get(&marks, name, 0).position, name + 1);
  marks_deinit(&marks);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(knows_what_was_set),
      TEST(drops_the_oldest),
      TEST(a_kind_with_many_names_pays_itself),
      TEST(any_number_of_kinds),
      TEST(never_knows_less_than_there_was),
      TEST(stands_failing_memory),
      TEST(takes_what_the_documents_say),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
