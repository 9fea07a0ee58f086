/* Growing arrays. The owner keeps the items, their count and a capacity, and releases the items
 * with memory_free. */
#ifndef MOONWIRE_BASE_ARRAY_H
#define MOONWIRE_BASE_ARRAY_H

#include <stddef.h>
#include <stdint.h>

#include "base/visibility.h"

VISIBILITY_PUSH

/* Returns the array with room for `needed` items, moved if necessary; the capacity at least
 * doubles, as far as `most` allows, so that appending one by one costs constant time an item. NULL:
 * out of memory, or `needed` exceeds `most`; then the array and *capacity are unchanged. */
void *array_reserve(void *items, size_t item_size, uint32_t *capacity, size_t needed, size_t most);
/* Returns the items of a ring in an array of their own, the oldest first, which has room for
 * `new_capacity`, and releases the ring. NULL: out of memory; then the ring is unchanged. */
void *array_unroll(void *ring, size_t item_size, uint32_t capacity, uint32_t first, uint32_t count, uint32_t new_capacity);

VISIBILITY_POP

#endif
