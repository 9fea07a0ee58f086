#include <stdlib.h>

#include "base/memory.h"
#include "codec/ws/ws_reader.h"
#include "test/support.h"
#include "test/support/ws_trace.h"

/* Small ones, so that a table can show what happens at each. */
static const struct ws_limits limits = {.frame = 130, .message = 140};

#define T10 "0123456789"
#define T100 T10 T10 T10 T10 T10 T10 T10 T10 T10 T10
#define EURO "\xe2\x82\xac"
#define ZERO "\0\0\0\0"

enum { FIN = 0x80 };

struct frame {
  unsigned first; /* FIN, reserved bits, opcode */
  struct bytes payload;
};
#define TEXT(payload)                                                                                                            \
  {                                                                                                                              \
    FIN | WS_OPCODE_TEXT, { payload, sizeof(payload) - 1 }                                                                       \
  }
#define BINARY(payload)                                                                                                          \
  {                                                                                                                              \
    FIN | WS_OPCODE_BINARY, { payload, sizeof(payload) - 1 }                                                                     \
  }
#define BEGIN_TEXT(payload)                                                                                                      \
  {                                                                                                                              \
    WS_OPCODE_TEXT, { payload, sizeof(payload) - 1 }                                                                             \
  }
#define BEGIN_BINARY(payload)                                                                                                    \
  {                                                                                                                              \
    WS_OPCODE_BINARY, { payload, sizeof(payload) - 1 }                                                                           \
  }
#define GO_ON(payload)                                                                                                           \
  {                                                                                                                              \
    WS_OPCODE_CONTINUATION, { payload, sizeof(payload) - 1 }                                                                     \
  }
#define FINISH(payload)                                                                                                          \
  {                                                                                                                              \
    FIN | WS_OPCODE_CONTINUATION, { payload, sizeof(payload) - 1 }                                                               \
  }
#define PING(payload)                                                                                                            \
  {                                                                                                                              \
    FIN | WS_OPCODE_PING, { payload, sizeof(payload) - 1 }                                                                       \
  }
#define PONG(payload)                                                                                                            \
  {                                                                                                                              \
    FIN | WS_OPCODE_PONG, { payload, sizeof(payload) - 1 }                                                                       \
  }
#define CLOSE(payload)                                                                                                           \
  {                                                                                                                              \
    FIN | WS_OPCODE_CLOSE, { payload, sizeof(payload) - 1 }                                                                      \
  }

/* Frames as a client sends them, and what comes of them. */
struct ws_case {
  const char *trace;
  struct frame frames[6]; /* up to the first without a first byte */
};

