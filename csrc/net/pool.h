/* Threads of a pool's own, for code that blocks: jobs wait in a queue for a thread. One that does not
 * return in time is given up together with its thread, which is replaced. */
#ifndef MOONWIRE_NET_POOL_H
#define MOONWIRE_NET_POOL_H

#include "net/loop.h"

VISIBILITY_PUSH

struct mw_job;
struct mw_pool_options;

struct pool {
  struct list link; /* for the owner */
  struct loop *loop;
  struct crew *crew; /* what the threads share */
  struct list jobs;  /* whose on_done has not been called */
  uint64_t wait_ms;  /* for threads, at the end */
  uv_async_t wake;   /* a job is done */
};

/* See mw_pool_new. Returns 0, MW_EINVAL, MW_ENOMEM, or a status of libuv. */
int pool_new(struct pool **pool, struct loop *loop, const struct mw_pool_options *options, uint64_t wait_ms);
/* See mw_pool_run. */
int pool_run(struct pool *pool, const struct mw_job *job);
void pool_cancel(struct pool *pool, const void *context);
/* Calls on_done of all jobs with MW_ECLOSED. Then waits until the threads have ended, for `wait_ms`
 * at most; what still runs after that is left behind (pool_threads_left). Not within on_done. NULL is
 * allowed. */
void pool_free(struct pool *pool);
/* Returns whether threads still run whose pool has ended. Any thread. */
bool pool_threads_left(void);

VISIBILITY_POP

#endif
