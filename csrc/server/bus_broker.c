/* What a broker tells the bus, besides messages. */
#include "base/memory.h"
#include "delivery/subscriber.h"
#include "server/bus_entry.h"

/* The hub has received everything up to the position. */
static void reach(struct hub *hub, uint64_t position) {
  if (position > hub->position) hub->position = position;
}

static void take_reach(struct mail *mail, void *room, struct subscriber *subscriber) {
  (void)subscriber;
  struct bus_entry *entry = bus_entry_of(mail);
  reach(&worker_of_room(room)->hub, entry->position);
  bus_entry_drop(mail);
}

static void for_each(struct hub *hub, struct bytes name, void (*visit)(struct hub *hub, struct subscription *subscription)) {
  struct channel *channel = hub_find(hub, name);
  for (uint32_t i = 0; channel && i < channel->subscription_count; i++) visit(hub, channel->subscriptions[i]);
}

static void visit_gap(struct hub *hub, struct subscription *subscription) {
  (void)hub;
  subscriber_gap(subscription);
}

static void take_gap(struct mail *mail, void *room, struct subscriber *subscriber) {
  (void)subscriber;
  struct bus_entry *entry = bus_entry_of(mail);
  for_each(&worker_of_room(room)->hub, entry->channel, visit_gap);
  bus_entry_drop(mail);
}

static void visit_lost(struct hub *hub, struct subscription *subscription) { hub->deliver(subscription, NULL); }

static void take_disconnect(struct mail *mail, void *room, struct subscriber *subscriber) {
  (void)subscriber;
  struct bus_entry *entry = bus_entry_of(mail);
  struct hub *hub = &worker_of_room(room)->hub;
  reach(hub, entry->position);
  for_each(hub, entry->channel, visit_lost);
  bus_entry_drop(mail);
}

static const struct mail_class reach_class = {.take = take_reach, .drop = bus_entry_drop};
static const struct mail_class gap_class = {.take = take_gap, .drop = bus_entry_drop};
static const struct mail_class disconnect_class = {.take = take_disconnect, .drop = bus_entry_drop};

/* Posts it, and raises the position of the bus to its own. */
static int post(struct mw_server *server, struct bus_entry *entry) {
  size_t full = 0;
  lock_take(&server->bus.lock);
  int status = bus_entry_post(server, entry, &full);
  if (status == 0 && entry->position > server->bus.position) {
    server->bus.position = entry->position;
    store_reach(&server->store, entry->position);
  }
  lock_release(&server->bus.lock);
  if (status < 0) bus_entry_free(entry);
  return status;
}

/* One about a channel, which no limit refuses. */
static struct bus_entry *new_entry(struct mw_server *server, const struct mail_class *class, struct bytes channel) {
  struct bus_entry *entry = bus_entry_new(server->worker_count, class, channel);
  if (entry) bus_entry_address(entry->mails, entry->worker_count, class, 0);
  return entry;
}

int bus_reach(struct mw_server *server, uint64_t position) {
  /* Only this thread raises it. */
  if (position <= server->bus.position) return 0;
  struct bus_entry *entry = bus_entry_new(server->worker_count, &reach_class, bytes_of(NULL, 0));
  if (!entry) return MW_ENOMEM;
  entry->position = position;
  return post(server, entry);
}

int bus_gap(struct mw_server *server, struct bytes channel, uint64_t position) {
  struct bus_entry *entry = new_entry(server, &gap_class, channel);
  if (!entry) return MW_ENOMEM;
  /* A client of several channels may have a cursor above that of the message that is missing. */
  if (position <= server->bus.position) position = server->bus.position + 1;
  store_lose(&server->store, channel, position);
  return post(server, entry);
}

int bus_disconnect(struct mw_server *server, struct bytes channel, uint64_t position) {
  struct bus_entry *entry = new_entry(server, &disconnect_class, channel);
  if (!entry) return MW_ENOMEM;
  entry->position = position;
  store_reach(&server->store, position);
  store_forget(&server->store, channel);
  return post(server, entry);
}

void bus_make_room(struct mw_server *server, size_t size) {
  size_t full = 0;
  if (bus_reserve(server->workers, server->worker_count, mail_size(size), &full) < 0) {
    for (size_t i = 0; i < server->worker_count; i++) worker_drain(&server->workers[i]);
    return;
  }
  for (size_t i = 0; i < server->worker_count; i++) mailbox_unreserve(&server->workers[i].mailbox, mail_size(size));
}
