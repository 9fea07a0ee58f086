#include "base/array.h"

#include <assert.h>
#include <string.h>

#include "base/memory.h"

/* An allocation has room for so much in any case. */
enum { FIRST_BYTES = 16 };

void *array_reserve(void *items, size_t item_size, uint32_t *capacity, size_t needed, size_t most) {
  if (needed <= *capacity && items) return items;
  if (most > UINT32_MAX) most = UINT32_MAX;
  if (most > SIZE_MAX / item_size) most = SIZE_MAX / item_size;
  if (needed > most) return NULL;
  size_t grown = *capacity < most / 2 ? (size_t)*capacity * 2 : most;
  if (grown < FIRST_BYTES / item_size) grown = FIRST_BYTES / item_size;
  if (grown < needed) grown = needed;
  if (grown > most) grown = most;
  void *moved = memory_realloc(items, grown * item_size);
  if (moved) *capacity = (uint32_t)grown;
  return moved;
}

void *array_unroll(void *ring, size_t item_size, uint32_t capacity, uint32_t first, uint32_t count, uint32_t new_capacity) {
  assert(count <= new_capacity && count <= capacity);
  if (new_capacity > SIZE_MAX / item_size) return NULL;
  char *items = memory_alloc(new_capacity * item_size);
  if (!items) return NULL;
  size_t end = capacity - first, head = count < end ? count : end;
  if (head > 0) memcpy(items, (const char *)ring + first * item_size, head * item_size);
  if (count > head) memcpy(items + head * item_size, ring, (count - head) * item_size);
  memory_free(ring);
  return items;
}
