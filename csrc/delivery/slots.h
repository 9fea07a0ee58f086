/* The names of a worker's subscribers. Others hold the address of a subscriber instead of a
 * pointer. It finds the subscriber until the name is released, and nothing after that. Only for the
 * worker's thread. */
#ifndef MOONWIRE_DELIVERY_SLOTS_H
#define MOONWIRE_DELIVERY_SLOTS_H

#include "base/address.h"
#include "base/visibility.h"

VISIBILITY_PUSH

struct subscriber;

enum { SLOT_NONE = UINT32_MAX, SLOTS_MAX = 1 << 26 };

struct slot {
  struct subscriber *subscriber; /* NULL if the slot is free */
  uint32_t generation;           /* of the current address, or of the next one; never 0 */
  uint32_t next_free;
};

struct slots {
  struct slot *items;
  uint32_t count, capacity, most;
  uint32_t taken;
  uint32_t free; /* the first released slot; SLOT_NONE if there is none */
  uint32_t worker;
};

/* Initializes slots for at most `most` subscribers. */
void slots_init(struct slots *slots, uint32_t worker, uint32_t most);
/* Frees the slots. All names must have been released. */
void slots_deinit(struct slots *slots);
/* Gives the subscriber a name, unless *slot has one. Returns 0, or MW_ENOMEM if out of memory or if
 * all names are taken: *slot is then unchanged. */
int slots_take(struct slots *slots, struct subscriber *subscriber, uint32_t *slot);
/* Releases the name, if *slot has one, and sets *slot to SLOT_NONE. */
void slots_release(struct slots *slots, uint32_t *slot);
/* Returns the address of a name that is in use. */
struct address slots_address(const struct slots *slots, uint32_t slot);
/* Returns the subscriber, or NULL if its name was released, or was never given. */
struct subscriber *slots_find(const struct slots *slots, struct address address);

VISIBILITY_POP

#endif
