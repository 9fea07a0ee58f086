#include "codec/ws/ws_frame.h"

#include "base/utf8.h"
#include "test/support.h"

static void writes_the_shortest_header(void **state) {
  (void)state;
  static const struct {
    enum ws_opcode opcode;
    uint64_t len;
    struct bytes header;
  } cases[] = {
      {WS_OPCODE_TEXT, 0, {"\x81\x00", 2}},
      {WS_OPCODE_BINARY, 125, {"\x82\x7d", 2}},
      {WS_OPCODE_TEXT, 126, {"\x81\x7e\x00\x7e", 4}},
      {WS_OPCODE_TEXT, 65535, {"\x81\x7e\xff\xff", 4}},
      {WS_OPCODE_TEXT, 65536, {"\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00", 10}},
      {WS_OPCODE_BINARY, INT64_MAX, {"\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", 10}},
      {WS_OPCODE_CLOSE, 125, {"\x88\x7d", 2}},
      {WS_OPCODE_PING, 0, {"\x89\x00", 2}},
      {WS_OPCODE_PONG, 1, {"\x8a\x01", 2}},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    char header[WS_HEADER_MAX];
    size_t len = ws_frame_header(header, cases[i].opcode, cases[i].len);
    assert_bytes(bytes_of(header, len), cases[i].header);
  }
}

static void marks_what_is_compressed(void **state) {
  (void)state;
  char header[WS_HEADER_MAX];
  assert_bytes(bytes_of(header, ws_frame_header_compressed(header, WS_OPCODE_TEXT, 1)), BYTES("\xc1\x01"));
  assert_bytes(bytes_of(header, ws_frame_header_compressed(header, WS_OPCODE_BINARY, 126)), bytes_of("\xc2\x7e\x00\x7e", 4));
}

static void checks_close_codes(void **state) {
  (void)state;
  static const struct {
    unsigned first, last;
    bool valid;
  } ranges[] = {
      {0, 999, false},     {1000, 1003, true}, {1004, 1006, false},  {1007, 1014, true},
      {1015, 2999, false}, {3000, 4999, true}, {5000, 65535, false},
  };
  for (size_t i = 0; i < COUNT_OF(ranges); i++) {
    for (unsigned code = ranges[i].first; code <= ranges[i].last; code++) {
      assert_int_equal(ws_close_code_valid(code), ranges[i].valid);
    }
  }
}

static void writes_close_payloads(void **state) {
  (void)state;
  char out[WS_CONTROL_MAX];
  assert_int_equal(ws_frame_close(out, WS_CLOSE_ABSENT, BYTES("not told")), 0);
  assert_bytes(bytes_of(out, ws_frame_close(out, 1000, BYTES(""))), BYTES("\x03\xe8"));
  assert_bytes(bytes_of(out, ws_frame_close(out, 1012, bytes_of(NULL, 0))), BYTES("\x03\xf4"));
  assert_bytes(bytes_of(out, ws_frame_close(out, 4999, BYTES("gone"))), BYTES("\x13\x87gone"));
  assert_bytes(bytes_of(out, ws_frame_close(out, 4403,
                                            BYTES("a\xff"
                                                  "b"))),
               BYTES("\x11\x33"
                     "a"));
}

/* Whatever code point lies across the end of the room, what is sent is UTF-8 and as long as it can
 * be. */
static void cuts_reasons_between_code_points(void **state) {
  (void)state;
  static const struct bytes code_points[] = {{"x", 1}, {"\xc3\xa9", 2}, {"\xe2\x82\xac", 3}, {"\xf0\x9f\x8c\x99", 4}};
  for (size_t i = 0; i < COUNT_OF(code_points); i++) {
    for (size_t before = 115; before <= 130; before++) {
      char reason[140], out[WS_CONTROL_MAX];
      memset(reason, 'a', before);
      memcpy(reason + before, code_points[i].ptr, code_points[i].len);
      size_t whole = before + code_points[i].len;
      size_t expected = before >= 123 ? 123 : whole <= 123 ? whole : before;
      size_t len = ws_frame_close(out, 1000, bytes_of(reason, whole));
      assert_bytes(bytes_of(out + 2, len - 2), bytes_of(reason, expected));
    }
  }
}

static void check_unmask(size_t start, size_t offset, size_t len, uint32_t *seed) {
  static char wide[5000], plain[5000];
  unsigned char key[4];
  size_t size = start + len + 8; /* what is behind must stay as it is */
  assert_true(size <= sizeof(wide));
  for (size_t i = 0; i < size + 4; i++) {
    *seed = *seed * 1664525 + 1013904223;
    if (i < 4) {
      key[i] = (unsigned char)(*seed >> 24);
    } else {
      wide[i - 4] = plain[i - 4] = (char)(*seed >> 24);
    }
  }
  for (size_t i = 0; i < len; i++) plain[start + i] = (char)(plain[start + i] ^ key[(offset + i) % 4]);
  ws_frame_unmask(wide + start, len, key, offset);
  assert_memory_equal(wide, plain, size);
}

static void unmasks_as_the_plain_loop_does(void **state) {
  (void)state;
  uint32_t seed = 1;
  for (size_t start = 0; start < 32; start++) {
    for (size_t offset = 0; offset < 9; offset++) {
      for (size_t len = 0; len <= 100; len++) check_unmask(start, offset, len, &seed);
    }
  }
  for (int i = 0; i < 1000; i++) check_unmask((seed >> 8) % 64, seed >> 16, (seed >> 4) % 4900, &seed);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(writes_the_shortest_header), TEST(marks_what_is_compressed),         TEST(checks_close_codes),
      TEST(writes_close_payloads),      TEST(cuts_reasons_between_code_points), TEST(unmasks_as_the_plain_loop_does),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