static const struct ws_case accepted[] = {
    {"TEXT hello @11\nIDLE\n", {TEXT("hello")}},
    {"TEXT  @6\nIDLE\n", {TEXT("")}},
    {"TEXT hello @11\nTEXT h" EURO " @21\nBINARY \xff @28\nIDLE\n", {TEXT("hello"), TEXT("h" EURO), BINARY("\xff")}},
    /* short length */
    {"BINARY " T100 T10 T10 "01234 @131\nIDLE\n", {BINARY(T100 T10 T10 "01234")}},
    /* the next form */
    {"BINARY " T100 T10 T10 "012345 @134\nIDLE\n", {BINARY(T100 T10 T10 "012345")}},
    {"TEXT " T100 T10 T10 T10 " @138\nIDLE\n", {TEXT(T100 T10 T10 T10)}}, /* longest frame */
    /* message */
    {"TEXT " T100 T10 T10 T10 T10 " @158\nIDLE\n", {BEGIN_TEXT(T100 T10 T10), GO_ON(T10), FINISH(T10)}},
    /* the same */
    {"BINARY " T100 T10 T10 T10 T10 " @158\nIDLE\n", {BEGIN_BINARY(T10), GO_ON(T100 T10 T10), FINISH(T10)}},
    {"TEXT abc @27\nIDLE\n", {BEGIN_TEXT("a"), GO_ON("b"), GO_ON(""), FINISH("c")}},
    {"TEXT  @18\nIDLE\n", {BEGIN_TEXT(""), GO_ON(""), FINISH("")}},
    {"TEXT a @13\nIDLE\n", {BEGIN_TEXT(""), FINISH("a")}},
    {"TEXT a @13\nIDLE\n", {BEGIN_TEXT("a"), FINISH("")}},
    {"TEXT " EURO " @27\nIDLE\n", {BEGIN_TEXT("\xe2"), GO_ON("\x82"), GO_ON(""), FINISH("\xac")}},
    {"BINARY \xe2\xff @14\nIDLE\n", {BEGIN_BINARY("\xe2"), FINISH("\xff")}},
    {"PING  @6\nPONG  @12\nPING p @19\nPONG " T10 " @35\nIDLE\n", {PING(""), PONG(""), PING("p"), PONG(T10)}},
    {"PING " T100 T10 T10 "01234 @131\nIDLE\n", {PING(T100 T10 T10 "01234")}},
    {"PING p @14\nPONG  @20\nTEXT ab @27\nIDLE\n", {BEGIN_TEXT("a"), PING("p"), PONG(""), FINISH("b")}},
    {"PING \xff @15\nTEXT " EURO " @22\nIDLE\n", {BEGIN_TEXT("\xe2\x82"), PING("\xff"), FINISH("\xac")}},
    {"", {BEGIN_TEXT("a")}},
    {"", {BEGIN_TEXT("")}},
    {"PING  @13\n", {BEGIN_TEXT("a"), PING("")}},
    {"CLOSE 1005 \n", {CLOSE("")}},
    {"CLOSE 1000 \n", {CLOSE("\x03\xe8")}},
    {"CLOSE 4999 by" EURO "\n",
     {CLOSE("\x13\x87"
            "by" EURO)}},
    {"CLOSE 1001 " T100 T10 T10 "012\n", {CLOSE("\x03\xe9" T100 T10 T10 "012")}},
    {"CLOSE 1000 \n", {CLOSE("\x03\xe8"), TEXT("unread"), CLOSE("")}},
    {"CLOSE 1000 \n", {CLOSE("\x03\xe8"), {0x7f, {"garbage", 7}}}},
    {"CLOSE 1000 \n", {BEGIN_TEXT("a"), CLOSE("\x03\xe8"), FINISH("b")}},
};

#define FAULT(code, reason) "ERROR " #code " " reason "\n"

