/* A lock, for data that threads share, and threads. */
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

struct thread {
  uv_thread_t handle;
};

/* Starts a thread that receives no signals: they are for the thread that runs the server. Returns 0
 * or a status of libuv. */
int thread_start(struct thread *thread, void (*run)(void *context), void *context);
/* Waits until the thread has ended. */
void thread_join(struct thread *thread);
/* Nobody will wait for it. */
void thread_detach(struct thread *thread);

/* What another thread has done, once. */
struct done {
  uv_sem_t semaphore;
};

static inline int done_init(struct done *done) { return uv_sem_init(&done->semaphore, 0); }
static inline void done_deinit(struct done *done) { uv_sem_destroy(&done->semaphore); }
static inline void done_tell(struct done *done) { uv_sem_post(&done->semaphore); }
static inline void done_await(struct done *done) { uv_sem_wait(&done->semaphore); }

/* Returns how many threads can run at the same time. At least 1. */
unsigned thread_cores(void);

VISIBILITY_POP

#endif
