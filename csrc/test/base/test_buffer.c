#include "base/buffer.h"
#include "base/memory.h"
#include "test/support.h"

static void appends(void **state) {
  (void)state;
  struct buffer buffer;
  buffer_init(&buffer);
  assert_null(buffer.data);
  buffer_append(&buffer, bytes_of(NULL, 0));
  assert_null(buffer.data);
  buffer_append(&buffer, BYTES("a\0b"));
  buffer_append_char(&buffer, 'c');
  buffer_append_string(&buffer, "de");
  buffer_append_string(&buffer, NULL);
  buffer_append_u64(&buffer, 0);
  buffer_append_u64(&buffer, UINT64_MAX);
  buffer_append_format(&buffer, "%s=%d", "x", -5);
  assert_bytes(buffer_bytes(&buffer), BYTES("a\0bcde018446744073709551615x=-5"));
  assert_false(buffer.failed);
  buffer_deinit(&buffer);
  assert_null(buffer.data);
}

static void grows_and_keeps_what_it_has(void **state) {
  (void)state;
  struct buffer buffer = {0};
  for (int i = 0; i < 100000; i++) buffer_append_char(&buffer, (char)('a' + i % 26));
  assert_int_equal(buffer.len, 100000);
  for (int i = 0; i < 100000; i++) assert_int_equal(buffer.data[i], 'a' + i % 26);
  buffer_deinit(&buffer);
}

static void consumes_from_the_front(void **state) {
  (void)state;
  struct buffer buffer = {0};
  buffer_consume(&buffer, 0);
  buffer_append_string(&buffer, "abcdef");
  buffer_consume(&buffer, 2);
  assert_bytes_string(buffer_bytes(&buffer), "cdef");
  buffer_consume(&buffer, 9);
  assert_int_equal(buffer.len, 0);
  buffer_deinit(&buffer);
}

static void a_failure_sticks_until_it_is_cleared(void **state) {
  (void)state;
  struct buffer buffer = {0};
  buffer_append_string(&buffer, "abc");
  memory_fail_after(1);
  assert_null(buffer_reserve(&buffer, 1000));
  assert_true(buffer.failed);
  buffer_append_string(&buffer, "d");
  buffer_append_format(&buffer, "%d", 1);
  assert_bytes_string(buffer_bytes(&buffer), "abc");
  buffer_clear(&buffer);
  buffer_append_string(&buffer, "d");
  assert_false(buffer.failed);
  assert_bytes_string(buffer_bytes(&buffer), "d");
  buffer_deinit(&buffer);
}

static void a_length_beyond_memory_fails(void **state) {
  (void)state;
  struct buffer buffer = {0};
  buffer_append_char(&buffer, 'a');
  assert_null(buffer_reserve(&buffer, SIZE_MAX));
  assert_true(buffer.failed);
  buffer_deinit(&buffer);
}

static void takes_no_more_than_it_may(void **state) {
  (void)state;
  struct buffer buffer = {0};
  assert_non_null(buffer_reserve_within(&buffer, 10, 100));
  assert_int_equal(buffer.capacity, 64);
  buffer.len = 64;
  assert_non_null(buffer_reserve_within(&buffer, 1, 100));
  assert_int_equal(buffer.capacity, 100);
  buffer.len = 99;
  assert_ptr_equal(buffer_reserve_within(&buffer, 1, 100), buffer.data + 99);
  assert_int_equal(buffer.capacity, 100);
  buffer_deinit(&buffer);
  assert_non_null(buffer_reserve_within(&buffer, 10, 10));
  assert_int_equal(buffer.capacity, 10);
  buffer_deinit(&buffer);
}

static bool append_much(void *context) {
  (void)context;
  struct buffer buffer = {0};
  for (int i = 0; i < 1000; i++) buffer_append_format(&buffer, "%d,", i);
  bool ok = !buffer.failed;
  buffer_deinit(&buffer);
  return ok;
}

static void stands_failing_memory(void **state) {
  (void)state;
  assert_true(support_fail_each(append_much, NULL) > 3);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(appends),
      TEST(grows_and_keeps_what_it_has),
      TEST(consumes_from_the_front),
      TEST(a_failure_sticks_until_it_is_cleared),
      TEST(a_length_beyond_memory_fails),
      TEST(takes_no_more_than_it_may),
      TEST(stands_failing_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
