#include "test/support/jansson_peer.h"

#include <jansson.h>

static json_t *load(struct bytes text, json_error_t *error) {
  return json_loadb(text.len > 0 ? text.ptr : "", text.len, JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, error);
}

enum jansson_opinion jansson_check(struct bytes text) {
  json_error_t error;
  /* jansson takes a NUL at the end for the end */
  if (bytes_find(text, '\0') < text.len) return JANSSON_REFUSES;
  json_t *json = load(text, &error);
  if (!json) return json_error_code(&error) == json_error_numeric_overflow ? JANSSON_OVERFLOWS : JANSSON_REFUSES;
  json_decref(json);
  return JANSSON_ACCEPTS;
}

bool jansson_same(struct bytes a, struct bytes b) {
  json_error_t error;
  json_t *first = load(a, &error), *second = load(b, &error);
  bool same = first && second && json_equal(first, second);
  json_decref(first);
  json_decref(second);
  return same;
}
