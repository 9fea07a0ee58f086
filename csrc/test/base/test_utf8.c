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

/* RFC 3629 section 4, byte by byte: how long the valid beginning is. */
static size_t plain_prefix(const unsigned char *text, size_t len) {
  size_t whole = 0;
  unsigned needed = 0, low = 0x80, high = 0xbf;
  for (size_t i = 0; i < len; i++) {
    unsigned c = text[i];
    if (needed > 0) {
      if (c < low || c > high) break;
      needed--;
      low = 0x80;
      high = 0xbf;
    } else if (c >= 0x80) {
      if (c < 0xc2 || c > 0xf4) break;
      needed = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
      low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
      high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
    }
    if (needed == 0) whole = i + 1;
  }
  return whole;
}

static uint32_t next_random(uint32_t *seed) {
  *seed = *seed * 1664525 + 1013904223;
  return *seed >> 8;
}

/* Text of all lengths of code points, and sometimes a byte of it wrong. */
static void write_text(unsigned char *out, size_t len, uint32_t *seed) {
  static const uint32_t ends[] = {0x80, 0x80, 0x80, 0x800, 0x10000, 0x110000};
  uint32_t kind = next_random(seed);
  size_t at = 0;
  while (at < len) {
    char code_point[4];
    uint32_t c = next_random(seed) % ends[kind % 8 == 0 ? 0 : next_random(seed) % COUNT_OF(ends)];
    if (c >= 0xd800 && c <= 0xdfff) continue;
    size_t size = utf8_encode(c, code_point);
    for (size_t i = 0; i < size && at < len; i++) out[at++] = (unsigned char)code_point[i];
  }
  if (len > 0 && kind % 3 == 0) out[next_random(seed) % len] = (unsigned char)next_random(seed);
}

static void agrees_with_the_plain_loop(void **state) {
  (void)state;
  static unsigned char text[5000];
  uint32_t seed = 1;
  for (int round = 0; round < 20; round++) {
    for (size_t start = 0; start < 32; start++) {
      for (size_t len = 0; len <= 100; len++) {
        write_text(text + start, len, &seed);
        size_t expected = plain_prefix(text + start, len);
        if (utf8_valid_prefix(bytes_of((char *)text + start, len)) != expected) fail_msg("%zu bytes at %zu", len, start);
      }
    }
  }
  for (int i = 0; i < 3000; i++) {
    size_t start = next_random(&seed) % 32, len = next_random(&seed) % 4900;
    write_text(text + start, len, &seed);
    assert_int_equal(utf8_valid_prefix(bytes_of((char *)text + start, len)), plain_prefix(text + start, len));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(every_scalar_value_goes_there_and_back),
      TEST(refuses_what_rfc_3629_refuses),
      TEST(finds_the_longest_valid_prefix),
      TEST(agrees_with_the_plain_loop),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
