/* A lock, for data that threads share. */
#ifndef MOONWIRE_NET_THREAD_H
#define MOONWIRE_NET_THREAD_H

#include <uv.h>

#include "base/visibility.h"

VISIBILITY_PUSH

struct lock {
  uv_mutex_t mutex;
};

static inline int lock_init(struct lock *lock) { return uv_mutex_init(&lock->mutex); }
static inline void lock_deinit(struct lock *lock) { uv_mutex_destroy(&lock->mutex); }
static inline void lock_take(struct lock *lock) { uv_mutex_lock(&lock->mutex); }
static inline void lock_release(struct lock *lock) { uv_mutex_unlock(&lock->mutex); }

VISIBILITY_POP

#endif
