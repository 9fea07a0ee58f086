/* A lock that is taken only if several threads share what it guards. A thread that holds it may take
 * it again. */
#ifndef MOONWIRE_BASE_OPTIONAL_LOCK_H
#define MOONWIRE_BASE_OPTIONAL_LOCK_H

#include <pthread.h>
#include <stdbool.h>

#include "base/visibility.h"

VISIBILITY_PUSH

struct optional_lock {
  bool is_shared; /* false: taking it does nothing */
  pthread_mutex_t mutex;
};

void optional_lock_init(struct optional_lock *lock, bool is_shared);
void optional_lock_deinit(struct optional_lock *lock);

static inline void optional_lock_take(struct optional_lock *lock) {
  if (lock->is_shared) pthread_mutex_lock(&lock->mutex);
}
static inline void optional_lock_release(struct optional_lock *lock) {
  if (lock->is_shared) pthread_mutex_unlock(&lock->mutex);
}

VISIBILITY_POP

#endif
