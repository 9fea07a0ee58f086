#define _GNU_SOURCE /* dladdr, RTLD_NODELETE */

#include "net/crew.h"

#include <dlfcn.h>
#include <stdatomic.h>

#include "base/memory.h"

enum { NS_PER_MS = 1000000 };

struct crew_thread {
  struct list link;
  struct thread thread;
  struct crew *crew;
};

static atomic_size_t left_count;

bool crew_threads_left(void) { return atomic_load(&left_count) > 0; }

void job_free(struct job *job) {
  if (job->given.release) job->given.release(job->given.context);
  memory_free(job);
}

void crew_let_go(struct crew *crew, struct job *job) {
  lock_take(&crew->lock);
  bool is_last = job->is_let_go;
  job->is_let_go = true;
  lock_release(&crew->lock);
  if (is_last) job_free(job);
}

static void crew_free(struct crew *crew) {
  if (crew->options.release) crew->options.release(crew->options.context);
  uv_cond_destroy(&crew->changed);
  uv_cond_destroy(&crew->ended);
  lock_deinit(&crew->lock);
  memory_free(crew);
}

int crew_new(struct crew **out, const struct mw_pool_options *options, uv_async_t *wake) {
  struct crew *crew = memory_calloc(1, sizeof *crew);
  if (!crew) return MW_ENOMEM;
  crew->options = *options;
  crew->wake = wake;
  list_init(&crew->queued);
  list_init(&crew->done);
  list_init(&crew->threads);
  list_init(&crew->ended_threads);
  int status = lock_init(&crew->lock);
  if (status < 0) goto fail_lock;
  status = uv_cond_init(&crew->changed);
  if (status < 0) goto fail_changed;
  status = uv_cond_init(&crew->ended);
  if (status < 0) goto fail_ended;
  *out = crew;
  return 0;

fail_ended:
  uv_cond_destroy(&crew->changed);
fail_changed:
  lock_deinit(&crew->lock);
fail_lock:
  memory_free(crew);
  return status;
}

/* ---- The threads ----------------------------------------------------------------------------- */

/* Call with the lock held. */
static void crew_unqueue(struct crew *crew, struct job *job) {
  list_remove(&job->link);
  crew->queued_count--;
}

/* Returns the next job, or NULL if the thread is to end. Call with the lock held. */
static struct job *crew_await_job(struct crew *crew) {
  while (!crew->closed && list_empty(&crew->queued)) {
    crew->idle_count++;
    uv_cond_wait(&crew->changed, &crew->lock.mutex);
    crew->idle_count--;
  }
  if (crew->closed) return NULL;
  struct job *job = container_of(crew->queued.next, struct job, link);
  crew_unqueue(crew, job);
  job->state = JOB_RUNNING;
  crew->running_count++;
  return job;
}

/* Returns whether the thread goes on. Call with the lock held. */
static bool crew_end_job(struct crew *crew, struct job *job) {
  if (job->state != JOB_LOST) {
    crew->running_count--;
    job->state = JOB_DONE;
    list_append(&crew->done, &job->link);
    if (crew->wake) uv_async_send(crew->wake);
    return true;
  }
  crew->lost_count--;
  bool is_needed = crew->live_count < crew->options.threads;
  if (is_needed) crew->live_count++;
  lock_release(&crew->lock);
  crew_let_go(crew, job);
  lock_take(&crew->lock);
  return is_needed;
}

static void crew_thread_end(struct crew_thread *self, bool is_live) {
  struct crew *crew = self->crew;
  lock_take(&crew->lock);
  if (is_live) crew->live_count--;
  bool is_left = crew->is_left, is_last = --crew->thread_count == 0;
  list_remove(&self->link);
  if (!is_left) {
    list_append(&crew->ended_threads, &self->link);
    uv_cond_signal(&crew->ended);
  }
  lock_release(&crew->lock);
  if (!is_left) return; /* the crew may be freed by now */
  memory_free(self);
  if (is_last) crew_free(crew);
  atomic_fetch_sub(&left_count, 1);
}

static void crew_thread_run(void *context) {
  struct crew_thread *self = context;
  struct crew *crew = self->crew;
  const struct mw_pool_options *options = &crew->options;
  void *state = options->open ? options->open(options->context) : NULL;
  bool is_live = true;
  lock_take(&crew->lock);
  while (is_live) {
    struct job *job = crew_await_job(crew);
    if (!job) break;
    lock_release(&crew->lock);
    job->given.run(job->given.context, state);
    lock_take(&crew->lock);
    is_live = crew_end_job(crew, job);
  }
  lock_release(&crew->lock);
  if (options->close) options->close(state);
  crew_thread_end(self, is_live);
}

