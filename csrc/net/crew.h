/* The threads of a pool, and what they share with the loop's thread. It lives until the last of them
 * has ended, which may be after the pool has. */
#ifndef MOONWIRE_NET_CREW_H
#define MOONWIRE_NET_CREW_H

#include <uv.h>

#include "base/list.h"
#include "base/status.h"
#include "net/thread.h"

VISIBILITY_PUSH

/* JOB_LOST: given up while it ran. */
enum job_state { JOB_QUEUED, JOB_RUNNING, JOB_DONE, JOB_LOST };

struct job {
  struct list link; /* in `queued` or `done`; under the lock */
  enum job_state state;
  bool is_let_go; /* a lost one: its thread, or the pool, needs it no more; under the lock */
  struct mw_job given;
  /* of the loop's thread */
  struct list in_pool;
  struct pool *pool;
  struct alarm *deadline;
};

struct crew {
  struct lock lock;
  uv_cond_t changed; /* a job was queued, or it was closed */
  uv_cond_t ended;   /* a thread has ended */
  struct mw_pool_options options;
  struct list queued, done;
  size_t queued_count;
  size_t idle_count;    /* threads that wait for a job */
  size_t live_count;    /* threads that take jobs */
  size_t running_count; /* of those, the ones that run one */
  size_t lost_count;    /* threads whose job was given up */
  struct list threads, ended_threads;
  size_t thread_count; /* that have not ended */
  uv_async_t *wake;    /* of the pool */
  bool closed;
  bool is_left; /* the pool has ended, and threads have not */
};

/* Returns 0 or a status. */
int crew_new(struct crew **crew, const struct mw_pool_options *options, uv_async_t *wake);
/* Appends a job. Returns 0; MW_EUNAVAILABLE: the queue is full, or too many threads are lost; or a
 * status of libuv, if there is no thread and none can be started. */
int crew_add(struct crew *crew, struct job *job);
/* Takes a job from the queue. Returns false if it is no longer there. */
bool crew_remove(struct crew *crew, struct job *job);
/* Gives a job up. Returns its state until then: JOB_QUEUED, and it was removed; JOB_RUNNING, and
 * crew_let_go must follow; JOB_DONE, and nothing has changed. */
enum job_state crew_give_up(struct crew *crew, struct job *job);
/* The pool needs a job that it gave up no more. Frees it, now or when its thread has returned. */
void crew_let_go(struct crew *crew, struct job *job);
/* Takes a job that is done, or returns NULL. */
struct job *crew_take_done(struct crew *crew);
/* The threads end, once they have returned from their jobs. */
void crew_close(struct crew *crew);
/* Waits for the end of all threads, and frees the crew if it came in time; otherwise the last thread
 * frees it. Call it last. */
void crew_leave(struct crew *crew, uint64_t wait_ms);
/* Frees a job that is in no list. Any thread. */
void job_free(struct job *job);
/* As pool_threads_left. */
bool crew_threads_left(void);

VISIBILITY_POP

#endif
