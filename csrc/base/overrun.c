#include "base/overrun.h"

#include <pthread.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/log_writer.h"

enum { TEXT_MAX = 400, AGAIN_MAX_MS = 60000 };

/* Guards the list. The thread of the log holds it while it reads a run that it has claimed. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct list overruns = {&overruns, &overruns};

/* Reads a run that takes too long; if it ends in the meantime, its owner waits for the mutex.
 * Returns how long it has run, or 0. */
static uint64_t inspect(struct overrun *overrun, uint64_t now_ms, char text[TEXT_MAX]) {
  uint64_t begin_ms = atomic_load(&overrun->begin_ms);
  if (begin_ms == 0 || begin_ms == OVERRUN_CLAIMED || now_ms < begin_ms + OVERRUN_MS) return 0;
  if (overrun->named_ms == begin_ms && now_ms < overrun->next_ms) return 0;
  if (!atomic_compare_exchange_strong(&overrun->begin_ms, &begin_ms, OVERRUN_CLAIMED)) return 0;
  overrun->describe(overrun->context, text, TEXT_MAX);
  uint64_t claimed = OVERRUN_CLAIMED, elapsed_ms = now_ms - begin_ms;
  atomic_compare_exchange_strong(&overrun->begin_ms, &claimed, begin_ms); /* unless it has ended */
  overrun->named_ms = begin_ms;
  /* Reports less and less often: after twice the time, then once a minute. */
  overrun->next_ms = now_ms + (elapsed_ms < AGAIN_MAX_MS ? elapsed_ms : AGAIN_MAX_MS);
  return elapsed_ms;
}

static void check_all(uint64_t now_ms, bool is_last) {
  (void)is_last;
  if (!log_to_stderr()) return; /* a host's sink is notified when the run ends */
  pthread_mutex_lock(&mutex);
  for (struct list *link = overruns.next; link != &overruns; link = link->next) {
    char text[TEXT_MAX];
    struct overrun *overrun = container_of(link, struct overrun, link);
    uint64_t elapsed_ms = inspect(overrun, now_ms, text);
    if (elapsed_ms == 0) continue;
    log_line(MW_LOG_WARNING, "blocking code: %s has been running for %.1f s; %s", text, (double)elapsed_ms / 1000,
             overrun->has_own_thread ? "other handlers wait" : "everything else waits");
  }
  pthread_mutex_unlock(&mutex);
}

static void before_fork(void) { pthread_mutex_lock(&mutex); }
static void after_fork(void) { pthread_mutex_unlock(&mutex); }
static void watch_forks(void) { (void)pthread_atfork(before_fork, after_fork, after_fork); }

void overrun_init(struct overrun *overrun) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, watch_forks);
  *overrun = (struct overrun){.describe = NULL};
  pthread_mutex_lock(&mutex);
  list_append(&overruns, &overrun->link);
  pthread_mutex_unlock(&mutex);
  log_writer_add_chore(check_all);
}

void overrun_deinit(struct overrun *overrun) {
  pthread_mutex_lock(&mutex);
  list_remove(&overrun->link);
  pthread_mutex_unlock(&mutex);
}

void overrun_begin(struct overrun *overrun, void (*describe)(void *context, char *text, size_t size), void *context) {
  overrun->describe = describe;
  overrun->context = context;
  overrun->started_ms = clock_system_ms();
  /* publishes the members above */
  atomic_store_explicit(&overrun->begin_ms, overrun->started_ms, memory_order_release);
}

void overrun_end(struct overrun *overrun) {
  if (atomic_exchange(&overrun->begin_ms, 0) == OVERRUN_CLAIMED) {
    pthread_mutex_lock(&mutex);
    pthread_mutex_unlock(&mutex);
  }
  uint64_t elapsed_ms = clock_system_ms() - overrun->started_ms;
  if (elapsed_ms < OVERRUN_MS) return;
  char text[TEXT_MAX];
  overrun->describe(overrun->context, text, sizeof text);
  log_line(MW_LOG_WARNING, "blocking code: %s ran for %.1f s; %s", text, (double)elapsed_ms / 1000,
           overrun->has_own_thread ? "other handlers waited" : "everything else waited");
}
