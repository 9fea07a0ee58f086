/* The connected clients of all workers, by their ids. Only those with an identity: the app never
 * received the others. */
#ifndef MOONWIRE_APP_REGISTRY_H
#define MOONWIRE_APP_REGISTRY_H

#include "app/client.h"
#include "app/limits/tally.h"
#include "base/table.h"
#include "net/thread.h"

VISIBILITY_PUSH

struct registry {
  struct lock lock;
  struct mw_client **buckets; /* by id, one reference each */
  size_t bucket_count, count;
  struct list *by_user; /* those with a user, by its id; each in the order of their numbers */
  size_t list_count, user_count;
  uint64_t seed[2];
  struct list all;    /* in the order of their numbers */
  struct list raw;    /* raw WebSockets and polls that wait; not by id; in the order of their numbers */
  uint64_t number;    /* of the newest */
  struct tally users; /* clients of each user */
};

int registry_init(struct registry *registry);
/* Releases the clients that are left, which the script was not notified of. */
void registry_deinit(struct registry *registry);
/* Adds a client, with a reference. Does nothing if it was added before. Returns 0, MW_ENOMEM if the
 * registry is empty and cannot allocate, MW_ECLOSED if the client has disconnected, or MW_ELIMIT if its user has user_max clients (0: no
 * limit). Any thread,
 * as the others. */
int registry_add(struct registry *registry, struct mw_client *client, size_t user_max);
/* Adds a raw WebSocket, or a poll that waits without a client: registry_next_raw returns it, and
 * nothing else does. Does nothing if it has disconnected. */
void registry_add_raw(struct registry *registry, struct mw_client *client);
/* Removes a client, if it was added. */
void registry_remove(struct registry *registry, struct mw_client *client);
/* Returns a reference, or NULL. */
struct mw_client *registry_find(struct registry *registry, struct bytes id);
/* Returns the client that was added after `previous` (NULL: the first), which may have
 * disconnected. Takes the reference to `previous`, and returns one, or NULL. */
struct mw_client *registry_next(struct registry *registry, struct mw_client *previous);
/* The same for the clients of one user (client_user_id). Takes as long as there are
 * of those. */
struct mw_client *registry_next_of(struct registry *registry, struct bytes user_id, struct mw_client *previous);
/* As registry_next, for those that registry_add_raw has added. */
struct mw_client *registry_next_raw(struct registry *registry, struct mw_client *previous);

VISIBILITY_POP

#endif
