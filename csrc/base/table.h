/* A hash table from byte strings to pointers, seeded at random so that names from outside cannot be chosen to collide.
 *
 * The table borrows its keys: an entry's key must live as long as the entry (it usually is a field of the value). */
#ifndef MOONWIRE_BASE_TABLE_H
#define MOONWIRE_BASE_TABLE_H

#include "base/bytes.h"
#include "base/random.h"

VISIBILITY_PUSH

struct table_slot {
  struct bytes key; /* key.ptr NULL: free (a key of no bytes is stored with a non-NULL ptr) */
  void *value;
  uint64_t hash;
};

struct table {
  struct table_slot *slots; /* NULL until the first insert */
  size_t capacity;          /* a power of two or 0 */
  size_t count;
  uint64_t seed[2];
};

void table_init(struct table *table);
void table_deinit(struct table *table); /* frees the slots; the values belong to their owners */
/* The value, or NULL. */
void *table_get(const struct table *table, struct bytes key);
/* Adds or replaces; `value` must not be NULL. 0, or MW_ENOMEM with the table unchanged. */
int table_set(struct table *table, struct bytes key, void *value);
/* The value that was removed, or NULL. */
void *table_remove(struct table *table, struct bytes key);
/* Walks all entries: start with *cursor 0; NULL at the end. Removing the entry just returned is allowed if it is followed
 * by starting over; any other change during a walk is not. */
void *table_next(const struct table *table, size_t *cursor);

/* SipHash-1-3 keyed by `seed`. */
uint64_t hash_bytes(const uint64_t seed[2], struct bytes bytes);

VISIBILITY_POP

#endif
