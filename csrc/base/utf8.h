/* UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef MOONWIRE_BASE_UTF8_H
#define MOONWIRE_BASE_UTF8_H

#include "base/bytes.h"

VISIBILITY_PUSH

/* The length of the longest valid prefix that ends between code points: text.len if all of it is valid. */
size_t utf8_valid_prefix(struct bytes text);
static inline bool utf8_valid(struct bytes text) { return utf8_valid_prefix(text) == text.len; }
/* The code point that starts at text.ptr and its length in bytes (1-4), or 0 if there is no valid one. */
size_t utf8_decode(struct bytes text, uint32_t *code_point);
/* Writes a code point's 1-4 bytes to `out` and returns how many. `code_point` must be a scalar value. */
size_t utf8_encode(uint32_t code_point, char out[4]);

VISIBILITY_POP

#endif
