/* The names of a worker's subscribers. Others hold the address of a subscriber instead of a pointer; it finds the subscriber until the name is
 * released, and nothing afterwards. Used by the worker's thread alone. */
#ifndef MOONWIRE_DELIVERY_SLOTS_H
#define MOONWIRE_DELIVERY_SLOTS_H

#include "base/address.h"
#include "base/visibility.h"

VISIBILITY_PUSH

struct subscriber;

enum { SLOT_NONE = UINT32_MAX, SLOTS_MAX = 1 << 26 };

struct slot {
  struct subscriber *subscriber; /* NULL: the slot is free */
  uint32_t generation;           /* of the next address that is given out, or of the one that is; never 0 */
  uint32_t next_free;
};

struct slots {
  struct slot *items;
  uint32_t count, capacity, most;
  uint32_t taken;
  uint32_t free; /* the first of those that were released; SLOT_NONE: there is none */
  uint32_t worker;
};

/* `most`: how many subscribers can have a name at the same time. */
void slots_init(struct slots *slots, uint32_t worker, uint32_t most);
/* All names must have been released. */
void slots_deinit(struct slots *slots);
/* Gives the subscriber a name, unless *slot is one already. MW_ENOMEM, also if all names are taken: then *slot is unchanged. */
int slots_take(struct slots *slots, struct subscriber *subscriber, uint32_t *slot);
/* Takes the name away, if *slot is one, and sets *slot to SLOT_NONE. */
void slots_release(struct slots *slots, uint32_t *slot);
/* Returns the address of a name that is taken. */
struct address slots_address(const struct slots *slots, uint32_t slot);
/* Returns the subscriber, or NULL if its name was released, or was never given out. */
struct subscriber *slots_find(const struct slots *slots, struct address address);

VISIBILITY_POP

#endif
