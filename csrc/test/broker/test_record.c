#include "base/memory.h"
#include "broker/record.h"
#include "codec/envelope.h"
#include "test/support.h"

#define CLIENT "0123456789abcdefghijklmnopqr"
#define TEXT(literal)                                                                                                            \
  { (literal), sizeof(literal) - 1 }

static const struct {
  struct bytes record;
  struct message_parts parts;
} good[] = {
    {TEXT("1 - 4 0 0 0\ntick{\"n\":1}"), {.event = TEXT("tick"), .data = TEXT("{\"n\":1}")}},
    {TEXT("1 - 1 3 0 0\neann[ 1,\n2 ]"), {.event = TEXT("e"), .from = TEXT("ann"), .data = TEXT("[ 1,\n2 ]")}},
    {TEXT("1 - 1 3 28 2\neann" CLIENT "k\xff"
          "null"),
     {.event = TEXT("e"), .from = TEXT("ann"), .except = TEXT(CLIENT), .key = TEXT("k\xff"), .data = TEXT("null")}},
    {TEXT("1 b 1 0 0 0\ne\0\n\xff"), {.event = TEXT("e"), .data = TEXT("\0\n\xff"), .is_binary = true}},
    {TEXT("1 b 1 0 0 0\ne"), {.event = TEXT("e"), .is_binary = true}},
    {TEXT("1 f 1 0 0 0\ne1"), {.event = TEXT("e"), .data = TEXT("1"), .is_final = true}},
    {TEXT("1 bf 1 0 0 0\ne1"), {.event = TEXT("e"), .data = TEXT("1"), .is_binary = true, .is_final = true}},
    /* a user id is any text, and may look like a line of a record */
    {TEXT("1 - 1 10 0 0\ne1 - 1 0 0\n0"), {.event = TEXT("e"), .from = TEXT("1 - 1 0 0\n"), .data = TEXT("0")}},
};

static const char *read_in(const char *channel, struct bytes record, struct message_parts *parts) {
  struct broker_message message = {.record = record, .position = 5};
  return record_read(bytes_string(channel), &message, 64, parts);
}

static void records_are_read(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(good); i++) {
    struct message_parts parts;
    const struct message_parts *expected = &good[i].parts;
    assert_null(read_in("room:1", good[i].record, &parts));
    assert_bytes_string(parts.channel, "room:1");
    assert_bytes(parts.event, expected->event);
    assert_bytes(parts.from, expected->from);
    assert_bytes(parts.except, expected->except);
    assert_bytes(parts.key, expected->key);
    assert_bytes(parts.data, expected->data);
    assert_int_equal(parts.type, MESSAGE_EVENT);
    assert_int_equal(parts.is_binary, expected->is_binary);
    assert_int_equal(parts.is_final, expected->is_final);
  }
}

static void records_are_written(void **state) {
  (void)state;
  struct buffer out;
  buffer_init(&out);
  for (size_t i = 0; i < COUNT_OF(good); i++) {
    buffer_clear(&out);
    record_write(&out, &good[i].parts);
    assert_false(out.failed);
    assert_bytes(buffer_bytes(&out), good[i].record);
  }
  buffer_deinit(&out);
}

