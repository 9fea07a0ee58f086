/* Counts of the public interface: of one channel, and of the whole server. */
#include "server/server.h"

size_t mw_channel_count(struct mw_server *server, const char *name, size_t name_len, bool *exists) {
  struct worker *worker = &server->workers[0];
  worker_drain(worker);
  if (worker->delivery.dirty) loop_wake(&server->loop);
  const struct channel *channel = hub_find(&worker->hub, bytes_of(name, name_len));
  const struct stored *stored = store_find(&server->store, bytes_of(name, name_len));
  size_t count = channel ? channel->subscription_count : 0;
  if (exists) *exists = count > 0 || (stored && stored->history.count > 0);
  return count;
}

void mw_server_stats(const struct mw_server *server, struct mw_stats *stats) {
  const struct worker *worker = &server->workers[0];
  *stats = worker->stats;
  stats->connections = worker->http.conn_count;
  stats->poll_clients = worker->transport.polls.count;
  stats->published = atomic_load(&server->bus.published);
  stats->delivered = worker->hub.delivered;
  stats->channels = server->store.channels.count;
  stats->history_bytes = store_history_bytes(&server->store);
  stats->evicted = server->store.evicted;
  stats->marks = server->store.marks.count;
  stats->floor_gaps = server->store.floor_gaps;
  stats->subscriptions = worker->hub.subscription_count;
  for (size_t i = 0; i < MW_LIMIT_COUNT; i++)
    stats->limits[i] = atomic_load_explicit(&server->app.limits.counts[i], memory_order_relaxed);
}