static const struct ws_case refused[] = {
    {FAULT(1002, "reserved bit set"), {{0xc1, {"a", 1}}}},
    {FAULT(1002, "reserved bit set"), {{0xa1, {"a", 1}}}},
    {FAULT(1002, "reserved bit set"), {{0x91, {"a", 1}}}},
    {FAULT(1002, "reserved bit set"), {{0xc9, {"a", 1}}}},
    {FAULT(1002, "reserved opcode"), {{0x83, {"a", 1}}}},
    {FAULT(1002, "reserved opcode"), {{0x84, {"a", 1}}}},
    {FAULT(1002, "reserved opcode"), {{0x87, {"a", 1}}}},
    {FAULT(1002, "reserved opcode"), {{0x8b, {"a", 1}}}},
    {FAULT(1002, "reserved opcode"), {{0x8f, {"a", 1}}}},
    {FAULT(1002, "reserved opcode"), {BEGIN_TEXT("a"), {0x03, {"b", 1}}}},
    {FAULT(1002, "fragmented control frame"), {{0x09, {"a", 1}}}},
    {FAULT(1002, "fragmented control frame"), {{0x08, {"", 0}}}},
    {FAULT(1002, "control frame longer than 125 bytes"), {PING(T100 T10 T10 "012345")}},
    {FAULT(1002, "control frame longer than 125 bytes"), {CLOSE("\x03\xe8" T100 T10 T10 "0123")}},
    {FAULT(1002, "continuation frame without a message"), {GO_ON("a")}},
    {FAULT(1002, "continuation frame without a message"), {FINISH("")}},
    {"TEXT a @7\n" FAULT(1002, "continuation frame without a message"), {TEXT("a"), FINISH("b")}},
    {"TEXT ab @14\n" FAULT(1002, "continuation frame without a message"), {BEGIN_TEXT("a"), FINISH("b"), FINISH("c")}},
    {FAULT(1002, "new message before the end of a fragmented one"), {BEGIN_TEXT("a"), TEXT("b")}},
    {FAULT(1002, "new message before the end of a fragmented one"), {BEGIN_TEXT(""), BEGIN_BINARY("b")}},
    {"PING  @13\n" FAULT(1002, "new message before the end of a fragmented one"), {BEGIN_TEXT("a"), PING(""), BINARY("b")}},
    {FAULT(1007, "invalid UTF-8 in a text message"), {TEXT("\xff")}},
    {FAULT(1007, "invalid UTF-8 in a text message"), {TEXT("abcdefghij\xed\xa0\x80")}},
    {FAULT(1007, "invalid UTF-8 in a text message"), {BEGIN_TEXT("\xed"), GO_ON("\xa0")}},
    {FAULT(1007, "invalid UTF-8 in a text message"), {BEGIN_TEXT("\xf4"), GO_ON(""), GO_ON("\x90")}},
    {FAULT(1007, "invalid UTF-8 in a text message"), {BEGIN_TEXT("\xc3"), FINISH("a")}},
    {"PING  @13\n" FAULT(1007, "invalid UTF-8 in a text message"), {BEGIN_TEXT("\xe2"), PING(""), FINISH("\xc2")}},
    {FAULT(1007, "incomplete UTF-8 at the end of a text message"), {TEXT("a\xe2\x82")}},
    {FAULT(1007, "incomplete UTF-8 at the end of a text message"), {BEGIN_TEXT("a\xf0\x9f"), FINISH("")}},
    {"TEXT a @7\n" FAULT(1007, "incomplete UTF-8 at the end of a text message"), {TEXT("a"), BEGIN_TEXT("a"), FINISH("\xc3")}},
    {FAULT(1009, "the frame is larger than the limit"), {TEXT(T100 T10 T10 T10 "0")}},
    {FAULT(1009, "the frame is larger than the limit"), {BEGIN_TEXT("a"), FINISH(T100 T10 T10 T10 "0")}},
    {FAULT(1009, "the message is larger than the limit"), {BEGIN_BINARY(T100 T10), FINISH(T10 T10 T10 "0")}},
    {FAULT(1009, "the message is larger than the limit"),
     {BEGIN_TEXT(T100), GO_ON(T10 T10), GO_ON(T10 T10), GO_ON("0"), FINISH("")}},
    {FAULT(1002, "incomplete code in a close frame"), {CLOSE("\x03")}},
    {FAULT(1002, "invalid close code"), {CLOSE(ZERO)}},
    {FAULT(1002, "invalid close code"), {CLOSE("\x03\xe7")}},
    {FAULT(1002, "invalid close code"), {CLOSE("\x03\xec")}},
    {FAULT(1002, "invalid close code"), {CLOSE("\x03\xed")}},
    {FAULT(1002, "invalid close code"), {CLOSE("\x03\xee")}},
    {FAULT(1002, "invalid close code"), {CLOSE("\x03\xf7 \xff")}},
    {FAULT(1002, "invalid close code"), {CLOSE("\x0b\xb7")}},
    {FAULT(1002, "invalid close code"), {CLOSE("\x13\x88")}},
    {FAULT(1002, "invalid close code"), {CLOSE("\xff\xff")}},
    {FAULT(1007, "invalid UTF-8 in the close reason"), {CLOSE("\x03\xe8 \xe2\x82")}},
};

/* What no well-meaning client writes, byte for byte. The fault is known with the last byte. */
static const struct {
  const char *trace;
  struct bytes input;
} refused_headers[] = {
    {FAULT(1002, "reserved bit set"), {"G", 1}},
    {FAULT(1002, "reserved opcode"), {"\x0b", 1}},
    {FAULT(1002, "continuation frame without a message"), {"\x80", 1}},
    {FAULT(1002, "unmasked frame; a client must mask its frames"), {"\x81\x01", 2}},
    {FAULT(1002, "unmasked frame; a client must mask its frames"), {"\x89\x7e", 2}},
    {FAULT(1002, "control frame longer than 125 bytes"), {"\x8a\xff", 2}},
    {FAULT(1002, "frame length not in its shortest form"), {"\x81\xfe\x00\x7d" ZERO, 8}},
    {FAULT(1002, "frame length not in its shortest form"), {"\x82\xff\0\0\0\0\0\0\xff\xff" ZERO, 14}},
    {FAULT(1002, "frame length not in its shortest form"), {"\x82\xff\0\0\0\0\0\0\0\0" ZERO, 14}},
    {FAULT(1002, "frame length of more than 63 bits"), {"\x82\xff\x80\0\0\0\0\0\0\0" ZERO, 14}},
    {FAULT(1002, "frame length of more than 63 bits"), {"\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff" ZERO, 14}},
    {FAULT(1009, "the frame is larger than the limit"), {"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff" ZERO, 14}},
    {FAULT(1009, "the frame is larger than the limit"), {"\x82\xfe\x00\x83" ZERO, 8}},
    {FAULT(1007, "invalid UTF-8 in a text message"), {"\x81\xfe\x00\x82" ZERO "a\xe2\x28", 11}},
    {FAULT(1007, "invalid UTF-8 in a text message"), {"\x01\xfe\x00\x82" ZERO "\xf0\x8f", 10}},
};