static const struct {
  struct bytes record;
  const char *fault; /* a part of it */
} bad[] = {
    {TEXT(""), "version"},
    {TEXT("1"), "version"},
    {TEXT("{\"n\":1}"), "version"},
    {TEXT("x - 1 0 0 0\ne1"), "version"},
    {TEXT("-1 - 1 0 0 0\ne1"), "version"},
    {TEXT("0 - 1 0 0 0\ne1"), "not 1"},
    {TEXT("01 - 1 0 0 0\ne1"), "not 1"},
    {TEXT("2 - 1 0 0 0\ne1"), "newer"},
    {TEXT("10 anything"), "newer"},
    {TEXT("1 "), "flags"},
    {TEXT("1  1 0 0 0\ne1"), "flags"},
    {TEXT("1 fb 1 0 0 0\ne1"), "flags"},
    {TEXT("1 -f 1 0 0 0\ne1"), "flags"},
    {TEXT("1 bb 1 0 0 0\ne1"), "flags"},
    {TEXT("1 bfx 1 0 0 0\ne1"), "flags"},
    {TEXT("1 x 1 0 0 0\ne1"), "flags"},
    {TEXT("1 - 1 0 0\ne1"), "lengths"},
    {TEXT("1 - 1 0 0 0 0\ne1"), "lengths"},
    {TEXT("1 - 1 0 0 0"), "lengths"},
    {TEXT("1 - 01 0 0 0\ne1"), "lengths"},
    {TEXT("1 - 1 00 0 0\ne1"), "lengths"},
    {TEXT("1 - +1 0 0 0\ne1"), "lengths"},
    {TEXT("1 - -1 0 0 0\ne1"), "lengths"},
    {TEXT("1 - 1  0 0\ne1"), "lengths"},
    {TEXT("1 - 1 0 0 0 \ne1"), "lengths"},
    {TEXT("1 - 1 0 0 0\r\ne1"), "lengths"},
    {TEXT("1 - 3 0 0 0\ne1"), "lengths"},
    {TEXT("1 - 1 2 0 0\ne1"), "lengths"},
    {TEXT("1 - 1 0 0 99999999999999999999\ne1"), "lengths"},
    {TEXT("1 - 18446744073709551615 1 0 0\ne1"), "lengths"},
    {TEXT("1 - 0 0 0 0\n1"), "event"},
    {TEXT("1 - 2 0 0 0\n\xc3\xa4"
          "1"),
     "event"},
    {TEXT("1 - 4 0 0 0\nopen1"), "open"},
    {TEXT("1 - 12 0 0 0\nmoonwire:gap1"), "moonwire:"},
    {TEXT("1 - 1 1 0 0\ne\xff"
          "1"),
     "user id"},
    {TEXT("1 - 1 0 3 0\neabc1"), "excepted"},
    {TEXT("1 - 1 0 0 0\ne"), "JSON"},
    {TEXT("1 - 1 0 0 0\ne{"), "JSON"},
    {TEXT("1 - 1 0 0 0\ne1 2"), "JSON"},
    {TEXT("1 - 1 0 0 0\ne\"\xff\""), "JSON"},
};

static void what_is_not_a_record_is_refused(void **state) {
  (void)state;
  struct message_parts parts;
  for (size_t i = 0; i < COUNT_OF(bad); i++) {
    const char *fault = read_in("a", bad[i].record, &parts);
    if (!fault || !strstr(fault, bad[i].fault)) fail_msg("%s: %s", bad[i].record.ptr, fault ? fault : "read");
  }
  assert_non_null(read_in("", good[0].record, &parts));
  assert_non_null(read_in("a\n", good[0].record, &parts));
}

/* A record that lost bytes at its end: whatever is read of it lies within it. */
static void cut_records_are_read_within_their_bytes(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(good); i++) {
    for (size_t len = 0; len < good[i].record.len; len++) {
      char *copy = memory_copy(good[i].record.ptr, len);
      struct message_parts parts;
      if (!read_in("a", bytes_of(copy, len), &parts)) assert_ptr_equal(parts.data.ptr + parts.data.len, copy + len);
      memory_free(copy);
    }
  }
}

static void limits_are_checked(void **state) {
  (void)state;
  struct message_parts parts;
  char record[400];
  struct broker_message message = {.record = good[0].record, .position = 5};
  assert_null(record_read(BYTES("a"), &message, 7, &parts));
  assert_string_equal(record_read(BYTES("a"), &message, 6, &parts), "the data is larger than limits.message_size");
  for (int len = 255; len <= 256; len++) {
    int size = snprintf(record, sizeof record, "1 - 1 0 0 %d\ne%0*d1", len, len, 7);
    message.record = bytes_of(record, (size_t)size);
    const char *fault = record_read(BYTES("a"), &message, 64, &parts);
    if (len == 255) assert_null(fault);
    if (len == 256) assert_string_equal(fault, "the key is longer than 255 bytes");
  }
}

static void a_volatile_message_is_not_final(void **state) {
  (void)state;
  struct message_parts parts;
  struct broker_message message = {.record = BYTES("1 f 1 0 0 0\ne1")};
  assert_string_equal(record_read(BYTES("a"), &message, 64, &parts), "a final message cannot be volatile");
  message.record = BYTES("1 - 1 0 0 0\ne1");
  assert_null(record_read(BYTES("a"), &message, 64, &parts));
}

static bool write_once(void *context) {
  struct buffer out;
  (void)context;
  buffer_init(&out);
  record_write(&out, &good[2].parts);
  bool ok = !out.failed;
  if (ok) assert_bytes(buffer_bytes(&out), good[2].record);
  buffer_deinit(&out);
  return ok;
}

static void writing_copes_without_memory(void **state) {
  (void)state;
  assert_int_equal(support_fail_each(write_once, NULL), 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {TEST(records_are_read),
                                     TEST(records_are_written),
                                     TEST(limits_are_checked),
                                     TEST(what_is_not_a_record_is_refused),
                                     TEST(writing_copes_without_memory),
                                     TEST(a_volatile_message_is_not_final),
                                     TEST(cut_records_are_read_within_their_bytes)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
