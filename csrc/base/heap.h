/* A binary heap in an array of the caller. The first item, the top, has the lowest key. */
#ifndef MOONWIRE_BASE_HEAP_H
#define MOONWIRE_BASE_HEAP_H

#include <stddef.h>
#include <stdint.h>

#include "base/visibility.h"

VISIBILITY_PUSH

/* An item has at most HEAP_ITEM_MAX bytes. */
enum { HEAP_ITEM_MAX = 64 };

struct heap {
  void *items;
  size_t size, count; /* bytes of one item; number of items */
  uint64_t (*key)(const void *item);
};

/* Makes a heap of items in any order. */
void heap_build(const struct heap *heap);
/* Restores the order after the key of the top has grown. */
void heap_settle(const struct heap *heap);
/* Removes the top from the heap, and moves it to the place after the last item. */
void heap_pop(struct heap *heap);

VISIBILITY_POP

#endif
