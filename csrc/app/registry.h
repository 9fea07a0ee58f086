/* Which clients are connected, over all workers, by their ids. Only those that have an identity: nobody asked after the others. */
#ifndef MOONWIRE_APP_REGISTRY_H
#define MOONWIRE_APP_REGISTRY_H

#include "app/client.h"
#include "base/table.h"
#include "net/thread.h"

VISIBILITY_PUSH

struct registry {
  struct lock lock;
  struct mw_client **buckets; /* by id, each a reference */
  size_t bucket_count, count;
  uint64_t seed[2];
  struct list all; /* in the order of their numbers */
  uint64_t number; /* of the newest */
};

int registry_init(struct registry *registry);
/* Forgets those that are left: whoever let them in did not hear of it. */
void registry_deinit(struct registry *registry);
/* Keeps a reference. Does nothing if it is there already. MW_ENOMEM: the registry is empty and finds no
 * memory; MW_ECLOSED: it has gone. Any thread, likewise the others. */
int registry_add(struct registry *registry, struct mw_client *client);
/* Does nothing if it is not there. */
void registry_remove(struct registry *registry, struct mw_client *client);
/* A reference, or NULL. */
struct mw_client *registry_find(struct registry *registry, struct bytes id);
/* The one that was added after `previous` (NULL: the first), which may have gone. Takes the reference to `previous`, and returns one, or NULL. */
struct mw_client *registry_next(struct registry *registry, struct mw_client *previous);

VISIBILITY_POP

#endif