static void write_case(struct buffer *out, const struct ws_case *test, struct bytes key) {
  for (size_t i = 0; i < COUNT_OF(test->frames) && test->frames[i].payload.ptr; i++) {
    ws_client_frame(out, test->frames[i].first, key, test->frames[i].payload);
  }
}

/* Whole, byte by byte, and cut in two at every byte. */
static void check_input(struct bytes input, const char *expected) {
  for (size_t first = 0; first <= input.len + 1; first++) {
    struct buffer trace = {0};
    bool bytewise = first == input.len + 1;
    assert_true(ws_trace(&trace, &limits, input, bytewise ? 1 : first, bytewise ? 1 : input.len));
    if (!bytes_equal(buffer_bytes(&trace), bytes_string(expected))) print_error("cut at %zu\n", first);
    assert_bytes_string(buffer_bytes(&trace), expected);
    buffer_deinit(&trace);
  }
}

static void check_case(const struct ws_case *test) {
  static const struct bytes keys[] = {{"\x37\xfa\x21\x3d", 4}, {ZERO, 4}, {"\xff\x00\x80\x7f", 4}};
  for (size_t i = 0; i < COUNT_OF(keys); i++) {
    struct buffer input = {0};
    write_case(&input, test, keys[i]);
    check_input(buffer_bytes(&input), test->trace);
    buffer_deinit(&input);
  }
}

static void reads_what_is_right(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(accepted); i++) check_case(&accepted[i]);
}

static void refuses_what_is_wrong(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(refused); i++) check_case(&refused[i]);
}

/* Not a byte later than it can be known. */
static void refuses_headers_at_once(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(refused_headers); i++) {
    struct bytes input = refused_headers[i].input;
    struct buffer trace = {0};
    check_input(input, refused_headers[i].trace);
    assert_true(ws_trace(&trace, &limits, bytes_of(input.ptr, input.len - 1), input.len, 1));
    assert_bytes_string(buffer_bytes(&trace), input.len == 1 ? "IDLE\n" : "");
    buffer_deinit(&trace);
  }
}

/* ---- Memory ---------------------------------------------------------------------------------- */

static struct bytes next_payload(struct ws_reader *reader, struct buffer *input, enum ws_event expected) {
  size_t used;
  assert_int_equal(ws_reader_next(reader, input->data, input->len, &used), expected);
  assert_int_equal(used, input->len);
  return ws_reader_payload(reader);
}

static void whole_messages_are_not_copied(void **state) {
  (void)state;
  struct buffer input = {0};
  struct ws_reader *reader = ws_reader_new(&limits);
  int64_t empty = memory_live();
  ws_client_frame(&input, FIN | WS_OPCODE_TEXT, BYTES("abcd"), BYTES("hello"));
  assert_ptr_equal(next_payload(reader, &input, WS_MESSAGE).ptr, input.data + 6);
  assert_true(ws_reader_idle(reader));
  assert_int_equal(memory_live(), empty + 1); /* that of the input */

  buffer_clear(&input);
  ws_client_frame(&input, WS_OPCODE_TEXT, BYTES("abcd"), BYTES("hel"));
  ws_client_frame(&input, FIN | WS_OPCODE_CONTINUATION, BYTES("abcd"), BYTES("lo"));
  struct bytes payload = next_payload(reader, &input, WS_MESSAGE);
  assert_bytes_string(payload, "hello");
  assert_true(payload.ptr < input.data || payload.ptr >= input.data + input.len);
  assert_false(ws_reader_idle(reader)); /* its memory holds the message */
  size_t used;
  assert_int_equal(ws_reader_next(reader, NULL, 0, &used), WS_MORE);
  assert_true(ws_reader_idle(reader));
  buffer_deinit(&input);
  assert_int_equal(memory_live(), empty);
  ws_reader_free(reader);
}

