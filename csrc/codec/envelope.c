#include "codec/envelope.h"

#include <stdio.h>

#include "base/nearest.h"
#include "base/utf8.h"

enum { EVENT_NAME_MAX = 64 };

/* ---- Publish --------------------------------------------------------------------------------- */

enum { NAME_SHOWN_MAX = 40 };

/* Returns false if a publish has no such member. */
static bool note_member(struct envelope_publish *publish, struct json_value name, struct json_value value) {
  const struct {
    struct bytes name;
    struct json_value *value;
  } members[] = {
      {BYTES("channel"), &publish->channel}, {BYTES("event"), &publish->event},
      {BYTES("data"), &publish->data},       {BYTES("base64"), &publish->base64},
      {BYTES("key"), &publish->key},         {BYTES("volatile"), &publish->is_volatile},
      {BYTES("final"), &publish->is_final},  {BYTES("idempotency_key"), &publish->idempotency_key},
  };
  for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
    if (!json_string_equal(name, members[i].name)) continue;
    *members[i].value = value;
    return true;
  }
  return false;
}

/* Names it as it was sent, escapes included. */
static void write_unknown(struct json_value name, char fault[ENVELOPE_FAULT_MAX]) {
  static const char *const names[] = {"channel", "event", "data", "base64", "key", "volatile", "final", "idempotency_key"};
  struct bytes word = bytes_of(name.raw.ptr + 1, name.raw.len - 2), shown = word;
  const char *meant = nearest_word(word, names, sizeof(names) / sizeof(names[0]));
  if (shown.len > NAME_SHOWN_MAX) shown.len = NAME_SHOWN_MAX;
  shown.len = utf8_valid_prefix(shown);
  int len = snprintf(fault, ENVELOPE_FAULT_MAX, "unknown member \"%.*s%s\"", (int)shown.len, shown.ptr,
                     shown.len < word.len ? "\xe2\x80\xa6" : "");
  if (meant) (void)snprintf(fault + len, ENVELOPE_FAULT_MAX - (size_t)len, " (did you mean \"%s\"?)", meant);
}

static bool is_string_or_none(struct json_value value) { return value.type == JSON_STRING || value.type == JSON_NONE; }

static bool is_bool_or_none(struct json_value value) {
  return value.type == JSON_TRUE || value.type == JSON_FALSE || value.type == JSON_NONE;
}

static const char *find_fault(const struct envelope_publish *publish) {
  if (publish->channel.type == JSON_NONE) return "channel is missing";
  if (publish->channel.type != JSON_STRING) return "channel must be a string";
  if (!is_string_or_none(publish->event)) return "event must be a string";
  if (!is_string_or_none(publish->base64)) return "base64 must be a string";
  if (publish->base64.type != JSON_NONE && publish->data.type != JSON_NONE) return "data and base64 cannot be combined";
  if (!is_string_or_none(publish->key)) return "key must be a string";
  if (!is_bool_or_none(publish->is_volatile)) return "volatile must be true or false";
  if (!is_bool_or_none(publish->is_final)) return "final must be true or false";
  if (!is_string_or_none(publish->idempotency_key)) return "idempotency_key must be a string";
  return NULL;
}

bool envelope_read_publish(struct json_value object, struct envelope_publish *publish, char fault[ENVELOPE_FAULT_MAX]) {
  *publish = (struct envelope_publish){0};
  struct bytes rest = object.raw;
  struct json_value name, value;
  const char *reason = object.type == JSON_OBJECT ? NULL : "a publish must be a JSON object";
  while (!reason && json_next_member(&rest, &name, &value)) {
    if (note_member(publish, name, value)) continue;
    write_unknown(name, fault);
    return false;
  }
  if (!reason) reason = find_fault(publish);
  if (reason) (void)snprintf(fault, ENVELOPE_FAULT_MAX, "%s", reason);
  return !reason;
}

/* ---- Push ------------------------------------------------------------------------------------ */

static void envelope_write_member(struct buffer *out, char *before, const char *name, struct bytes text) {
  if (!text.ptr) return;
  buffer_append_char(out, *before);
  buffer_append_string(out, name);
  json_write_string(out, text);
  *before = ',';
}

void envelope_write_push(struct buffer *out, const struct envelope_push *push) {
  char before = '{';
  envelope_write_member(out, &before, "\"channel\":", push->channel);
  envelope_write_member(out, &before, "\"event\":", push->event);
  envelope_write_member(out, &before, "\"id\":", push->id);
  envelope_write_member(out, &before, "\"from\":", push->from);
  envelope_write_member(out, &before, "\"base64\":", push->base64);
  if (push->data.ptr) {
    buffer_append_char(out, before);
    buffer_append(out, BYTES("\"data\":"));
    buffer_append(out, push->data);
    before = ',';
  }
  buffer_append(out, before == '{' ? BYTES("{}") : BYTES("}"));
}

/* ---- Names ----------------------------------------------------------------------------------- */

const char *channel_name_fault(struct bytes name) {
  if (name.len == 0) return "the channel name is empty";
  if (name.len > CHANNEL_NAME_MAX) return "the channel name is longer than 255 bytes";
  while (name.len > 0) {
    uint32_t c;
    size_t len = utf8_decode(name, &c);
    if (len == 0) return "the channel name is not UTF-8";
    if (c < 0x20 || (c >= 0x7f && c < 0xa0)) return "the channel name has a control character";
    name = bytes_of(name.ptr + len, name.len - len);
  }
  return NULL;
}

static bool is_event_char(char c) {
  if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) return true;
  return c == '_' || c == '.' || c == ':' || c == '-';
}

const char *event_name_fault(struct bytes name) {
  if (name.len == 0) return "the event name is empty";
  if (name.len > EVENT_NAME_MAX) return "the event name is longer than 64 bytes";
  for (size_t i = 0; i < name.len; i++) {
    if (!is_event_char(name.ptr[i])) return "the event name has a character other than A-Z a-z 0-9 _ . : -";
  }
  if (bytes_equal(name, BYTES("open")) || bytes_equal(name, BYTES("error")))
    return "the event names open and error are reserved for EventSource";
  if (bytes_starts_with(name, BYTES("moonwire:"))) return "event names that begin with moonwire: are reserved";
  return NULL;
}
