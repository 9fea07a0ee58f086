#include "app/registry.h"

int registry_init(struct registry *registry) {
  table_init(&registry->by_id);
  list_init(&registry->all);
  return lock_init(&registry->lock);
}

void registry_deinit(struct registry *registry) {
  while (!list_empty(&registry->all)) registry_remove(registry, container_of(registry->all.next, struct mw_client, in_registry));
  table_deinit(&registry->by_id);
  lock_deinit(&registry->lock);
}

static struct bytes id_of(struct mw_client *client) { return bytes_of(client->id, CLIENT_ID_LEN); }

int registry_add(struct registry *registry, struct mw_client *client) {
  lock_take(&registry->lock);
  bool is_new = list_empty(&client->in_registry);
  int status = atomic_load(&client->gone) ? MW_ECLOSED : 0;
  if (status == 0 && is_new) status = table_set(&registry->by_id, id_of(client), client);
  if (status == 0 && is_new) {
    client->number = ++registry->number;
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
  bool is_there = previous && !list_empty(&previous->in_registry);
  /* If the previous one has gone, those before it have mostly gone as well: a walk that closes each of them goes on at the first. */
  for (struct list *link = is_there ? previous->in_registry.next : registry->all.next; !next && link != &registry->all;
       link = link->next) {
    struct mw_client *client = container_of(link, struct mw_client, in_registry);
    if (!previous || client->number > previous->number) next = mw_client_ref(client);
  }
  lock_release(&registry->lock);
  mw_client_unref(previous);
  return next;
}
