#include "base/memory.h"
#include "base/status.h"
#include "delivery/outbox.h"
#include "test/support.h"
#include "test/support/message.h"

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

/* A message that is written as `text`. */
static struct message *push_message(struct outbox *outbox, const char *text, uint64_t now_ms) {
  struct message_parts parts = {.channel = BYTES("a"), .event = BYTES("e"), .data = bytes_string(text)};
  struct message *message = message_new(NULL, &parts);
  struct blob *blob = blob_new(bytes_string(text));
  assert_int_equal(outbox_push(outbox, blob, blob_bytes(blob), message, now_ms), 0);
  blob_unref(blob);
  message_unref(message); /* it holds a reference of its own */
  return message;
}

static void push_text(struct outbox *outbox, const char *text) {
  struct blob *blob = blob_new(bytes_string(text));
  assert_int_equal(outbox_push(outbox, blob, blob_bytes(blob), NULL, 0), 0);
  blob_unref(blob);
}

static char handed_over[256];

static void on_drop(void *context, struct message *message) {
  assert_ptr_equal(context, handed_over);
  snprintf(handed_over + strlen(handed_over), sizeof handed_over - strlen(handed_over), "%.*s ", (int)message->parts.data.len,
           message->parts.data.ptr);
}

/* A ring that has gone round: two that were there are written. */
static struct outbox *begin_mixed(void) {
  struct outbox *outbox = outbox_new();
  push_text(outbox, "__");
  push_text(outbox, "__");
  push_message(outbox, "one", 0);
  outbox_consume(outbox, 4);
  push_text(outbox, "(ack)");
  push_message(outbox, "two", 0);
  push_message(outbox, "three", 0);
  push_text(outbox, "(ping)");
  push_message(outbox, "four", 0);
  assert_holds(outbox, "one(ack)twothree(ping)four");
  assert_int_equal(outbox->message_bytes, 3 + 3 + 5 + 4);
  handed_over[0] = '\0';
  return outbox;
}

static void lets_messages_go_and_nothing_else(void **state) {
  (void)state;
  struct outbox *outbox = begin_mixed();
  outbox_drop_messages(outbox, on_drop, handed_over);
  assert_string_equal(handed_over, "one two three four ");
  assert_holds(outbox, "(ack)(ping)");
  assert_int_equal(outbox->message_bytes, 0);
  assert_int_equal(object_live(OBJECT_MESSAGE), 0);
  push_message(outbox, "five", 0);
  assert_holds(outbox, "(ack)(ping)five");
  outbox_consume(outbox, 11);
  assert_int_equal(outbox->message_bytes, 4);
  outbox_drop_messages(outbox, on_drop, handed_over);
  assert_holds(outbox, "");
  outbox_free(outbox);
}

/* A slice that a write has begun with stays whole, and so do those before it. */
static void what_is_being_written_stays(void **state) {
  (void)state;
  static const struct {
    size_t writing;
    const char *handed_over, *kept, *dropped;
  } rows[] = {{0, "one two three four ", "(ack)(ping)", ""},
              {1, "two three four ", "one(ack)(ping)", "one"},
              {3, "two three four ", "one(ack)(ping)", "one"},
              {4, "two three four ", "one(ack)(ping)", "one(ack)"},
              {9, "three four ", "one(ack)two(ping)", "one(ack)two"},
              {11, "three four ", "one(ack)two(ping)", "one(ack)two"},
              {12, "four ", "one(ack)twothree(ping)", "one(ack)twothree"},
              {22, "four ", "one(ack)twothree(ping)", "one(ack)twothree(ping)"},
              {26, "", "one(ack)twothree(ping)four", "one(ack)twothree(ping)four"}};
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct outbox *outbox = begin_mixed();
    outbox->writing = rows[i].writing;
    outbox_drop_messages(outbox, on_drop, handed_over);
    assert_string_equal(handed_over, rows[i].handed_over);
    assert_holds(outbox, rows[i].kept);
    outbox->writing = 0;
    outbox_free(outbox);
    outbox = begin_mixed();
    outbox->writing = rows[i].writing;
    outbox_drop_all(outbox);
    assert_holds(outbox, rows[i].dropped);
    outbox_free(outbox);
    assert_int_equal(object_live(OBJECT_MESSAGE), 0);
    assert_int_equal(object_live(OBJECT_BLOB), 0);
  }
}

