/* UTF-8 as in RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef MOONWIRE_BASE_UTF8_H
#define MOONWIRE_BASE_UTF8_H

#include "base/bytes.h"

VISIBILITY_PUSH

/* Returns the length of the longest valid prefix that ends between code points, or text.len if all
 * of it is valid. */
size_t utf8_valid_prefix(struct bytes text);
static inline bool utf8_valid(struct bytes text) { return utf8_valid_prefix(text) == text.len; }
/* Reads the code point at text.ptr and returns its length in bytes (1-4), or 0 if it is not
 * valid. */
size_t utf8_decode(struct bytes text, uint32_t *code_point);
/* Writes the 1-4 bytes of a code point and returns how many. `code_point` must be a scalar
 * value. */
size_t utf8_encode(uint32_t code_point, char out[4]);

VISIBILITY_POP

#endif