static void it_is_idle_only_between_messages(void **state) {
  (void)state;
  struct buffer input = {0};
  struct ws_reader *reader = ws_reader_new(&limits);
  assert_true(ws_reader_idle(reader));
  ws_client_frame(&input, WS_OPCODE_TEXT, BYTES("abcd"), BYTES(""));
  next_payload(reader, &input, WS_MORE);
  assert_false(ws_reader_idle(reader));
  buffer_clear(&input);
  ws_client_frame(&input, FIN | WS_OPCODE_PING, BYTES("abcd"), BYTES("p"));
  next_payload(reader, &input, WS_PING);
  assert_false(ws_reader_idle(reader));
  buffer_clear(&input);
  ws_client_frame(&input, FIN | WS_OPCODE_CONTINUATION, BYTES("abcd"), BYTES(""));
  next_payload(reader, &input, WS_MESSAGE);
  assert_true(ws_reader_idle(reader));
  input.len = 1;
  input.data[0] = (char)(FIN | WS_OPCODE_TEXT);
  next_payload(reader, &input, WS_MORE);
  assert_false(ws_reader_idle(reader));
  buffer_deinit(&input);
  ws_reader_free(reader);
}

static void an_end_gives_memory_back(void **state) {
  (void)state;
  /* as it should be, and an error */
  static const unsigned last[] = {FIN | WS_OPCODE_CLOSE, FIN | WS_OPCODE_TEXT};
  for (size_t i = 0; i < COUNT_OF(last); i++) {
    struct buffer input = {0};
    struct ws_reader *reader = ws_reader_new(&limits);
    int64_t empty = memory_live();
    ws_client_frame(&input, WS_OPCODE_BINARY, BYTES("abcd"), BYTES(T100));
    next_payload(reader, &input, WS_MORE);
    assert_int_equal(memory_live(), empty + 2);
    input.len = 0;
    ws_client_frame(&input, last[i], BYTES("abcd"), BYTES(""));
    size_t used;
    assert_int_equal(ws_reader_next(reader, input.data, input.len, &used), i == 0 ? WS_CLOSE : WS_ERROR);
    assert_null(ws_reader_payload(reader).ptr);
    buffer_deinit(&input);
    assert_int_equal(memory_live(), empty);
    ws_reader_free(reader);
  }
}

static size_t allocated;
static void *count_resize(void *context, void *ptr, size_t size) {
  (void)context;
  if (size > allocated) allocated = size;
  if (size > 0) return realloc(ptr, size);
  free(ptr);
  return NULL;
}

/* Feeds the same bytes again and again. */
static enum ws_event feed(struct ws_reader *reader, struct bytes bytes, size_t times) {
  enum ws_event event = WS_MORE;
  char copy[16];
  for (size_t i = 0; i < times && event == WS_MORE; i++) {
    size_t used;
    memcpy(copy, bytes.ptr, bytes.len);
    event = ws_reader_next(reader, copy, bytes.len, &used);
  }
  return event;
}

