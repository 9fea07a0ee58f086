/* A hash table from byte strings to pointers. The seed is random, so that names from outside cannot
 * be chosen to collide.
 *
 * The table borrows its keys: a key must live as long as its entry. Usually it is a member of the
 * value. */
#ifndef MOONWIRE_BASE_TABLE_H
#define MOONWIRE_BASE_TABLE_H

#include "base/bytes.h"
#include "base/random.h"

VISIBILITY_PUSH

struct table_slot {
  struct bytes key; /* key.ptr is NULL if the slot is free; an empty key is stored with a ptr */
  void *value;
  uint64_t hash;
};

struct table {
  struct table_slot *slots; /* NULL before the first table_set */
  size_t capacity;          /* a power of two, or 0 */
  size_t count;
  uint64_t seed[2];
};

void table_init(struct table *table);
void table_deinit(struct table *table); /* Frees the slots. The values belong to their owners. */
/* Returns the value, or NULL if the key is not in the table. */
void *table_get(const struct table *table, struct bytes key);
/* Adds or replaces an entry; `value` must not be NULL. Returns 0, or MW_ENOMEM with the table
 * unchanged. */
int table_set(struct table *table, struct bytes key, void *value);
/* Removes an entry and returns its value, or NULL if the key is not in the table. */
void *table_remove(struct table *table, struct bytes key);
/* Walks all entries, in any order: start with *cursor 0; returns NULL at the end. Do not change the
 * table during a walk. To remove the entry that was just returned, start the walk again after
 * it. */
void *table_next(const struct table *table, size_t *cursor);

/* Returns the SipHash-1-3 of `bytes`, keyed by `seed`. */
uint64_t hash_bytes(const uint64_t seed[2], struct bytes bytes);

VISIBILITY_POP

#endif
