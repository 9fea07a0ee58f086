#include "app/limits/tally.h"

#include <assert.h>

#include "base/memory.h"
#include "base/table.h"
#include "moonwire.h"

enum { TALLY_CAPACITY_MIN = 64 };

int tally_init(struct tally *tally) {
  *tally = (struct tally){.slots = NULL};
  random_fill(tally->seed, sizeof tally->seed);
  return lock_init(&tally->lock);
}

void tally_deinit(struct tally *tally) {
  memory_free(tally->slots);
  lock_deinit(&tally->lock);
}

uint64_t tally_key(const struct tally *tally, struct bytes who) {
  uint64_t key = hash_bytes(tally->seed, who);
  return key != 0 ? key : 1;
}

/* ---- The table, with the lock held ----------------------------------------------------------- */

/* Returns the index of the key's slot, or of the free one in its place. There is always one. */
static size_t tally_place(const struct tally *tally, uint64_t key) {
  size_t i = (size_t)key & (tally->capacity - 1);
  while (tally->slots[i].key != 0 && tally->slots[i].key != key) i = (i + 1) & (tally->capacity - 1);
  return i;
}

/* Moves everything to a table of that capacity, 0 for none. If out of memory, nothing changes. */
static int tally_resize(struct tally *tally, size_t capacity) {
  struct tally_slot *old = tally->slots, *slots = capacity > 0 ? memory_calloc(capacity, sizeof *slots) : NULL;
  size_t old_capacity = tally->capacity;
  if (!slots && capacity > 0) return MW_ENOMEM;
  tally->slots = slots;
  tally->capacity = capacity;
  for (size_t i = 0; i < old_capacity; i++) {
    if (old[i].key != 0) slots[tally_place(tally, old[i].key)] = old[i];
  }
  memory_free(old);
  return 0;
}

/* Frees a slot, and moves those after it that would not be found any more. */
static void tally_remove(struct tally *tally, size_t i) {
  size_t mask = tally->capacity - 1;
  for (size_t k = (i + 1) & mask; tally->slots[k].key != 0; k = (k + 1) & mask) {
    size_t home = (size_t)tally->slots[k].key & mask;
    if (((k - home) & mask) < ((k - i) & mask)) continue; /* it is at or after its place */
    tally->slots[i] = tally->slots[k];
    i = k;
  }
  tally->slots[i] = (struct tally_slot){0, 0};
  tally->used--;
}

static int tally_add(struct tally *tally, uint64_t key, size_t max) {
  size_t held = tally->capacity > 0 ? tally->slots[tally_place(tally, key)].count : 0;
  if (held >= max) return MW_ELIMIT;
  if (held == 0 && (tally->used + 1) * 2 > tally->capacity) {
    int status = tally_resize(tally, tally->capacity > 0 ? tally->capacity * 2 : TALLY_CAPACITY_MIN);
    if (status < 0) return status;
  }
  struct tally_slot *slot = &tally->slots[tally_place(tally, key)];
  tally->used += slot->key == 0;
  *slot = (struct tally_slot){.key = key, .count = held + 1};
  return 0;
}

/* ---- For all --------------------------------------------------------------------------------- */

int tally_take(struct tally *tally, uint64_t key, size_t max) {
  lock_take(&tally->lock);
  int status = tally_add(tally, key, max);
  lock_release(&tally->lock);
  return status;
}

void tally_release(struct tally *tally, uint64_t key) {
  lock_take(&tally->lock);
  size_t i = tally_place(tally, key);
  assert(tally->slots[i].count > 0 && "released more than was taken");
  if (--tally->slots[i].count == 0) tally_remove(tally, i);
  /* If out of memory, it stays as large as it is. */
  if (tally->used == 0) {
    tally_resize(tally, 0);
  } else if (tally->capacity > TALLY_CAPACITY_MIN && tally->used * 8 < tally->capacity) {
    tally_resize(tally, tally->capacity / 2);
  }
  lock_release(&tally->lock);
}

size_t tally_count(struct tally *tally, uint64_t key) {
  lock_take(&tally->lock);
  size_t count = tally->capacity > 0 ? tally->slots[tally_place(tally, key)].count : 0;
  lock_release(&tally->lock);
  return count;
}

size_t tally_used(struct tally *tally) {
  lock_take(&tally->lock);
  size_t used = tally->used;
  lock_release(&tally->lock);
  return used;
}
