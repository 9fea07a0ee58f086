/* A binary heap in an array of the caller: the item with the lowest key is at the top, which is the first. */
#ifndef MOONWIRE_BASE_HEAP_H
#define MOONWIRE_BASE_HEAP_H

#include <stddef.h>
#include <stdint.h>

#include "base/visibility.h"

VISIBILITY_PUSH

/* Items of up to HEAP_ITEM_MAX bytes. */
enum { HEAP_ITEM_MAX = 64 };

struct heap {
  void *items;
  size_t size, count; /* bytes of one item; how many there are */
  uint64_t (*key)(const void *item);
};

/* Makes a heap of items in any order. */
void heap_build(const struct heap *heap);
/* Restores the order after the key of the top has grown. */
void heap_settle(const struct heap *heap);
/* Takes the top out, and moves it to the place after the last item. */
void heap_pop(struct heap *heap);

VISIBILITY_POP

#endif
