#include "app/limits/rates.h"

#include <string.h>

#include "base/memory.h"
#include "base/table.h"

/* A sweep visits the table within that many seconds. */
enum { CAPACITY_MIN = 64, SWEEP_SECONDS = 16 };

/* The wait if there is no room for another bucket. */
#define FULL_WAIT_NS UINT64_C(1000000000)

int rates_init(struct rates *rates) {
  *rates = (struct rates){.slots = NULL};
  random_fill(rates->seed, sizeof rates->seed);
  return lock_init(&rates->lock);
}

void rates_deinit(struct rates *rates) {
  memory_free(rates->slots);
  lock_deinit(&rates->lock);
}

uint64_t rates_key(const struct rates *rates, struct bytes who, struct bytes what, uint64_t number) {
  uint64_t parts[3] = {hash_bytes(rates->seed, who), hash_bytes(rates->seed, what), number};
  uint64_t key = hash_bytes(rates->seed, bytes_of((const char *)parts, sizeof parts));
  return key != 0 ? key : 1;
}

/* ---- The table, with the lock held ----------------------------------------------------------- */

/* Returns the slot of the key, or the free one in its place. There is always a free one. */
static struct rates_slot *rates_place(const struct rates *rates, uint64_t key) {
  size_t i = (size_t)key & (rates->capacity - 1);
  while (rates->slots[i].key != 0 && rates->slots[i].key != key) i = (i + 1) & (rates->capacity - 1);
  return &rates->slots[i];
}

/* Moves the buckets that are not full to a table of that capacity, 0 for none. False: out of
 * memory, and nothing has changed. */
static bool rates_rebuild(struct rates *rates, size_t capacity, uint64_t now_ns) {
  struct rates_slot *old = rates->slots, *slots = capacity > 0 ? memory_calloc(capacity, sizeof *slots) : NULL;
  size_t old_capacity = rates->capacity;
  if (!slots && capacity > 0) return false;
  rates->slots = slots;
  rates->capacity = capacity;
  rates->used = rates->swept = rates->live = 0;
  for (size_t i = 0; i < old_capacity; i++) {
    if (old[i].key == 0 || old[i].full_ns <= now_ns) continue;
    *rates_place(rates, old[i].key) = old[i];
    rates->used++;
  }
  memory_free(old);
  return true;
}

static size_t rates_live(const struct rates *rates, size_t from, size_t to, uint64_t now_ns) {
  size_t count = 0;
  for (size_t i = from; i < to; i++) count += rates->slots[i].key != 0 && rates->slots[i].full_ns > now_ns;
  return count;
}

/* Makes room for that many more buckets. At most half of the slots are used. */
static bool rates_reserve(struct rates *rates, size_t count, uint64_t now_ns) {
  if ((rates->used + count) * 2 <= rates->capacity) return true;
  if (now_ns < rates->full_until_ns) return false;
  size_t live = rates_live(rates, 0, rates->capacity, now_ns);
  if (live + count > RATES_MAX) {
    rates->full_until_ns = now_ns + FULL_WAIT_NS; /* visiting all of them takes some milliseconds */
    return false;
  }
  size_t capacity = CAPACITY_MIN;
  /* A third is free after that, so that the next time is not soon. */
  while (capacity / 2 - capacity / 8 < live + count) capacity *= 2;
  return rates_rebuild(rates, capacity, now_ns);
}

/* Returns how many of the tokens have no slot yet. */
static size_t rates_new(const struct rates *rates, const struct rates_token *tokens, size_t count) {
  size_t found = 0;
  for (size_t i = 0; i < count; i++) {
    bool has_slot = rates->capacity > 0 && rates_place(rates, tokens[i].key)->key != 0;
    found += rate_is_limited(tokens[i].rate) && !has_slot;
  }
  return found;
}

/* ---- For all --------------------------------------------------------------------------------- */

uint64_t rates_take(struct rates *rates, const struct rates_token *tokens, size_t count, uint64_t now_ns, size_t *refused) {
  uint64_t longest_ns = 0;
  *refused = 0;
  lock_take(&rates->lock);
  for (size_t i = 0; i < count; i++) {
    uint64_t full_ns = rates->capacity > 0 ? rates_place(rates, tokens[i].key)->full_ns : 0;
    uint64_t wait_ns = rate_wait(tokens[i].rate, full_ns, now_ns);
    if (wait_ns <= longest_ns) continue;
    longest_ns = wait_ns;
    *refused = i;
  }
  if (longest_ns == 0 && !rates_reserve(rates, rates_new(rates, tokens, count), now_ns)) longest_ns = FULL_WAIT_NS;
  for (size_t i = 0; longest_ns == 0 && i < count; i++) {
    if (!rate_is_limited(tokens[i].rate)) continue;
    struct rates_slot *slot = rates_place(rates, tokens[i].key);
    rates->used += slot->key == 0;
    *slot = (struct rates_slot){.key = tokens[i].key, .full_ns = rate_taken(tokens[i].rate, slot->full_ns, now_ns)};
  }
  lock_release(&rates->lock);
  return longest_ns;
}

uint64_t rates_charge(struct rates *rates, const struct rates_token *token, uint64_t now_ns) {
  uint64_t wait_ns = 0;
  if (!rate_is_limited(token->rate)) return 0;
  lock_take(&rates->lock);
  if (rates_reserve(rates, rates_new(rates, token, 1), now_ns)) {
    struct rates_slot *slot = rates_place(rates, token->key);
    rates->used += slot->key == 0;
    *slot = (struct rates_slot){.key = token->key, .full_ns = rate_taken(token->rate, slot->full_ns, now_ns)};
    wait_ns = rate_wait(token->rate, slot->full_ns, now_ns);
  } else {
    wait_ns = FULL_WAIT_NS;
  }
  lock_release(&rates->lock);
  return wait_ns;
}

void rates_second(struct rates *rates, uint64_t now_ns) {
  lock_take(&rates->lock);
  size_t share = rates->capacity / SWEEP_SECONDS, end = rates->swept + share;
  rates->live += rates_live(rates, rates->swept, end, now_ns);
  rates->swept = end;
  if (rates->capacity > 0 && end == rates->capacity) {
    /* If out of memory, it stays as it is. */
    bool is_too_large = rates->capacity > CAPACITY_MIN && rates->live * 8 < rates->capacity;
    if (rates->live == 0 || is_too_large) {
      size_t live = rates_live(rates, 0, rates->capacity, now_ns), capacity = live > 0 ? CAPACITY_MIN : 0;
      while (capacity > 0 && capacity / 4 < live) capacity *= 2;
      if (capacity < rates->capacity) rates_rebuild(rates, capacity, now_ns);
    }
    rates->swept = rates->live = 0;
  }
  lock_release(&rates->lock);
}

size_t rates_bytes(struct rates *rates) {
  lock_take(&rates->lock);
  size_t bytes = rates->capacity * sizeof *rates->slots;
  lock_release(&rates->lock);
  return bytes;
}
