#include "codec/http/http_fields.h"

#include "codec/http/http_head.h"

static char no_store[] = "Cache-Control\0no-store";

static char event_stream[] = "Content-Type\0text/event-stream\0"
                             "Cache-Control\0no-cache, no-transform\0"
                             "X-Accel-Buffering\0no";

const struct http_fields http_fields_no_store = {.text = {.data = no_store, .len = sizeof no_store}};
const struct http_fields http_fields_event_stream = {.text = {.data = event_stream, .len = sizeof event_stream}};

void http_fields_init(struct http_fields *fields) { buffer_init(&fields->text); }

void http_fields_deinit(struct http_fields *fields) { buffer_deinit(&fields->text); }

bool http_fields_add(struct http_fields *fields, struct bytes name, struct bytes value) {
  if (!http_token_valid(name) || !http_value_valid(value)) return false;
  char *at = buffer_reserve(&fields->text, name.len + value.len + 2);
  if (!at) return true;
  memcpy(at, name.ptr, name.len);
  at[name.len] = '\0';
  if (value.len > 0) memcpy(at + name.len + 1, value.ptr, value.len);
  at[name.len + 1 + value.len] = '\0';
  fields->text.len += name.len + value.len + 2;
  return true;
}

void http_fields_add_all(struct http_fields *fields, const struct http_fields *more) {
  if (!more) return;
  buffer_append(&fields->text, buffer_bytes(&more->text));
  if (more->text.failed) fields->text.failed = true;
}

bool http_fields_next(const struct http_fields *fields, size_t *cursor, struct http_field *field) {
  if (!fields || *cursor >= fields->text.len) return false;
  const char *name = fields->text.data + *cursor, *value = name + strlen(name) + 1;
  *field = (struct http_field){.name = bytes_string(name), .value = bytes_string(value)};
  *cursor += field->name.len + field->value.len + 2;
  return true;
}

bool http_fields_have(const struct http_fields *fields, struct bytes name) {
  struct http_field field;
  for (size_t cursor = 0; http_fields_next(fields, &cursor, &field);) {
    if (bytes_equal_nocase(field.name, name)) return true;
  }
  return false;
}

bool http_field_is_reserved(struct bytes name) {
  static const struct bytes reserved[] = {{"content-length", 14},
                                          {"transfer-encoding", 17},
                                          {"connection", 10},
                                          {"keep-alive", 10},
                                          {"date", 4},
                                          {"upgrade", 7},
                                          {"trailer", 7},
                                          {"te", 2}};
  for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++) {
    if (bytes_equal_nocase(name, reserved[i])) return true;
  }
  return false;
}

struct blob *http_fields_keep(const struct http_fields *fields) {
  return fields->text.failed ? NULL : blob_new(buffer_bytes(&fields->text));
}

struct http_fields http_fields_kept(const struct blob *blob) {
  struct bytes text = blob_bytes(blob);
  return (struct http_fields){.text = {.data = (char *)(uintptr_t)text.ptr, .len = text.len}};
}
