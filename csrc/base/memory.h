/* Every allocation of the core goes through here, so that a host can replace the allocator and a test can fail the Nth.
 *
 * Counted kinds of object let a test ask after each case whether everything was given back. */
#ifndef MOONWIRE_BASE_MEMORY_H
#define MOONWIRE_BASE_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include "base/visibility.h"

VISIBILITY_PUSH

/* NULL if there is no memory; a size of 0 is treated as 1. */
void *memory_alloc(size_t size);
/* As memory_alloc, zeroed; NULL as well if count * size overflows. */
void *memory_calloc(size_t count, size_t size);
/* As realloc: on failure NULL, and `ptr` stays valid. */
void *memory_realloc(void *ptr, size_t size);
/* NULL is allowed. */
void memory_free(void *ptr);
/* A copy of `len` bytes and a terminating NUL, owned by the caller. */
char *memory_copy(const char *ptr, size_t len);

/* Replaces the allocator (see mw_set_allocator); before anything was allocated. */
void memory_set_allocator(void *(*resize)(void *context, void *ptr, size_t size), void *context);

/* The `countdown`th allocation from now on fails, once; 0 turns it off. For tests. */
void memory_fail_after(uint64_t countdown);
/* Allocations not yet freed, over all threads. */
int64_t memory_live(void);

/* Live objects by kind, for leak checks and statistics. Safe from any thread. */
enum object_kind {
  OBJECT_CONN,
  OBJECT_SESSION,
  OBJECT_CLIENT,
  OBJECT_REQUEST,
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
