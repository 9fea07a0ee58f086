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

void upkeep_second(struct mw_server *server) {
  struct store *store = &server->store;
  struct upkeep *upkeep = &server->upkeep;
  uint64_t now_ms = server->loop.clock.now_ms;
  size_t share = store->channels.count / 16;
  store_sweep(store, share > SWEEP_BUDGET ? share : SWEEP_BUDGET);
  rates_second(&server->app.rates, now_ms * 1000000);
  uint64_t count = upkeep_news(&upkeep->evicted, store->evicted, now_ms);
  if (count > 0)
    log_line(MW_LOG_WARNING, "evicted the oldest messages of all histories: limits.history reached (evicted=%llu)",
             (unsigned long long)count);
  count = upkeep_news(&upkeep->floor_gaps, store->floor_gaps, now_ms);
  if (count > 0)
    log_line(MW_LOG_WARNING, "sent gaps that may be false: limits.marks reached, marks of idle channels evicted (clients=%llu)",
             (unsigned long long)count);
}
