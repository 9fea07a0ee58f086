/* Which word was probably meant. */
#ifndef MOONWIRE_BASE_NEAREST_H
#define MOONWIRE_BASE_NEAREST_H

#include "base/bytes.h"

VISIBILITY_PUSH

/* Returns the one of `count` words (of at most 40 bytes each) that is nearest to `word`, or NULL if
 * none is near: letters changed, put in, left out, or swapped with their neighbor, without regard
 * to case. As options.nearest of the Lua half. */
const char *nearest_word(struct bytes word, const char *const *words, size_t count);

VISIBILITY_POP

#endif
