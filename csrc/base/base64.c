#include "base/base64.h"

/* The last two digits, and whether there is padding. */
struct variant {
  char digits[2];
  bool pads;
};

static const struct variant standard = {{'+', '/'}, true}, url = {{'-', '_'}, false};

static char digit_of(const struct variant *variant, uint32_t value) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  value &= 63;
  return value < 62 ? digits[value] : variant->digits[value - 62];
}

static void base64_encode(struct buffer *out, struct bytes bytes, const struct variant *variant) {
  char *at = buffer_reserve(out, (bytes.len + 2) / 3 * 4);
  if (!at) return;
  for (size_t i = 0; i < bytes.len; i += 3, at += 4) {
    size_t left = bytes.len - i;
    uint32_t group = (uint32_t)(unsigned char)bytes.ptr[i] << 16;
    if (left > 1) group |= (uint32_t)(unsigned char)bytes.ptr[i + 1] << 8;
    if (left > 2) group |= (unsigned char)bytes.ptr[i + 2];
    at[0] = digit_of(variant, group >> 18);
    at[1] = digit_of(variant, group >> 12);
    at[2] = left > 1 ? digit_of(variant, group >> 6) : '=';
    at[3] = left > 2 ? digit_of(variant, group) : '=';
  }
  size_t padding = variant->pads ? 0 : (3 - bytes.len % 3) % 3;
  out->len += (bytes.len + 2) / 3 * 4 - padding;
}

static uint32_t value_of(const struct variant *variant, char c) {
  if (c >= 'A' && c <= 'Z') return (uint32_t)(c - 'A');
  if (c >= 'a' && c <= 'z') return (uint32_t)(c - 'a' + 26);
  if (c >= '0' && c <= '9') return (uint32_t)(c - '0' + 52);
  return c == variant->digits[0] ? 62 : c == variant->digits[1] ? 63 : UINT32_MAX;
}

/* Decodes digits without padding. */
static bool base64_decode(struct buffer *out, struct bytes text, const struct variant *variant) {
  size_t written = 0;
  char *at = buffer_reserve(out, text.len / 4 * 3 + 3);
  uint32_t group = 0;
  for (size_t i = 0; i < text.len; i++) {
    uint32_t value = value_of(variant, text.ptr[i]);
    if (value == UINT32_MAX) return false;
    group = group << 6 | value;
    if (i % 4 == 0 || !at) continue;
    at[written++] = (char)(group >> (6 - 2 * (i % 4)) & 0xff);
  }
  /* The bits that padding stands for must be zero, so that every text has only one encoding. */
  size_t rest = text.len % 4;
  if (rest == 1 || (rest == 2 && group & 15) || (rest == 3 && group & 3)) return false;
  if (at) out->len += written;
  return true;
}

void base64_write(struct buffer *out, struct bytes bytes) { base64_encode(out, bytes, &standard); }

bool base64_read(struct buffer *out, struct bytes text) {
  size_t digits = text.len;
  while (digits > 0 && text.len - digits < 2 && text.ptr[digits - 1] == '=') digits--;
  if (text.len % 4 != 0) return false;
  return base64_decode(out, bytes_of(text.ptr, digits), &standard);
}

void base64url_write(struct buffer *out, struct bytes bytes) { base64_encode(out, bytes, &url); }
bool base64url_read(struct buffer *out, struct bytes text) { return base64_decode(out, text, &url); }
