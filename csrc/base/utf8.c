#include "base/utf8.h"

static bool is_continuation(unsigned char c) { return (c & 0xc0) == 0x80; }

/* The length that a leading byte announces, and the smallest code point that needs it. 0: no leading byte. */
static size_t read_lead(unsigned char c, uint32_t *bits, uint32_t *smallest) {
  if (c < 0x80) {
    *bits = c;
    *smallest = 0;
    return 1;
  }
  if (c >= 0xc0 && c < 0xe0) {
    *bits = c & 0x1f;
    *smallest = 0x80;
    return 2;
  }
  if (c >= 0xe0 && c < 0xf0) {
    *bits = c & 0x0f;
    *smallest = 0x800;
    return 3;
  }
  if (c >= 0xf0 && c < 0xf8) {
    *bits = c & 0x07;
    *smallest = 0x10000;
    return 4;
  }
  return 0;
}

size_t utf8_decode(struct bytes text, uint32_t *code_point) {
  if (text.len == 0) return 0;
  uint32_t value, smallest;
  size_t len = read_lead((unsigned char)text.ptr[0], &value, &smallest);
  if (len == 0 || len > text.len) return 0;
  for (size_t i = 1; i < len; i++) {
    unsigned char c = (unsigned char)text.ptr[i];
    if (!is_continuation(c)) return 0;
    value = value << 6 | (c & 0x3f);
  }
  if (value < smallest || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff)) return 0;
  *code_point = value;
  return len;
}

/* Eight bytes of ASCII at once: most text is nothing else. */
static bool is_ascii_word(const char *ptr) {
  uint64_t word;
  memcpy(&word, ptr, sizeof(word));
  return (word & UINT64_C(0x8080808080808080)) == 0;
}

size_t utf8_valid_prefix(struct bytes text) {
  size_t at = 0;
  while (at < text.len) {
    if (text.len - at >= 8 && is_ascii_word(text.ptr + at)) {
      at += 8;
      continue;
    }
    uint32_t code_point;
    size_t len = utf8_decode(bytes_of(text.ptr + at, text.len - at), &code_point);
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
