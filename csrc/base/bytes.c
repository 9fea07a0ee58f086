#include "base/bytes.h"

static char lower_ascii(char c) { return (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c); }

bool bytes_equal_nocase(struct bytes a, struct bytes b) {
  if (a.len != b.len) return false;
  for (size_t i = 0; i < a.len; i++) {
    if (lower_ascii(a.ptr[i]) != lower_ascii(b.ptr[i])) return false;
  }
  return true;
}

static bool is_blank(char c) { return c == ' ' || c == '\t'; }

struct bytes bytes_trim(struct bytes text) {
  while (text.len > 0 && is_blank(text.ptr[0])) {
    text.ptr++;
    text.len--;
  }
  while (text.len > 0 && is_blank(text.ptr[text.len - 1])) text.len--;
  return text;
}

size_t bytes_find(struct bytes text, char c) {
  const char *found = text.len > 0 ? memchr(text.ptr, c, text.len) : NULL;
  return found ? (size_t)(found - text.ptr) : text.len;
}

bool bytes_take_until(struct bytes *rest, char c, struct bytes *text) {
  size_t len = bytes_find(*rest, c);
  if (len == rest->len) return false;
  *text = bytes_of(rest->ptr, len);
  *rest = bytes_of(rest->ptr + len + 1, rest->len - len - 1);
  return true;
}

bool bytes_list_has(struct bytes list, struct bytes token) {
  while (list.len > 0) {
    size_t comma = bytes_find(list, ',');
    if (bytes_equal_nocase(bytes_trim(bytes_of(list.ptr, comma)), token)) return true;
    size_t taken = comma < list.len ? comma + 1 : comma;
    list = bytes_of(list.ptr + taken, list.len - taken);
  }
  return false;
}

bool bytes_to_u64(struct bytes text, uint64_t *value) {
  if (text.len == 0) return false;
  uint64_t sum = 0;
  for (size_t i = 0; i < text.len; i++) {
    char c = text.ptr[i];
    if (c < '0' || c > '9') return false;
    uint64_t digit = (uint64_t)(c - '0');
    if (sum > (UINT64_MAX - digit) / 10) return false;
    sum = sum * 10 + digit;
  }
  *value = sum;
  return true;
}
