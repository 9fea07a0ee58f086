#include "base/utf8.h"
#include "base/utf8_stream.h"
#include "test/support.h"

/* How many bytes are taken one by one until one is wrong. */
static size_t good_bytes(struct bytes text) {
  struct utf8_stream stream = {0};
  size_t at = 0;
  while (at < text.len && utf8_stream_feed(&stream, bytes_of(text.ptr + at, 1))) at++;
  return at;
}

static void takes_every_code_point(void **state) {
  (void)state;
  for (uint32_t c = 0; c <= 0x10ffff; c++) {
    if (c >= 0xd800 && c <= 0xdfff) continue;
    char text[4];
    size_t len = utf8_encode(c, text);
    struct utf8_stream stream = {0};
    for (size_t i = 0; i < len; i++) {
      assert_true(utf8_stream_feed(&stream, bytes_of(text + i, 1)));
      assert_int_equal(utf8_stream_complete(&stream), i + 1 == len);
    }
  }
}

/* All beginnings of three bytes that can be part of something longer; the fourth byte decides
 * nothing that they do not. */
static void agrees_with_the_whole(void **state) {
  (void)state;
  for (uint32_t n = 0xc00000; n <= 0xffffff; n++) {
    const char text[5] = {(char)(n >> 16), (char)(n >> 8), (char)n, (char)0x80, 'x'};
    struct utf8_stream stream = {0};
    bool ok = utf8_stream_feed(&stream, bytes_of(text, 5)) && utf8_stream_complete(&stream);
    if (ok != utf8_valid(bytes_of(text, 5))) fail_msg("%06x", (unsigned)n);
  }
}

static void fails_at_the_first_wrong_byte(void **state) {
  (void)state;
  static const struct {
    struct bytes text;
    size_t good;
  } cases[] = {
      {{"\x80", 1}, 0},
      {{"\xbf", 1}, 0},
      {{"\xc0\x80", 2}, 0},
      {{"\xc1\xbf", 2}, 0},
      {{"\xc3(", 2}, 1},
      {{"\xe0\x9f\xbf", 3}, 1},
      {{"\xe0\xa0\x7f", 3}, 2},
      {{"\xed\xa0\x80", 3}, 1},
      {{"\xed\x9f\xc0", 3}, 2},
      {{"\xf0\x8f\xbf\xbf", 4}, 1},
      {{"\xf0\x90\x80\x00", 4}, 3},
      {{"\xf4\x90\x80\x80", 4}, 1},
      {{"\xf4\x8f\xbf\xc0", 4}, 3},
      {{"\xf5\x80\x80\x80", 4}, 0},
      {{"\xff", 1}, 0},
      {{"abcdefgh\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90", 21}, 20},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) assert_int_equal(good_bytes(cases[i].text), cases[i].good);
}

static void the_cut_does_not_matter(void **state) {
  (void)state;
  const struct bytes text = BYTES("plain ASCII of some length, \xc3\xa9, \xe2\x82\xac and \xf0\x9f\x8c\x99, then ASCII again");
  for (size_t cut = 0; cut <= text.len; cut++) {
    struct utf8_stream stream = {0};
    assert_true(utf8_stream_feed(&stream, bytes_of(text.ptr, cut)));
    assert_true(utf8_stream_feed(&stream, bytes_of(text.ptr + cut, text.len - cut)));
    assert_true(utf8_stream_complete(&stream));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(takes_every_code_point),
      TEST(agrees_with_the_whole),
      TEST(fails_at_the_first_wrong_byte),
      TEST(the_cut_does_not_matter),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