static void memory_grows_with_what_came(void **state) {
  (void)state;
  static const struct ws_limits wide = {.frame = 1 << 30, .message = 1 << 30};
  memory_set_allocator(count_resize, NULL);
  struct ws_reader *reader = ws_reader_new(&wide);
  allocated = 0;
  /* a gigabyte is announced */
  assert_int_equal(feed(reader, BYTES("\x82\xff\0\0\0\0\x40\0\0\0" ZERO), 1), WS_MORE);
  assert_int_equal(feed(reader, BYTES(T10), 100), WS_MORE);
  assert_in_range(allocated, 1000, 2000);
  ws_reader_free(reader);

  reader = ws_reader_new(&limits);
  allocated = 0;
  assert_int_equal(feed(reader, BYTES("\x02\x80" ZERO), 1), WS_MORE);
  assert_int_equal(feed(reader, BYTES("\x00\x80" ZERO), 1000000), WS_MORE);
  assert_int_equal(allocated, 0); /* a million fragments of nothing */
  assert_int_equal(feed(reader, BYTES("\x00\x81" ZERO "x"), 140), WS_MORE);
  assert_int_equal(feed(reader, BYTES("\x00\x80" ZERO), 1000), WS_MORE);
  assert_int_equal(feed(reader, BYTES("\x00\x81" ZERO), 1), WS_ERROR);
  assert_int_equal(ws_reader_close_info(reader).code, 1009);
  assert_in_range(allocated, 1, 2 * 140);
  ws_reader_free(reader);
  memory_set_allocator(NULL, NULL);
}

/* If out of memory there is no reader, or the error says so, and never a message that lacks
 * something. */
static bool trace_bytewise(void *context) {
  struct buffer input = {0}, trace = {0};
  const struct ws_case *test = context;
  write_case(&input, test, BYTES("\x37\xfa\x21\x3d"));
  bool ok = !input.failed && ws_trace(&trace, &limits, buffer_bytes(&input), 1, 1);
  struct bytes out = buffer_bytes(&trace), error = BYTES("ERROR 1011 out of memory\n");
  if (ok && !bytes_equal(out, bytes_string(test->trace))) {
    ok = false;
    assert_true(out.len >= error.len);
    assert_bytes(bytes_of(out.ptr + out.len - error.len, error.len), error);
  }
  buffer_deinit(&input);
  buffer_deinit(&trace);
  return ok;
}

static void stands_failing_memory(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(accepted); i++) {
    struct ws_case test = accepted[i];
    support_fail_each(trace_bytewise, &test);
  }
}

static void without_memory_the_error_is_1011(void **state) {
  (void)state;
  struct ws_reader *reader = ws_reader_new(&limits);
  memory_fail_after(1);
  assert_int_equal(feed(reader, BYTES("\x82\x82" ZERO "x"), 1), WS_ERROR);
  assert_int_equal(ws_reader_close_info(reader).code, WS_CLOSE_INTERNAL);
  ws_reader_free(reader);
}

/* What lies in the reader's own memory goes to the caller that wants it, and limits may change
 * between messages. */
static void gives_memory_away(void **state) {
  (void)state;
  static const struct ws_limits wide = {.frame = 1000, .message = 1000};
  struct ws_reader *reader = ws_reader_new(&limits);
  struct buffer taken = {0};
  size_t used;
  char whole[] = "\x81\x82" ZERO "ab", first[] = "\x82\x83" ZERO "cd", second[] = "e";
  assert_int_equal(ws_reader_next(reader, whole, sizeof whole - 1, &used), WS_MESSAGE);
  assert_false(ws_reader_take(reader, &taken));
  assert_bytes_string(ws_reader_payload(reader), "ab");
  assert_int_equal(ws_reader_next(reader, first, sizeof first - 1, &used), WS_MORE);
  assert_false(ws_reader_take(reader, &taken));
  assert_int_equal(ws_reader_next(reader, second, sizeof second - 1, &used), WS_MESSAGE);
  assert_true(ws_reader_take(reader, &taken));
  assert_bytes_string(buffer_bytes(&taken), "cde");
  assert_bytes_string(ws_reader_payload(reader), "cde");
  assert_true(ws_reader_idle(reader));
  ws_reader_set_limits(reader, &wide);
  char large[] = "\x82\xfe\x01\x2c" ZERO;
  assert_int_equal(ws_reader_next(reader, large, sizeof large - 1, &used), WS_MORE);
  ws_reader_free(reader);
  buffer_deinit(&taken);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(reads_what_is_right),
      TEST(refuses_what_is_wrong),
      TEST(refuses_headers_at_once),
      TEST(whole_messages_are_not_copied),
      TEST(it_is_idle_only_between_messages),
      TEST(an_end_gives_memory_back),
      TEST(memory_grows_with_what_came),
      TEST(stands_failing_memory),
      TEST(without_memory_the_error_is_1011),
      TEST(gives_memory_away),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
