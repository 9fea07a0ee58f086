/* Validates JSON (RFC 8259) and finds its members without building a tree.
 *
 * Strict: grammar, UTF-8, no lone surrogate escapes, no NUL escape in names, bounded depth. What it accepts can be passed on as
 * bytes: it can be embedded in another JSON text as it is. */
#ifndef MOONWIRE_CODEC_JSON_SCAN_H
#define MOONWIRE_CODEC_JSON_SCAN_H

#include "base/buffer.h"

VISIBILITY_PUSH

enum json_type { JSON_NONE, JSON_NULL, JSON_TRUE, JSON_FALSE, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

enum { JSON_DEPTH_MAX = 64 };

struct json_value {
  enum json_type type;
  struct bytes raw; /* the value's own text, without surrounding white space; strings with their quotes */
};

/* What was wrong and where, for messages: "invalid escape at byte 17". */
struct json_fault {
  size_t offset;
  const char *reason; /* a constant */
};

/* Validates all of `text` as one value. True, or false with *fault (NULL allowed). */
bool json_scan(struct bytes text, struct json_value *value, struct json_fault *fault);

/* Walks the members of an object, or the items of an array, that json_scan accepted: start with *rest = value.raw.
 * The name is raw as well (with quotes; compare by json_string_equal). False at the end. */
bool json_next_member(struct bytes *rest, struct json_value *name, struct json_value *value);
bool json_next_item(struct bytes *rest, struct json_value *value);

/* Decodes a scanned string's escapes; appends to `out`. */
void json_string_decode(struct json_value string, struct buffer *out);
/* True if the scanned string, decoded, equals `text`. */
bool json_string_equal(struct json_value string, struct bytes text);

/* Appends `text` as a JSON string with quotes. `text` must be UTF-8. Control characters, quote and backslash are escaped, as
 * are U+2028 and U+2029. */
void json_write_string(struct buffer *out, struct bytes text);

/* Appends a value that json_scan accepted without insignificant white space (so it has no line feed). */
void json_write_compact(struct buffer *out, struct bytes text);

VISIBILITY_POP

#endif
