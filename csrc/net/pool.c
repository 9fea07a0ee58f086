#include "net/pool.h"

#include "base/log_limit.h"
#include "base/memory.h"
#include "net/alarm.h"
#include "net/crew.h"

/* Tells that a job has ended. */
static void pool_tell(struct job *job, int status) {
  alarm_free(job->deadline);
  job->deadline = NULL;
  list_remove(&job->in_pool);
  job->pool->loop->busy_count--;
  job->given.on_done(job->given.context, status);
}

/* Gives a job up. Returns false if it is done. */
static bool pool_give_up(struct job *job, int status) {
  struct crew *crew = job->pool->crew;
  enum job_state state = crew_give_up(crew, job);
  if (state == JOB_DONE) return false;
  if (status == MW_ETIMEDOUT) {
    bool has_begun = state == JOB_RUNNING;
    log_limited(MW_LOG_WARNING, "pool \"%s\": %s %s within %llu ms%s", crew->options.name, job->given.name,
                has_begun ? "did not return" : "found no free thread", (unsigned long long)job->given.timeout_ms,
                has_begun ? "; its thread is replaced" : "");
  }
  pool_tell(job, status);
  if (state == JOB_RUNNING) {
    crew_let_go(crew, job);
  } else {
    job_free(job);
  }
  return true;
}

static void pool_on_done(struct pool *pool) {
  struct job *job;
  while ((job = crew_take_done(pool->crew))) {
    pool_tell(job, 0);
    job_free(job);
  }
}

static void pool_on_wake(uv_async_t *wake) { pool_on_done(container_of(wake, struct pool, wake)); }
static void pool_on_deadline(void *context) { pool_give_up(context, MW_ETIMEDOUT); }

int pool_new(struct pool **out, struct loop *loop, const struct mw_pool_options *options, uint64_t wait_ms) {
  if (options->threads == 0 || options->threads > MW_POOL_THREADS_MAX) return MW_EINVAL;
  struct pool *pool = memory_calloc(1, sizeof *pool);
  if (!pool) return MW_ENOMEM;
  pool->loop = loop;
  pool->wait_ms = wait_ms;
  list_init(&pool->link);
  list_init(&pool->jobs);
  int status = crew_new(&pool->crew, options, &pool->wake);
  if (status < 0) goto fail_crew;
  status = uv_async_init(loop->uv, &pool->wake, pool_on_wake);
  if (status < 0) goto fail_wake;
  loop_opened(loop);
  *out = pool;
  return 0;

fail_wake:
  pool->crew->options.release = NULL; /* it stays the caller's */
  crew_leave(pool->crew, 0);
fail_crew:
  memory_free(pool);
  return status;
}

int pool_run(struct pool *pool, const struct mw_job *given) {
  struct job *job = memory_calloc(1, sizeof *job);
  if (!job) return MW_ENOMEM;
  job->given = *given;
  job->pool = pool;
  list_init(&job->link);
  list_append(&pool->jobs, &job->in_pool);
  int status = MW_ENOMEM;
  if (given->timeout_ms > 0) {
    job->deadline = alarm_new(pool->loop, given->timeout_ms, 0, pool_on_deadline, job);
    if (!job->deadline) goto fail;
  }
  pool->loop->busy_count++;
  status = crew_add(pool->crew, job);
  if (status == 0) return 0;
  pool->loop->busy_count--;
fail:
  alarm_free(job->deadline);
  list_remove(&job->in_pool);
  memory_free(job);
  return status;
}

void pool_cancel(struct pool *pool, const void *context) {
  for (struct list *link = pool->jobs.next; link != &pool->jobs; link = link->next) {
    struct job *job = container_of(link, struct job, in_pool);
    if (job->given.context != context) continue;
    if (!crew_remove(pool->crew, job)) return;
    pool_tell(job, MW_ECLOSED);
    job_free(job);
    return;
  }
}

static void pool_on_closed(uv_handle_t *handle) {
  struct pool *pool = container_of((uv_async_t *)handle, struct pool, wake);
  struct loop *loop = pool->loop;
  memory_free(pool);
  loop_handle_closed(loop);
}

void pool_free(struct pool *pool) {
  if (!pool) return;
  list_remove(&pool->link);
  crew_close(pool->crew);
  pool_on_done(pool);
  while (!list_empty(&pool->jobs)) {
    /* One that is done by now has its result told. */
    if (!pool_give_up(container_of(pool->jobs.next, struct job, in_pool), MW_ECLOSED)) pool_on_done(pool);
  }
  crew_leave(pool->crew, pool->wait_ms);
  uv_close((uv_handle_t *)&pool->wake, pool_on_closed);
}

bool pool_threads_left(void) { return crew_threads_left(); }
