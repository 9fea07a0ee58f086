#include "base/base64.h"

void base64_write(struct buffer *out, struct bytes bytes) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  char *at = buffer_reserve(out, (bytes.len + 2) / 3 * 4);
  if (!at) return;
  for (size_t i = 0; i < bytes.len; i += 3, at += 4) {
    size_t left = bytes.len - i;
    uint32_t group = (uint32_t)(unsigned char)bytes.ptr[i] << 16;
    if (left > 1) group |= (uint32_t)(unsigned char)bytes.ptr[i + 1] << 8;
    if (left > 2) group |= (unsigned char)bytes.ptr[i + 2];
    at[0] = digits[group >> 18];
    at[1] = digits[group >> 12 & 63];
    at[2] = left > 1 ? digits[group >> 6 & 63] : '=';
    at[3] = left > 2 ? digits[group & 63] : '=';
  }
  out->len += (bytes.len + 2) / 3 * 4;
}

static uint32_t value_of(char c) {
  if (c >= 'A' && c <= 'Z') return (uint32_t)(c - 'A');
  if (c >= 'a' && c <= 'z') return (uint32_t)(c - 'a' + 26);
  if (c >= '0' && c <= '9') return (uint32_t)(c - '0' + 52);
  return c == '+' ? 62 : c == '/' ? 63 : UINT32_MAX;
}

bool base64_read(struct buffer *out, struct bytes text) {
  size_t digits = text.len, written = 0;
  while (digits > 0 && text.len - digits < 2 && text.ptr[digits - 1] == '=') digits--;
  if (text.len % 4 != 0) return false;
  char *at = buffer_reserve(out, text.len / 4 * 3);
  uint32_t group = 0;
  for (size_t i = 0; i < digits; i++) {
    uint32_t value = value_of(text.ptr[i]);
    if (value == UINT32_MAX) return false;
    group = group << 6 | value;
    if (i % 4 == 0 || !at) continue;
    at[written++] = (char)(group >> (6 - 2 * (i % 4)) & 0xff);
  }
  /* The bits that padding removes must be zero, so that every text has only one encoding. */
  if (digits % 4 == 1 || (digits % 4 == 2 && group & 15) || (digits % 4 == 3 && group & 3)) return false;
  if (at) out->len += written;
  return true;
}
