#include "base/heap.h"

#include <assert.h>
#include <string.h>

static char *item_at(const struct heap *heap, size_t i) { return (char *)heap->items + i * heap->size; }

static void swap(const struct heap *heap, size_t i, size_t j) {
  char item[HEAP_ITEM_MAX];
  if (i == j) return;
  memcpy(item, item_at(heap, i), heap->size);
  memcpy(item_at(heap, i), item_at(heap, j), heap->size);
  memcpy(item_at(heap, j), item, heap->size);
}

/* Moves the item at `i` down until the order is restored. */
static void sift(const struct heap *heap, size_t i) {
  for (;;) {
    size_t least = i;
    for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < heap->count; child++) {
      if (heap->key(item_at(heap, child)) < heap->key(item_at(heap, least))) least = child;
    }
    if (least == i) return;
    swap(heap, i, least);
    i = least;
  }
}

void heap_build(const struct heap *heap) {
  assert(heap->size <= HEAP_ITEM_MAX);
  for (size_t i = heap->count / 2; i-- > 0;) sift(heap, i);
}

void heap_settle(const struct heap *heap) { sift(heap, 0); }

void heap_pop(struct heap *heap) {
  heap->count--;
  swap(heap, 0, heap->count);
  sift(heap, 0);
}
