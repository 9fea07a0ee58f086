#include "server/upkeep.h"

#include "base/log.h"
#include "server/server.h"

enum { SWEEP_BUDGET = 2000, WARN_MS = 60000 };

/* Returns how many there are to log: the first immediately, then at most once a minute. */
static uint64_t upkeep_news(struct upkeep_news *news, uint64_t count, uint64_t now_ms) {
  uint64_t since = count - news->logged;
  if (since == 0 || (news->logged > 0 && now_ms < news->logged_ms + WARN_MS)) return 0;
  *news = (struct upkeep_news){.logged = count, .logged_ms = now_ms};
  return since;
}

/* In parts of the store that are shared. */
struct upkeep_counts {
  uint64_t evicted, floor_gaps;
};

static struct upkeep_counts sweep(struct store *store) {
  store_lock(store);
  size_t share = store->channels.count / 16;
  store_sweep(store, share > SWEEP_BUDGET ? share : SWEEP_BUDGET);
  store_bound(store); /* because of forms that were encoded late */
  struct upkeep_counts counts = {store->evicted, store->floor_gaps};
  store_unlock(store);
  return counts;
}

void upkeep_second(struct mw_server *server) {
  struct upkeep *upkeep = &server->upkeep;
  uint64_t now_ms = server->workers[0].loop->clock.now_ms;
  struct upkeep_counts counts = sweep(&server->store);
  rates_second(&server->app.rates, now_ms * 1000000);
  uint64_t count = upkeep_news(&upkeep->evicted, counts.evicted, now_ms);
  if (count > 0)
    log_line(MW_LOG_WARNING, "evicted the oldest messages of all histories: limits.history reached (evicted=%llu)",
             (unsigned long long)count);
  count = upkeep_news(&upkeep->floor_gaps, counts.floor_gaps, now_ms);
  if (count > 0)
    log_line(MW_LOG_WARNING, "sent gaps that may be false: limits.marks reached, marks of idle channels evicted (clients=%llu)",
             (unsigned long long)count);
}
