/* Counts of the public interface: of one channel, and of the whole server. */
#include "server/server.h"
#include "server/worker_thread.h"

size_t mw_channel_count(struct mw_server *server, const char *name, size_t name_len, bool *exists) {
  server_catch_up(server);
  store_lock(&server->store);
  const struct stored *stored = store_find(&server->store, bytes_of(name, name_len));
  size_t count = stored ? atomic_load(&stored->subscriber_count) : 0;
  if (exists) *exists = count > 0 || (stored && stored->history.count > 0);
  store_unlock(&server->store);
  return count;
}

/* Adds what one worker has counted. */
static void add_worker(struct worker *worker, void *context) {
  struct mw_stats *stats = context;
  stats->accepted += worker->stats.accepted;
  stats->requests += worker->stats.requests;
  stats->delivered += worker->hub.delivered;
  stats->slow += worker->stats.slow;
  stats->slow_closed += worker->stats.slow_closed;
  stats->slow_dropped += worker->stats.slow_dropped;
  stats->slow_replaced += worker->stats.slow_replaced;
  stats->dead_closed += worker->stats.dead_closed;
  stats->deflated += worker->stats.deflated;
  stats->gaps += worker->stats.gaps;
  stats->polls += worker->stats.polls;
  stats->subscriptions += worker->hub.subscription_count;
}

void mw_server_stats(const struct mw_server *server, struct mw_stats *stats) {
  struct store *store = (struct store *)(uintptr_t)&server->store;
  *stats = (struct mw_stats){.connections = atomic_load(&server->app.conn_count),
                             .poll_clients = atomic_load(&server->app.poll_count),
                             .published = atomic_load(&server->bus.published)};
  for (size_t i = 0; i < server->worker_count; i++) worker_call(&server->workers[i], add_worker, stats);
  if (server->broker) {
    const struct broker_orderer *broker = server->broker;
    stats->broker_losses = broker->losses;
    if (!broker->is_up) stats->broker_lost_ms = server->loop.clock.now_ms - broker->lost_ms + 1;
  }
  store_lock(store);
  stats->channels = store->channels.count;
  stats->history_bytes = store_history_bytes(store);
  stats->evicted = store->evicted;
  stats->marks = store->marks.count;
  stats->floor_gaps = store->floor_gaps;
  uint64_t refused = store->refused, refused_of_kind = store->refused_of_kind;
  store_unlock(store);
  /* Relaxed, because nothing depends on how new they are. */
  for (size_t i = 0; i < MW_LIMIT_COUNT; i++)
    stats->limits[i] = atomic_load_explicit(&server->app.limits.counts[i], memory_order_relaxed);
  stats->limits[MW_LIMIT_OUTBOX] += stats->slow_closed;
  stats->limits[MW_LIMIT_CHANNELS] += refused;
  stats->limits[MW_LIMIT_CHANNEL_CHANNELS] += refused_of_kind;
}
