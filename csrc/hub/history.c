#include "hub/history.h"

#include <assert.h>

#include "base/array.h"
#include "base/memory.h"
#include "base/status.h"

enum { FIRST_CAPACITY = 4 };

void history_init(struct history *history, uint64_t evicted, atomic_size_t *account) {
  *history = (struct history){.evicted = evicted, .gone = evicted, .account = account};
}

static struct history_entry *entry_at(const struct history *history, uint32_t index) {
  assert(index < history->count);
  return &history->ring[(history->first + index) & (history->capacity - 1)];
}

struct message *history_at(const struct history *history, uint32_t index) {
  return entry_at(history, index)->message;
}

void history_evict(struct history *history) {
  struct message *oldest = history_at(history, 0);
  history->evicted = oldest->position;
  history->first = (history->first + 1) & (history->capacity - 1);
  history->count--;
  if (oldest->account == history->account) message_account(oldest, NULL);
  message_unref(oldest);
}

void history_deinit(struct history *history) {
  while (history->count > 0) history_evict(history);
  memory_free(history->ring);
  history->ring = NULL;
  history->capacity = history->first = 0;
}

void history_miss(struct history *history, uint64_t position) {
  while (history->count > 0) history_evict(history);
  history->evicted = position;
}

void history_pass(struct history *history, uint64_t position) {
  history_miss(history, position);
  history->gone = position;
}

/* Evicts the oldest message, which nothing else keeps either. */
static void retire(struct history *history) {
  history_evict(history);
  history->gone = history->evicted;
}

void history_lose(struct history *history, uint64_t position) {
  while (history->count > 0 && history_at(history, 0)->position <= position) history_evict(history);
  if (position > history->evicted) history->evicted = position;
  if (position > history->gone) history->gone = position;
}

/* Grows the ring and moves the oldest message to its start. */
static bool history_grow(struct history *history, uint32_t capacity) {
  struct history_entry *ring =
      array_unroll(history->ring, sizeof *ring, history->capacity, history->first, history->count, capacity);
  if (!ring) return false;
  history->ring = ring;
  history->capacity = capacity;
  history->first = 0;
  return true;
}

int history_reserve(struct history *history, uint32_t count, const struct history_bounds *bounds) {
  uint64_t needed = (uint64_t)history->count + count, capacity = history->capacity;
  if (needed > bounds->size) needed = bounds->size;
  if (capacity == 0 && needed > 0) capacity = FIRST_CAPACITY;
  while (capacity < needed) capacity *= 2;
  return capacity == history->capacity || history_grow(history, (uint32_t)capacity) ? 0 : MW_ENOMEM;
}

static uint64_t weight_of(struct message *message) { return message_weight(message) + sizeof(struct history_entry); }
static uint64_t room_of(const struct history_bounds *bounds) { return bounds->bytes == 0 ? UINT64_MAX : bounds->bytes; }

void history_push(struct history *history, struct message *message, const struct history_bounds *bounds) {
  uint64_t weight = weight_of(message), room = room_of(bounds);
  assert(history->count == 0 || history_at(history, history->count - 1)->position < message->position);
  while (history->count > 0 && (history->count >= bounds->size || history_weight(history, 0) + weight > room)) retire(history);
  if (bounds->size == 0 || weight > room) {
    history_pass(history, message->position);
    return;
  }
  if (history_reserve(history, 1, bounds) < 0) {
    history_miss(history, message->position);
    return;
  }
  history->count++;
  *entry_at(history, history->count - 1) = (struct history_entry){message_ref(message), history->weight};
  history->weight += weight;
  if (history->account) message_account(message, history->account);
}

int history_prepend(struct history *history, struct message *message, const struct history_bounds *bounds) {
  uint64_t weight = weight_of(message), room = room_of(bounds);
  if (history->count >= bounds->size || weight > room || history_weight(history, 0) > room - weight) return MW_ELIMIT;
  if (history_reserve(history, 1, bounds) < 0) return MW_ENOMEM;
  uint64_t after = history->count > 0 ? entry_at(history, 0)->before : history->weight;
  assert(history->count == 0 || history_at(history, 0)->position > message->position);
  history->first = (history->first - 1) & (history->capacity - 1);
  history->count++;
  *entry_at(history, 0) = (struct history_entry){message_ref(message), after - weight};
  if (history->account) message_account(message, history->account);
  return 0;
}

void history_expire(struct history *history, uint64_t before_ms) {
  while (history->count > 0 && history_at(history, 0)->time_ms < before_ms) retire(history);
}

uint64_t history_newest(const struct history *history) {
  return history->count > 0 ? history_at(history, history->count - 1)->position : history->evicted;
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

uint64_t history_weight(const struct history *history, uint32_t index) {
  return index < history->count ? history->weight - entry_at(history, index)->before : 0;
}

uint32_t history_tail(const struct history *history, uint32_t count, uint64_t bytes) {
  uint32_t low = history->count > count ? history->count - count : 0, high = history->count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (history_weight(history, middle) <= bytes) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low == history->count && count > 0 && low > 0 ? low - 1 : low;
}
