#include "app/registry.h"

int registry_init(struct registry *registry) {
  table_init(&registry->by_id);
  list_init(&registry->all);
  return lock_init(&registry->lock);
}

void registry_deinit(struct registry *registry) {
  table_deinit(&registry->by_id);
  lock_deinit(&registry->lock);
}

static struct bytes id_of(struct mw_client *client) { return bytes_of(client->id, CLIENT_ID_LEN); }

int registry_add(struct registry *registry, struct mw_client *client) {
  lock_take(&registry->lock);
  int status = list_empty(&client->in_registry) ? table_set(&registry->by_id, id_of(client), client) : MW_EINVAL;
  if (status == 0) {
    list_append(&registry->all, &client->in_registry);
    mw_client_ref(client);
  }
  lock_release(&registry->lock);
  return status;
}

void registry_remove(struct registry *registry, struct mw_client *client) {
  lock_take(&registry->lock);
  atomic_store(&client->gone, true);
  bool was_there = table_remove(&registry->by_id, id_of(client)) != NULL;
  list_remove(&client->in_registry);
  lock_release(&registry->lock);
  if (was_there) mw_client_unref(client);
}

struct mw_client *registry_find(struct registry *registry, struct bytes id) {
  lock_take(&registry->lock);
  struct mw_client *client = table_get(&registry->by_id, id);
  if (client) mw_client_ref(client);
  lock_release(&registry->lock);
  return client;
}

struct mw_client *registry_next(struct registry *registry, struct mw_client *previous) {
  struct mw_client *next = NULL;
  lock_take(&registry->lock);
  struct list *link = previous ? previous->in_registry.next : registry->all.next;
  bool has_next = link != &registry->all && (!previous || link != &previous->in_registry);
  if (has_next) next = mw_client_ref(container_of(link, struct mw_client, in_registry));
  lock_release(&registry->lock);
  mw_client_unref(previous);
  return next;
}