/* Waits for threads that have ended. Call with the lock held. */
static void crew_join_ended(struct crew *crew) {
  while (!list_empty(&crew->ended_threads)) {
    struct crew_thread *thread = container_of(crew->ended_threads.next, struct crew_thread, link);
    list_remove(&thread->link);
    lock_release(&crew->lock);
    thread_join(&thread->thread);
    memory_free(thread);
    lock_take(&crew->lock);
  }
}

/* Starts a thread if a job waits and none is idle. At most as many are lost as there may be. Call
 * with the lock held. */
static int crew_staff(struct crew *crew) {
  if (crew->queued_count <= crew->idle_count || crew->live_count >= crew->options.threads) return 0;
  if (crew->live_count + crew->lost_count >= 2 * crew->options.threads) return 0;
  crew_join_ended(crew);
  struct crew_thread *thread = memory_calloc(1, sizeof *thread);
  if (!thread) return MW_ENOMEM;
  thread->crew = crew;
  int status = thread_start(&thread->thread, crew_thread_run, thread);
  if (status < 0) {
    memory_free(thread);
    return status;
  }
  list_append(&crew->threads, &thread->link);
  crew->live_count++;
  crew->thread_count++;
  return 0;
}

/* ---- The loop's thread ----------------------------------------------------------------------- */

int crew_add(struct crew *crew, struct job *job) {
  int status = 0;
  lock_take(&crew->lock);
  bool is_lost = crew->live_count == 0 && crew->lost_count >= 2 * crew->options.threads;
  /* A job that a thread is about to take does not wait. */
  size_t free_count = crew->options.threads - crew->running_count;
  if (is_lost || crew->queued_count >= crew->options.queue + free_count) {
    status = MW_EUNAVAILABLE;
  } else {
    list_append(&crew->queued, &job->link);
    crew->queued_count++;
    status = crew_staff(crew);
    if (status < 0 && crew->live_count > 0) status = 0;
    if (status < 0) {
      crew_unqueue(crew, job);
    }
  }
  if (status == 0) uv_cond_signal(&crew->changed);
  lock_release(&crew->lock);
  return status;
}

bool crew_remove(struct crew *crew, struct job *job) {
  lock_take(&crew->lock);
  bool is_queued = job->state == JOB_QUEUED;
  if (is_queued) {
    crew_unqueue(crew, job);
  }
  lock_release(&crew->lock);
  return is_queued;
}

enum job_state crew_give_up(struct crew *crew, struct job *job) {
  lock_take(&crew->lock);
  enum job_state state = job->state;
  if (state == JOB_QUEUED) {
    crew_unqueue(crew, job);
  } else if (state == JOB_RUNNING) {
    job->state = JOB_LOST;
    crew->running_count--;
    crew->live_count--;
    crew->lost_count++;
    if (!crew->closed) crew_staff(crew);
  }
  lock_release(&crew->lock);
  return state;
}

struct job *crew_take_done(struct crew *crew) {
  struct job *job = NULL;
  lock_take(&crew->lock);
  if (!list_empty(&crew->done)) {
    job = container_of(crew->done.next, struct job, link);
    list_remove(&job->link);
  }
  lock_release(&crew->lock);
  return job;
}

void crew_close(struct crew *crew) {
  lock_take(&crew->lock);
  crew->closed = true;
  uv_cond_broadcast(&crew->changed);
  lock_release(&crew->lock);
}

/* The threads that have not ended go on in this code, which the end of a Lua state would unload. */
static void keep_code(void) {
#ifdef RTLD_NODELETE
  Dl_info info;
  if (dladdr((void *)&left_count, &info) && info.dli_fname) dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
#endif
}

void crew_leave(struct crew *crew, uint64_t wait_ms) {
  uint64_t until_ns = uv_hrtime() + wait_ms * NS_PER_MS;
  lock_take(&crew->lock);
  crew->wake = NULL;
  while (crew->thread_count > 0) {
    uint64_t now_ns = uv_hrtime();
    if (now_ns >= until_ns) break;
    uv_cond_timedwait(&crew->ended, &crew->lock.mutex, until_ns - now_ns);
  }
  crew_join_ended(crew);
  size_t left = crew->thread_count;
  if (left > 0) {
    crew->is_left = true;
    atomic_fetch_add(&left_count, left);
    keep_code();
    for (struct list *link = crew->threads.next; link != &crew->threads; link = link->next)
      thread_detach(&container_of(link, struct crew_thread, link)->thread);
  }
  lock_release(&crew->lock);
  if (left == 0) crew_free(crew);
}
