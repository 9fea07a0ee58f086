/* Validates JSON (RFC 8259) and finds its members without building a tree.
 *
 * It is strict: grammar, UTF-8, no lone surrogates in escapes, no NUL in names, and limited depth.
 * Text that it accepts can be embedded in other JSON unchanged. */
#ifndef MOONWIRE_CODEC_JSON_SCAN_H
#define MOONWIRE_CODEC_JSON_SCAN_H

#include "base/buffer.h"

VISIBILITY_PUSH

enum json_type { JSON_NONE, JSON_NULL, JSON_TRUE, JSON_FALSE, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

enum { JSON_DEPTH_MAX = 64 };

struct json_value {
  enum json_type type;
  /* the value as text, without surrounding white space; strings have their quotes */
  struct bytes raw;
};

/* The fault and its place, for messages such as "invalid escape at byte 17". */
struct json_fault {
  size_t offset;
  const char *reason; /* a constant */
};

/* White space of JSON. */
static inline bool json_is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

/* Validates all of `text` as one value. Returns true, or false and sets *fault (may be NULL). */
bool json_scan(struct bytes text, struct json_value *value, struct json_fault *fault);

/* Walks the members of an object, or the items of an array, that json_scan accepted: start with
 * *rest = value.raw; returns false at the end. The name is raw as well, with quotes; compare it
 * with json_string_equal. */
bool json_next_member(struct bytes *rest, struct json_value *name, struct json_value *value);
bool json_next_item(struct bytes *rest, struct json_value *value);

/* Decodes a scanned string and appends it to `out`. */
void json_string_decode(struct json_value string, struct buffer *out);
/* Returns true if the scanned string, decoded, equals `text`. */
bool json_string_equal(struct json_value string, struct bytes text);

/* Appends `text`, which must be UTF-8, as a JSON string with quotes. Escapes control characters,
 * quotes, backslashes, U+2028, and U+2029. */
void json_write_string(struct buffer *out, struct bytes text);

/* Appends a value that json_scan accepted without insignificant white space, and so without a
 * newline. */
void json_write_compact(struct buffer *out, struct bytes text);

VISIBILITY_POP

#endif
