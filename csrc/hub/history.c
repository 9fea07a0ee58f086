#include "hub/history.h"

#include <assert.h>

#include "base/memory.h"

enum { FIRST_CAPACITY = 4 };

void history_init(struct history *history, uint64_t evicted) { *history = (struct history){.evicted = evicted}; }

static void evict_oldest(struct history *history) {
  struct message *oldest = history->ring[history->first];
  history->evicted = oldest->position;
  history->first = (history->first + 1) & (history->capacity - 1);
  history->count--;
  message_unref(oldest);
}

void history_deinit(struct history *history) {
  while (history->count > 0) evict_oldest(history);
  memory_free(history->ring);
  history->ring = NULL;
  history->capacity = history->first = 0;
}

/* Doubles the ring; the oldest comes first in the new one. */
static bool grow(struct history *history) {
  uint32_t capacity = history->capacity > 0 ? history->capacity * 2 : FIRST_CAPACITY;
  struct message **ring = memory_alloc(capacity * sizeof *ring);
  if (!ring) return false;
  for (uint32_t i = 0; i < history->count; i++) ring[i] = history_at(history, i);
  memory_free(history->ring);
  history->ring = ring;
  history->capacity = capacity;
  history->first = 0;
  return true;
}

void history_push(struct history *history, struct message *message, uint32_t size) {
  while (history->count > 0 && history->count >= size) evict_oldest(history);
  if (size == 0 || (history->count == history->capacity && !grow(history))) {
    while (history->count > 0) evict_oldest(history);
    history->evicted = message->position;
    return;
  }
  assert(history->count == 0 || history_at(history, history->count - 1)->position < message->position);
  history->ring[(history->first + history->count) & (history->capacity - 1)] = message_ref(message);
  history->count++;
}

void history_expire(struct history *history, uint64_t before_ms) {
  while (history->count > 0 && history_at(history, 0)->time_ms < before_ms) evict_oldest(history);
}

uint32_t history_seek(const struct history *history, uint64_t position) {
  uint32_t low = 0, high = history->count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (history_at(history, middle)->position > position) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

struct message *history_at(const struct history *history, uint32_t index) {
  assert(index < history->count);
  return history->ring[(history->first + index) & (history->capacity - 1)];
}
