#include "base/rope.h"

#include "base/memory.h"
#include "test/support.h"

static struct blob *blob_filled(char c, size_t len) {
  struct blob *blob = blob_new(bytes_of(NULL, len));
  if (blob) memset(blob->data, c, len);
  return blob;
}

/* "one" + 2000 x + "two" + 10 y, whose blob is too small to be shared, + 2000 x again. */
static bool put_together(struct rope *rope) {
  struct blob *large = blob_filled('x', 2000), *small = blob_filled('y', 10);
  buffer_append_string(&rope->text, "one");
  rope_share(rope, large);
  buffer_append_string(&rope->text, "two");
  rope_share(rope, small);
  rope_share(rope, large);
  bool is_shared = large && atomic_load(&large->refs) == 3;
  blob_unref(large);
  blob_unref(small);
  return is_shared && !rope->text.failed;
}

static void expect_parts(const struct rope *rope, struct blob *own) {
  static const struct {
    char first;
    size_t len;
  } expected[] = {{'o', 3}, {'x', 2000}, {'t', 13}, {'x', 2000}};
  struct rope_walk walk = {0};
  struct rope_part part;
  for (size_t i = 0; i < COUNT_OF(expected); i++) {
    assert_true(rope_next(rope, own, &walk, &part));
    assert_int_equal(part.bytes.ptr[0], expected[i].first);
    assert_int_equal(part.bytes.len, expected[i].len);
  }
  assert_false(rope_next(rope, own, &walk, &part));
}

static void refers_to_large_blobs_and_copies_small_ones(void **state) {
  (void)state;
  struct rope rope, whole;
  rope_init(&rope);
  rope_init(&whole);
  assert_true(put_together(&rope));
  assert_int_equal(rope_len(&rope), 3 + 2000 + 3 + 10 + 2000);
  struct blob *own = blob_new(buffer_bytes(&rope.text));
  expect_parts(&rope, own);
  rope_append(&whole, &rope);
  expect_parts(&whole, own);
  struct blob *flat = rope_flatten(&whole);
  assert_int_equal(flat->len, rope_len(&rope));
  assert_memory_equal(flat->data, "onex", 4);
  assert_memory_equal(flat->data + 2002, "xtwoyyyyyyyyyyx", 15);
  blob_unref(flat);
  blob_unref(own);
  rope_deinit(&rope);
  rope_deinit(&whole);
}

static void an_empty_one_has_no_parts(void **state) {
  (void)state;
  struct rope rope;
  struct rope_walk walk = {0};
  struct rope_part part;
  rope_init(&rope);
  struct blob *flat = rope_flatten(&rope);
  assert_int_equal(flat->len, 0);
  assert_false(rope_next(&rope, flat, &walk, &part));
  blob_unref(flat);
  rope_share(&rope, NULL);
  assert_true(rope.text.failed);
  assert_null(rope_flatten(&rope));
  rope_deinit(&rope);
}

static bool build(void *context) {
  (void)context;
  struct rope rope, whole;
  rope_init(&rope);
  rope_init(&whole);
  bool fine = put_together(&rope);
  rope_append(&whole, &rope);
  struct blob *flat = rope_flatten(&whole);
  fine = fine && flat && flat->len == 4016;
  assert_true(fine || rope.text.failed || whole.text.failed || !flat);
  blob_unref(flat);
  rope_deinit(&rope);
  rope_deinit(&whole);
  return fine;
}

static void stands_a_lack_of_memory(void **state) {
  (void)state;
  assert_true(support_fail_each(build, NULL) > 8);
}

int main(void) {
  const struct CMUnitTest tests[] = {TEST(refers_to_large_blobs_and_copies_small_ones), TEST(an_empty_one_has_no_parts),
                                     TEST(stands_a_lack_of_memory)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
