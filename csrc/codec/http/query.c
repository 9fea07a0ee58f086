#include "codec/http/query.h"

#include "base/hex.h"
#include "base/utf8.h"

/* Returns the byte of the escape "%XX" at the start of `text`, or -1. */
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

static bool has_word(struct bytes name, const char *word) {
  size_t len = strlen(word);
  for (size_t i = 0; i + len <= name.len; i++) {
    if (bytes_equal_nocase(bytes_of(name.ptr + i, len), bytes_of(word, len))) return true;
  }
  return false;
}

static bool is_secret(struct bytes name) {
  static const char *const words[] = {"token", "ticket",  "key",  "pass", "secret", "sig",
                                      "auth",  "session", "code", "jwt",  "client", "%"};
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
    if (has_word(name, words[i])) return true;
  }
  return false;
}

/* Appends as much as fits. */
static size_t copy(char *out, size_t at, size_t size, struct bytes text) {
  size_t len = text.len < size - 1 - at ? text.len : size - 1 - at;
  memcpy(out + at, text.ptr, len);
  return at + len;
}

void query_redact(struct bytes target, char *out, size_t size) {
  size_t start = bytes_find(target, '?');
  size_t at = copy(out, 0, size, bytes_of(target.ptr, start));
  while (start < target.len) { /* at a "?" or "&" */
    struct bytes rest = bytes_of(target.ptr + start + 1, target.len - start - 1);
    size_t item_len = bytes_find(rest, '&');
    struct bytes item = bytes_of(rest.ptr, item_len);
    size_t name_len = bytes_find(item, '=');
    at = copy(out, at, size, bytes_of(target.ptr + start, 1));
    if (name_len < item.len && is_secret(bytes_of(item.ptr, name_len))) {
      at = copy(out, at, size, bytes_of(item.ptr, name_len + 1));
      at = copy(out, at, size, BYTES("***"));
    } else {
      at = copy(out, at, size, item);
    }
    start += 1 + item_len;
  }
  out[at] = '\0';
}
