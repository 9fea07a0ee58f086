#define _XOPEN_SOURCE 700 /* PTHREAD_MUTEX_RECURSIVE */

#include "base/optional_lock.h"

#include <assert.h>

void optional_lock_init(struct optional_lock *lock, bool is_shared) {
  pthread_mutexattr_t attributes;
  lock->is_shared = is_shared;
  if (!is_shared) return;
  /* These fail only if the arguments are wrong, or, on some systems, if a process has very many. */
  int status = pthread_mutexattr_init(&attributes);
  if (status == 0) status = pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
  if (status == 0) status = pthread_mutex_init(&lock->mutex, &attributes);
  assert(status == 0);
  (void)status;
  pthread_mutexattr_destroy(&attributes);
}

void optional_lock_deinit(struct optional_lock *lock) {
  if (lock->is_shared) pthread_mutex_destroy(&lock->mutex);
}
