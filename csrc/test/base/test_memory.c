#include <pthread.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/status.h"
#include "test/support.h"

static void counts_what_is_alive(void **state) {
  (void)state;
  int64_t before = memory_live();
  void *first = memory_alloc(0), *second = memory_calloc(3, 5);
  assert_non_null(first);
  assert_memory_equal(second, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 15);
  assert_int_equal(memory_live(), before + 2);
  first = memory_realloc(first, 100);
  assert_int_equal(memory_live(), before + 2);
  assert_int_equal(mw_live("memory"), before + 2);
  memory_free(first);
  memory_free(second);
  memory_free(NULL);
  assert_int_equal(memory_live(), before);
}

static void an_overflow_is_no_memory(void **state) {
  (void)state;
  assert_null(memory_calloc(SIZE_MAX / 2, 3));
  assert_null(memory_copy("a", SIZE_MAX));
}

static void copies_are_terminated(void **state) {
  (void)state;
  char *copy = memory_copy("a\0b", 3), *empty = memory_copy(NULL, 0);
  assert_memory_equal(copy, "a\0b\0", 4);
  assert_string_equal(empty, "");
  memory_free(copy);
  memory_free(empty);
}

static void fails_the_nth_once(void **state) {
  (void)state;
  memory_fail_after(2);
  void *first = memory_alloc(8);
  assert_non_null(first);
  assert_null(memory_realloc(first, 16));
  void *third = memory_alloc(8);
  assert_non_null(third);
  memory_free(first);
  memory_free(third);
  memory_fail_after(1);
  memory_fail_after(0);
  void *fourth = memory_alloc(8);
  assert_non_null(fourth);
  memory_free(fourth);
}

static int resize_calls;
static void *resize_counted(void *context, void *ptr, size_t size) {
  assert_ptr_equal(context, &resize_calls);
  resize_calls++;
  if (size > 0) return realloc(ptr, size);
  free(ptr);
  return NULL;
}

static void the_allocator_can_be_replaced(void **state) {
  (void)state;
  mw_set_allocator(resize_counted, &resize_calls);
  void *ptr = memory_realloc(memory_alloc(1), 2);
  memory_free(ptr);
  mw_set_allocator(NULL, NULL);
  assert_int_equal(resize_calls, 3);
}

static void objects_are_counted_by_name(void **state) {
  (void)state;
  for (int kind = 0; kind < OBJECT_KIND_COUNT; kind++) {
    const char *name = object_name((enum object_kind)kind);
    assert_int_equal(mw_live(name), 0);
    object_count((enum object_kind)kind, 2);
    assert_int_equal(mw_live(name), 2);
    object_count((enum object_kind)kind, -2);
    assert_int_equal(object_live((enum object_kind)kind), 0);
  }
  assert_int_equal(mw_live("teapot"), -1);
}

/* More than have a count of their own. */
enum { THREADS = 80 };

static void *allocate_for_another(void *context) {
  *(void **)context = memory_alloc(8);
  object_count(OBJECT_BLOB, 1);
  return NULL;
}

static void threads_count_together(void **state) {
  (void)state;
  int64_t before = memory_live();
  pthread_t threads[THREADS];
  void *given[THREADS];
  for (size_t i = 0; i < THREADS; i++) {
    assert_int_equal(pthread_create(&threads[i], NULL, allocate_for_another, &given[i]), 0);
  }
  for (size_t i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  assert_int_equal(memory_live(), before + THREADS);
  assert_int_equal(object_live(OBJECT_BLOB), THREADS);
  for (size_t i = 0; i < THREADS; i++) {
    memory_free(given[i]);
    object_count(OBJECT_BLOB, -1);
  }
  assert_int_equal(memory_live(), before);
  assert_int_equal(object_live(OBJECT_BLOB), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(counts_what_is_alive),   TEST(an_overflow_is_no_memory),      TEST(copies_are_terminated),
      TEST(fails_the_nth_once),     TEST(the_allocator_can_be_replaced), TEST(objects_are_counted_by_name),
      TEST(threads_count_together),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
