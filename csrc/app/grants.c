#include "app/grants.h"

#include "base/pattern.h"
#include "codec/json_scan.h"

const char grants_refusal[] = "the token does not grant this channel";

static bool pattern_grants(struct bytes text, struct bytes name) {
  struct pattern pattern;
  if (pattern_init(&pattern, text, ":/", NULL) < 0) return false;
  bool matches = pattern_match(&pattern, name, NULL);
  pattern_deinit(&pattern);
  return matches;
}

static bool list_grants(struct json_value list, struct bytes name) {
  struct bytes rest = list.raw;
  struct json_value item;
  struct buffer text;
  bool found = false;
  buffer_init(&text);
  while (!found && json_next_item(&rest, &item)) {
    if (item.type != JSON_STRING) continue;
    buffer_clear(&text);
    json_string_decode(item, &text);
    found = !text.failed && pattern_grants(buffer_bytes(&text), name);
  }
  buffer_deinit(&text);
  return found;
}

bool grants_channel(struct bytes user, struct bytes name) {
  struct json_value object, key, value;
  if (user.len == 0 || !json_scan(user, &object, NULL) || object.type != JSON_OBJECT) return false;
  struct bytes rest = object.raw;
  while (json_next_member(&rest, &key, &value)) {
    if (json_string_equal(key, BYTES("channels"))) return value.type == JSON_ARRAY && list_grants(value, name);
  }
  return false;
}
