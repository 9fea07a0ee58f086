#include <pthread.h>

#include "base/blob.h"
#include "base/memory.h"
#include "test/support.h"

static void holds_bytes_and_a_terminator(void **state) {
  (void)state;
  struct blob *blob = blob_new(BYTES("a\0b"));
  assert_bytes(blob_bytes(blob), BYTES("a\0b"));
  assert_int_equal(blob->data[3], '\0');
  assert_int_equal(object_live(OBJECT_BLOB), 1);
  blob_unref(blob);
  assert_int_equal(object_live(OBJECT_BLOB), 0);
  assert_int_equal(blob_bytes(NULL).len, 0);
}

static void can_be_filled_by_its_maker(void **state) {
  (void)state;
  struct blob *blob = blob_new(bytes_of(NULL, 4));
  assert_int_equal(blob->len, 4);
  assert_int_equal(blob->data[4], '\0');
  memcpy(blob->data, "abcd", 4);
  assert_bytes_string(blob_bytes(blob), "abcd");
  blob_unref(blob);
}

static void lives_as_long_as_a_reference(void **state) {
  (void)state;
  struct blob *blob = blob_new(BYTES("x"));
  assert_ptr_equal(blob_ref(blob), blob);
  blob_unref(blob);
  assert_bytes_string(blob_bytes(blob), "x");
  blob_unref(blob);
  assert_null(blob_ref(NULL));
  blob_unref(NULL);
}

static void refuses_what_is_too_long_or_has_no_memory(void **state) {
  (void)state;
  assert_null(blob_new(bytes_of(NULL, UINT32_MAX)));
  assert_null(blob_new(bytes_of(NULL, SIZE_MAX)));
  memory_fail_after(1);
  assert_null(blob_new(BYTES("x")));
}

static void *ref_and_unref(void *argument) {
  struct blob *blob = argument;
  for (int i = 0; i < 10000; i++) blob_unref(blob_ref(blob));
  blob_unref(blob);
  return NULL;
}

static void is_shared_between_threads(void **state) {
  (void)state;
  struct blob *blob = blob_new(BYTES("x"));
  pthread_t threads[4];
  for (size_t i = 0; i < COUNT_OF(threads); i++)
    assert_int_equal(pthread_create(&threads[i], NULL, ref_and_unref, blob_ref(blob)), 0);
  blob_unref(blob);
  for (size_t i = 0; i < COUNT_OF(threads); i++) pthread_join(threads[i], NULL);
  assert_int_equal(object_live(OBJECT_BLOB), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(holds_bytes_and_a_terminator), TEST(can_be_filled_by_its_maker),
      TEST(lives_as_long_as_a_reference), TEST(refuses_what_is_too_long_or_has_no_memory),
      TEST(is_shared_between_threads),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
