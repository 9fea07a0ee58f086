/* A borrowed run of bytes. Parsers return them, and writers take them. */
#ifndef MOONWIRE_BASE_BYTES_H
#define MOONWIRE_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/visibility.h"

VISIBILITY_PUSH

struct bytes {
  const char *ptr; /* not terminated; NULL only if len is 0 */
  size_t len;
};

/* Makes bytes of a string literal; its length is known at compile time. */
#define BYTES(literal) ((struct bytes){(literal), sizeof(literal) - 1})

static inline struct bytes bytes_of(const char *ptr, size_t len) { return (struct bytes){ptr, len}; }

/* Borrows a terminated string. NULL makes empty bytes. */
static inline struct bytes bytes_string(const char *string) { return (struct bytes){string, string ? strlen(string) : 0}; }

static inline bool bytes_equal(struct bytes a, struct bytes b) {
  return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool bytes_starts_with(struct bytes text, struct bytes prefix) {
  return text.len >= prefix.len && (prefix.len == 0 || memcmp(text.ptr, prefix.ptr, prefix.len) == 0);
}

/* Returns true if both are equal as ASCII regardless of case: field names, schemes, and tokens (RFC
 * 9110 section 5.1). */
bool bytes_equal_nocase(struct bytes a, struct bytes b);

/* Returns `text` without leading and trailing spaces and tabs (OWS, RFC 9110 section 5.6.3). */
struct bytes bytes_trim(struct bytes text);

/* Returns the index of the first `c`, or text.len if there is none. */
size_t bytes_find(struct bytes text, char c);

/* Takes the text up to the first `c`, and `c` itself, from *rest. Returns false if there is none. */
bool bytes_take_until(struct bytes *rest, char c, struct bytes *text);

/* Returns true if the comma-separated list has the token, regardless of case (RFC 9110 section
 * 5.6.1). */
bool bytes_list_has(struct bytes list, struct bytes token);

/* Reads all of `text` as decimal digits. Returns false if it is empty, has any other byte, or
 * exceeds UINT64_MAX. */
bool bytes_to_u64(struct bytes text, uint64_t *value);

VISIBILITY_POP

#endif
