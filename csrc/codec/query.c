#include "codec/query.h"

#include "base/utf8.h"

static int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/* The byte of the escape "%XX" that `text` begins with, or -1. */
static int escape_value(struct bytes text) {
  if (text.len < 3) return -1;
  int high = hex_value(text.ptr[1]), low = hex_value(text.ptr[2]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

static void decode_form(struct bytes text, struct buffer *out) {
  for (size_t i = 0; i < text.len; i++) {
    char c = text.ptr[i];
    if (c == '+') {
      c = ' ';
    } else if (c == '%') {
      int value = escape_value(bytes_of(text.ptr + i, text.len - i));
      if (value >= 0) {
        c = (char)value;
        i += 2;
      }
    }
    buffer_append_char(out, c);
  }
}

bool query_next(struct bytes *rest, struct buffer *name, struct buffer *value) {
  buffer_clear(name);
  buffer_clear(value);
  while (rest->len > 0) {
    struct bytes pair = bytes_of(rest->ptr, bytes_find(*rest, '&'));
    size_t taken = pair.len < rest->len ? pair.len + 1 : pair.len;
    *rest = bytes_of(rest->ptr + taken, rest->len - taken);
    if (pair.len == 0) continue;
    size_t equals = bytes_find(pair, '=');
    decode_form(bytes_of(pair.ptr, equals), name);
    if (equals < pair.len) decode_form(bytes_of(pair.ptr + equals + 1, pair.len - equals - 1), value);
    return true;
  }
  return false;
}

bool path_decode(struct bytes path, struct buffer *out) {
  size_t start = out->len;
  for (size_t i = 0; i < path.len; i++) {
    int value = (unsigned char)path.ptr[i];
    if (value == '%') {
      value = escape_value(bytes_of(path.ptr + i, path.len - i));
      i += 2;
    }
    if (value <= 0) return false;
    buffer_append_char(out, (char)value);
  }
  return out->failed || out->len == start || utf8_valid(bytes_of(out->data + start, out->len - start));
}
