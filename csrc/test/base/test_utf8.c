#include "base/utf8.h"
#include "test/support.h"

static void every_scalar_value_goes_there_and_back(void **state) {
  (void)state;
  for (uint32_t c = 0; c <= 0x10ffff; c++) {
    if (c >= 0xd800 && c <= 0xdfff) continue;
    char out[4];
    uint32_t back = 0;
    size_t len = utf8_encode(c, out);
    assert_int_equal(len, c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4);
    assert_int_equal(utf8_decode(bytes_of(out, len), &back), len);
    assert_int_equal(back, c);
    assert_int_equal(utf8_decode(bytes_of(out, len - 1), &back), 0);
  }
}

static void refuses_what_rfc_3629_refuses(void **state) {
  (void)state;
  static const char *const refused[] = {
      "\x80",             /* a continuation alone */
      "\xc0\x80",         /* overlong */
      "\xc1\xbf",         /* overlong */
      "\xe0\x9f\xbf",     /* overlong */
      "\xf0\x8f\xbf\xbf", /* overlong */
      "\xed\xa0\x80",     /* U+D800 */
      "\xed\xbf\xbf",     /* U+DFFF */
      "\xf4\x90\x80\x80", /* U+110000 */
      "\xf8\x88\x80\x80\x80",
      "\xff",
      "\xc3",
      "\xc3(",
      "\xe2\x82",
      "\xe2(\xac",
      "\xf0\x9f\x98",
  };
  for (size_t i = 0; i < COUNT_OF(refused); i++) {
    uint32_t c;
    assert_int_equal(utf8_decode(bytes_string(refused[i]), &c), 0);
    assert_false(utf8_valid(bytes_string(refused[i])));
  }
}

/* At every place of a long text, so that the fast way and the slow one meet everywhere. */
static void finds_the_longest_valid_prefix(void **state) {
  (void)state;
  char text[64];
  for (size_t at = 0; at < 40; at++) {
    memset(text, 'a', sizeof(text));
    memcpy(text + at, "\xe2\x82\xac", 3);
    assert_int_equal(utf8_valid_prefix(bytes_of(text, 48)), 48);
    assert_int_equal(utf8_valid_prefix(bytes_of(text, at + 2)), at);
    text[at + 2] = 'a';
    assert_int_equal(utf8_valid_prefix(bytes_of(text, 48)), at);
  }
  assert_true(utf8_valid(bytes_of(NULL, 0)));
  assert_true(utf8_valid(BYTES("a\0b")));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(every_scalar_value_goes_there_and_back),
      TEST(refuses_what_rfc_3629_refuses),
      TEST(finds_the_longest_valid_prefix),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
