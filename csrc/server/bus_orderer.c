/* The bus as the orderer of a server (app/order.h): it answers immediately. */
#include "base/log_limit.h"
#include "server/server.h"

static struct mw_server *server_of(struct orderer *orderer) { return container_of(orderer, struct mw_server, orderer); }

static int publish(struct orderer *orderer, const struct kind *kind, const struct message_parts *parts, bool is_volatile,
                   struct completion *completion) {
  struct mw_server *server = server_of(orderer);
  struct message *message = message_new_mailed(&kind->policy, parts, server->worker_count);
  if (!message) return MW_ENOMEM;
  struct since placed;
  int status = bus_publish(server, message, !is_volatile, &placed);
  if (status < 0) return status;
  log_limited(MW_LOG_DEBUG, "publish %.*s %.*s %zu bytes, position %llu", (int)parts->channel.len, parts->channel.ptr,
              (int)parts->event.len, parts->event.ptr, parts->data.len, (unsigned long long)placed.position);
  completion->id[0] = '\0';
  if (!is_volatile) {
    id_write(completion->id, &placed.epoch, placed.position);
    completion->id[ID_LEN] = '\0';
  }
  return 0;
}

/* The bus hands all messages to every worker, and the store has every history. */
static int interest(struct orderer *orderer, const struct job_channel *channels, size_t count, struct completion *completion) {
  (void)orderer;
  (void)channels;
  (void)count;
  (void)completion;
  return 0;
}

/* The store is not a cache. */
static int page(struct orderer *orderer, struct bytes channel, uint64_t until, struct completion *completion) {
  (void)orderer;
  (void)channel;
  (void)until;
  (void)completion;
  return MW_EUNAVAILABLE;
}

static void end_interest(struct orderer *orderer, struct bytes channel) {
  (void)orderer;
  (void)channel;
}

static void end_pending(struct orderer *orderer) { (void)orderer; }

static uint64_t position(struct orderer *orderer) {
  struct mw_server *server = server_of(orderer);
  lock_take(&server->bus.lock);
  uint64_t position = server->bus.position;
  lock_release(&server->bus.lock);
  return position;
}

static int update_roster(struct orderer *orderer, struct roster_batch *batch) {
  return bus_update_roster(server_of(orderer), batch);
}

static size_t worker_count(struct orderer *orderer) { return server_of(orderer)->worker_count; }

const struct orderer bus_orderer = {.publish = publish,
                                    .interest = interest,
                                    .end_interest = end_interest,
                                    .fetch = interest,
                                    .page = page,
                                    .end_pending = end_pending,
                                    .update_roster = update_roster,
                                    .worker_count = worker_count,
                                    .position = position};
