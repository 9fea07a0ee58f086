#include "base/memory.h"
#include "base/status.h"
#include "server/outbox.h"
#include "test/support.h"

/* All that waits, in order, seen through windows of `max` slices. */
static void assert_holds(const struct outbox *outbox, const char *expected) {
  struct bytes slices[100];
  char text[1024];
  size_t len = 0, count = outbox_peek(outbox, slices, COUNT_OF(slices));
  for (size_t i = 0; i < count; i++) {
    assert_true(slices[i].len > 0);
    memcpy(text + len, slices[i].ptr, slices[i].len);
    len += slices[i].len;
  }
  assert_int_equal(outbox->bytes, len);
  assert_bytes(bytes_of(text, len), bytes_string(expected));
}

static void push(struct outbox *outbox, struct blob *blob, size_t at, size_t len) {
  assert_int_equal(outbox_push(outbox, blob, bytes_of(blob->data + at, len), NULL, 0), 0);
}

static void keeps_parts_in_order(void **state) {
  (void)state;
  struct outbox *outbox = outbox_new();
  struct blob *blob = blob_new(BYTES("0123456789"));
  assert_holds(outbox, "");
  push(outbox, blob, 0, 10);
  push(outbox, blob, 3, 4);
  push(outbox, blob, 5, 0); /* nothing is nothing */
  push(outbox, blob, 9, 1);
  blob_unref(blob); /* it holds references of its own */
  assert_int_equal(outbox->count, 3);
  assert_holds(outbox, "012345678934569");
  struct bytes slices[2];
  assert_int_equal(outbox_peek(outbox, slices, 2), 2);
  assert_bytes_string(slices[1], "3456");
  outbox_consume(outbox, 0);
  outbox_consume(outbox, 4);
  assert_holds(outbox, "45678934569");
  outbox_consume(outbox, 6);
  assert_holds(outbox, "34569");
  assert_int_equal(outbox->count, 2);
  outbox_consume(outbox, 5);
  assert_holds(outbox, "");
  assert_int_equal(object_live(OBJECT_BLOB), 0);
  outbox_free(outbox);
  outbox_free(NULL);
}

static void goes_round_and_grows(void **state) {
  (void)state;
  struct outbox *outbox = outbox_new();
  struct blob *blob = blob_new(BYTES("abcdefghijklmnopqrstuvwxyz"));
  char expected[600] = "";
  size_t len = 0, next = 0;
  for (unsigned round = 1; round < 60; round++) {
    for (unsigned i = 0; i < 3; i++, next = (next + 1) % 26) {
      push(outbox, blob, next, 1);
      expected[len++] = blob->data[next];
    }
    size_t gone = round % 5;
    if (gone > len) gone = len;
    outbox_consume(outbox, gone);
    memmove(expected, expected + gone, len - gone);
    expected[len -= gone] = '\0';
    assert_true(len < 100);
    assert_holds(outbox, expected);
  }
  blob_unref(blob);
  outbox_free(outbox);
  assert_int_equal(object_live(OBJECT_BLOB), 0);
}

static bool fill(void *context) {
  struct blob *blob = context;
  struct outbox *outbox = outbox_new();
  bool ok = outbox != NULL;
  for (unsigned n = 0; outbox && n < 20; n++) {
    size_t bytes = outbox->bytes;
    int status = outbox_push(outbox, blob, blob_bytes(blob), NULL, 0);
    assert_int_equal(outbox->bytes, status == 0 ? bytes + blob->len : bytes);
    assert_true(status == 0 || status == MW_ENOMEM);
    ok = ok && status == 0;
  }
  outbox_free(outbox);
  return ok;
}

static void stands_failing_memory(void **state) {
  (void)state;
  struct blob *blob = blob_new(BYTES("x"));
  assert_int_equal(support_fail_each(fill, blob), 6);
  assert_int_equal(atomic_load(&blob->refs), 1);
  blob_unref(blob);
}

int main(void) {
  const struct CMUnitTest tests[] = {TEST(keeps_parts_in_order), TEST(goes_round_and_grows), TEST(stands_failing_memory)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
