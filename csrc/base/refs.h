/* A count of references to what several threads share. */
#ifndef MOONWIRE_BASE_REFS_H
#define MOONWIRE_BASE_REFS_H

#include <stdatomic.h>
#include <stdbool.h>

/* Relaxed, because the caller has a reference, or the lock of what has one: the count cannot become
 * 0 in the meantime, and nothing is read because of it. */
static inline void refs_add(atomic_uint *refs) { atomic_fetch_add_explicit(refs, 1, memory_order_relaxed); }

/* Returns true if this was the last reference. Release and acquire, so that everything that other
 * threads did with the object happens before it is freed. */
static inline bool refs_remove(atomic_uint *refs) { return atomic_fetch_sub_explicit(refs, 1, memory_order_acq_rel) == 1; }

#endif
