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
