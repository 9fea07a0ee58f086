/* Signals, timers, descriptors, work, and pools of the public interface, for the host and the
 * script. */
#include "server/server.h"

enum { SIGNALS_MAX = 8 };

int mw_server_on_signal(struct mw_server *server, int signum, void (*on_signal)(void *context, int signum), void *context) {
  size_t count = 0;
  for (struct list *link = server->signals.next, *next; link != &server->signals; link = next) {
    struct signal_watch *watch = container_of(link, struct signal_watch, link);
    next = link->next;
    if (watch->uv.signum == signum) {
      signal_watch_free(watch);
    } else {
      count++;
    }
  }
  if (count >= SIGNALS_MAX) return MW_ELIMIT;
  struct signal_watch *watch;
  int status = signal_watch_new(&watch, &server->loop, signum, on_signal, context);
  if (status == 0) list_append(&server->signals, &watch->link);
  return status;
}

int mw_timer_new(struct mw_timer **timer, struct mw_server *server, uint64_t delay_ms, uint64_t repeat_ms,
                 void (*on_timer)(void *context), void *context) {
  if (server->app.state >= APP_STOPPED) return MW_ECLOSED;
  struct alarm *alarm = alarm_new(&server->loop, delay_ms, repeat_ms, on_timer, context);
  if (!alarm) return MW_ENOMEM;
  list_append(&server->alarms, &alarm->link);
  *timer = (struct mw_timer *)(void *)alarm;
  return 0;
}

void mw_timer_free(struct mw_timer *timer) { alarm_free((struct alarm *)(void *)timer); }

int mw_watch_new(struct mw_watch **watch, struct mw_server *server, int fd, enum mw_readiness readiness,
                 void (*on_ready)(void *context), void *context) {
  if (server->app.state >= APP_STOPPED) return MW_ECLOSED;
  struct watch *started;
  int status = watch_new(&started, &server->loop, fd, readiness, on_ready, context);
  if (status != 0) return status;
  list_append(&server->watches, &started->link);
  *watch = (struct mw_watch *)(void *)started;
  return 0;
}

void mw_watch_free(struct mw_watch *watch) { watch_free((struct watch *)(void *)watch); }

int mw_work_start(struct mw_work **work, struct mw_server *server, void (*run)(void *context),
                  void (*on_done)(void *context, int status), void *context) {
  if (server->app.state >= APP_STOPPED) return MW_ECLOSED;
  struct work *started;
  int status = work_start(&started, &server->works, run, on_done, context);
  if (status == 0) *work = (struct mw_work *)(void *)started;
  return status;
}

void mw_work_cancel(struct mw_work *work) { work_cancel((struct work *)(void *)work); }

int mw_pool_new(struct mw_pool **out, struct mw_server *server, const struct mw_pool_options *options) {
  if (server->app.state >= APP_STOPPED) return MW_ECLOSED;
  struct pool *pool;
  int status = pool_new(&pool, &server->loop, options, server->app.config->options.limits.drain_ms);
  if (status < 0) return status;
  list_append(&server->pools, &pool->link);
  *out = (struct mw_pool *)(void *)pool;
  return 0;
}

int mw_pool_run(struct mw_pool *pool, const struct mw_job *job) { return pool_run((struct pool *)(void *)pool, job); }
void mw_pool_cancel(struct mw_pool *pool, const void *context) { pool_cancel((struct pool *)(void *)pool, context); }
void mw_pool_free(struct mw_pool *pool) { pool_free((struct pool *)(void *)pool); }
bool mw_pool_threads_left(void) { return pool_threads_left(); }
