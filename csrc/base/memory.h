/* All allocations of the core. A host can replace the allocator, and a test can make the Nth
 * allocation fail.
 *
 * Objects are counted by kind, so that a test can check that all were freed. */
#ifndef MOONWIRE_BASE_MEMORY_H
#define MOONWIRE_BASE_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include "base/visibility.h"

VISIBILITY_PUSH

/* Allocates `size` bytes (1 if it is 0). Returns NULL if out of memory. The caller owns the
 * result. */
void *memory_alloc(size_t size);
/* Allocates zeroed memory. Returns NULL if out of memory, or if count * size overflows. */
void *memory_calloc(size_t count, size_t size);
/* Resizes as realloc does. Returns NULL if out of memory; `ptr` then stays valid. */
void *memory_realloc(void *ptr, size_t size);
/* Frees memory of this module. NULL is allowed. */
void memory_free(void *ptr);
/* Returns a copy of `len` bytes with a terminating NUL, or NULL if out of memory. The caller owns
 * it. */
char *memory_copy(const char *ptr, size_t len);

/* Replaces the allocator (see mw_set_allocator). Must be called before the first allocation. */
void memory_set_allocator(void *(*resize)(void *context, void *ptr, size_t size), void *context);

/* Makes the `countdown`th allocation from now fail, once; 0 turns it off. For tests. */
void memory_fail_after(uint64_t countdown);
/* Returns the number of allocations that are not freed, in all threads. */
int64_t memory_live(void);

/* Counts live objects by kind, for leak checks and statistics. Any thread. */
enum object_kind {
  OBJECT_CONN,
  OBJECT_SESSION,
  OBJECT_CLIENT,
  OBJECT_REQUEST,
  OBJECT_MEMBERSHIP,
  OBJECT_CHANNEL,
  OBJECT_MESSAGE,
  OBJECT_BLOB,
  OBJECT_SUBSCRIPTION,
  OBJECT_KIND_COUNT
};
void object_count(enum object_kind kind, int change);
int64_t object_live(enum object_kind kind);
const char *object_name(enum object_kind kind);

VISIBILITY_POP

#endif
