#define _XOPEN_SOURCE 700 /* pthread_sigmask */

#include "net/thread.h"

#include <pthread.h>
#include <signal.h>

int thread_start(struct thread *thread, void (*run)(void *context), void *context) {
  sigset_t all, before;
  /* The thread inherits the mask of the one that starts it. */
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int status = uv_thread_create(&thread->handle, run, context);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return status;
}

void thread_join(struct thread *thread) { uv_thread_join(&thread->handle); }

void thread_detach(struct thread *thread) { pthread_detach(thread->handle); }

unsigned thread_cores(void) {
  uv_cpu_info_t *cores = NULL;
  int count = 0;
  /* It counts those of the machine; the process may be allowed fewer. */
#if UV_VERSION_HEX >= ((1 << 16) | (44 << 8))
  count = (int)uv_available_parallelism();
  (void)cores;
#else
  if (uv_cpu_info(&cores, &count) == 0) uv_free_cpu_info(cores, count);
#endif
  return count > 0 ? (unsigned)count : 1;
}