/* What a first write has taken of a slice counts no more. */
static void counts_what_is_left_of_a_message(void **state) {
  (void)state;
  struct outbox *outbox = begin_mixed();
  outbox_consume(outbox, 2);
  assert_int_equal(outbox->message_bytes, 13);
  outbox_consume(outbox, 8);
  assert_holds(outbox, "othree(ping)four");
  assert_int_equal(outbox->message_bytes, 10);
  outbox->writing = 2;
  outbox_drop_messages(outbox, on_drop, handed_over);
  assert_string_equal(handed_over, "four ");
  assert_int_equal(outbox->message_bytes, 6);
  outbox_consume(outbox, 1);
  outbox->writing = 0;
  outbox_drop_all(outbox);
  assert_holds(outbox, "");
  assert_int_equal(outbox->message_bytes, 0);
  outbox_free(outbox);
}

static void knows_how_long_the_oldest_message_waits(void **state) {
  (void)state;
  struct outbox *outbox = outbox_new();
  const uint64_t begin = ((uint64_t)1 << 32) - 500; /* only the low bits are kept */
  assert_int_equal(outbox_age_ms(outbox, begin), 0);
  push_text(outbox, "(ack)");
  assert_int_equal(outbox_age_ms(outbox, begin + 5000), 0);
  push_message(outbox, "one", begin);
  push_message(outbox, "two", begin + 700);
  assert_int_equal(outbox_age_ms(outbox, begin), 0);
  assert_int_equal(outbox_age_ms(outbox, begin + 1000), 1000);
  outbox_consume(outbox, 7);
  assert_int_equal(outbox_age_ms(outbox, begin + 1000), 1000); /* a part of it */
  outbox_consume(outbox, 1);
  assert_int_equal(outbox_age_ms(outbox, begin + 1000), 300);
  outbox_drop_messages(outbox, on_drop, handed_over);
  assert_int_equal(outbox_age_ms(outbox, begin + 1000), 0);
  outbox_free(outbox);
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

/* Small things are not free: what waits in any number is bounded by what it costs. */
static void weighs_places(void **state) {
  (void)state;
  struct outbox *outbox = outbox_new();
  struct blob *blob = blob_new(BYTES("xy"));
  struct message *message = message_of(NULL, BYTES("a"), BYTES("e"), BYTES("1"));
  assert_int_equal(outbox_own_size(NULL) + outbox_messages_size(NULL), 0);
  for (int i = 0; i < 10; i++) outbox_push(outbox, blob, blob_bytes(blob), i % 2 ? message : NULL, 0);
  assert_int_equal(outbox_own_size(outbox), 5 * (2 + OUTBOX_OWN));
  assert_int_equal(outbox_messages_size(outbox), 5 * (2 + OUTBOX_PLACE));
  outbox_consume(outbox, 3); /* the first, and half of the second */
  assert_int_equal(outbox_own_size(outbox), 4 * (2 + OUTBOX_OWN));
  assert_int_equal(outbox_messages_size(outbox), 5 * (2 + OUTBOX_PLACE) - 1);
  outbox_drop_all(outbox);
  assert_int_equal(outbox_own_size(outbox), 0);
  assert_int_equal(outbox_messages_size(outbox), 1 + OUTBOX_PLACE); /* what was begun is not cut */
  outbox_consume(outbox, 1);
  assert_int_equal(outbox_own_size(outbox) + outbox_messages_size(outbox), 0);
  outbox_free(outbox);
  message_unref(message);
  blob_unref(blob);
}

/* What the peer has part of stays, with what continues it, regardless of what is dropped; and
 * nothing else does. */
static void what_was_begun_stays(void **state) {
  (void)state;
  struct outbox *outbox = outbox_new();
  handed_over[0] = '\0';
  push_message(outbox, "first", 0);
  push_message(outbox, "second", 0);
  outbox_consume(outbox, 2);
  outbox_drop_messages(outbox, on_drop, handed_over);
  assert_string_equal(handed_over, "second ");
  assert_holds(outbox, "rst");
  outbox_consume(outbox, 3);
  push_text(outbox, "head ");
  outbox_continue(outbox);
  push_text(outbox, "body ");
  outbox_continue(outbox);
  push_text(outbox, "end");
  push_text(outbox, "other");
  outbox_consume(outbox, 5); /* all of the head */
  outbox_drop_all(outbox);
  assert_holds(outbox, "body end");
  outbox_consume(outbox, 6);
  outbox_drop_all(outbox);
  assert_holds(outbox, "nd");
  outbox_consume(outbox, 2);
  push_text(outbox, "next");
  outbox_drop_all(outbox);
  assert_holds(outbox, "");
  outbox_free(outbox);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(weighs_places),
      TEST(keeps_parts_in_order),
      TEST(goes_round_and_grows),
      TEST(lets_messages_go_and_nothing_else),
      TEST(what_is_being_written_stays),
      TEST(what_was_begun_stays),
      TEST(counts_what_is_left_of_a_message),
      TEST(knows_how_long_the_oldest_message_waits),
      TEST(stands_failing_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
