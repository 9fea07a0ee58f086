#include "delivery/slots.h"

#include <assert.h>
#include <stddef.h>

#include "base/array.h"
#include "base/memory.h"
#include "base/status.h"

void slots_init(struct slots *slots, uint32_t worker, uint32_t most) {
  *slots = (struct slots){.free = SLOT_NONE, .worker = worker, .most = most};
}

void slots_deinit(struct slots *slots) {
  assert(slots->taken == 0 && "a subscriber has kept its name");
  memory_free(slots->items);
  slots_init(slots, slots->worker, slots->most);
}

static int add_free(struct slots *slots) {
  struct slot *items = array_reserve(slots->items, sizeof *items, &slots->capacity, (size_t)slots->count + 1, slots->most);
  if (!items) return MW_ENOMEM;
  slots->items = items;
  items[slots->count] = (struct slot){.generation = 1, .next_free = SLOT_NONE};
  slots->free = slots->count++;
  return 0;
}

int slots_take(struct slots *slots, struct subscriber *subscriber, uint32_t *slot) {
  if (*slot != SLOT_NONE) return 0;
  if (slots->free == SLOT_NONE && add_free(slots) < 0) return MW_ENOMEM;
  struct slot *taken = &slots->items[slots->free];
  *slot = slots->free;
  slots->free = taken->next_free;
  taken->subscriber = subscriber;
  slots->taken++;
  return 0;
}

void slots_release(struct slots *slots, uint32_t *slot) {
  if (*slot == SLOT_NONE) return;
  struct slot *released = &slots->items[*slot];
  assert(released->subscriber && "a name is released twice");
  released->subscriber = NULL;
  /* 0 is the generation of an address that was never set. */
  if (++released->generation == 0) released->generation = 1;
  released->next_free = slots->free;
  slots->free = *slot;
  slots->taken--;
  *slot = SLOT_NONE;
}

struct address slots_address(const struct slots *slots, uint32_t slot) {
  assert(slot < slots->count && slots->items[slot].subscriber);
  return (struct address){.worker = slots->worker, .slot = slot, .generation = slots->items[slot].generation};
}

struct subscriber *slots_find(const struct slots *slots, struct address address) {
  if (address.worker != slots->worker || address.slot >= slots->count) return NULL;
  const struct slot *slot = &slots->items[address.slot];
  return slot->generation == address.generation ? slot->subscriber : NULL;
}
