#include "app/registry.h"

#include <assert.h>

#include "auth/secret.h"
#include "base/memory.h"
#include "base/random.h"

enum { BUCKETS_MIN = 64 };

/* A bit of the numbers of raw ones. */
#define NUMBER_RAW (UINT64_C(1) << 63)
/* A bit of those that are counted for their users. Numbers grow by more than it. */
#define NUMBER_COUNTED UINT64_C(1)
#define NUMBER_STEP UINT64_C(2)

int registry_init(struct registry *registry) {
  *registry = (struct registry){.count = 0};
  random_fill(registry->seed, sizeof registry->seed);
  list_init(&registry->all);
  list_init(&registry->raw);
  int status = tally_init(&registry->users);
  if (status < 0) return status;
  status = lock_init(&registry->lock);
  if (status < 0) tally_deinit(&registry->users);
  return status;
}

void registry_deinit(struct registry *registry) {
  while (!list_empty(&registry->all)) registry_remove(registry, container_of(registry->all.next, struct mw_client, in_registry));
  while (!list_empty(&registry->raw)) registry_remove(registry, container_of(registry->raw.next, struct mw_client, in_registry));
  memory_free(registry->buckets);
  memory_free(registry->by_user);
  tally_deinit(&registry->users);
  lock_deinit(&registry->lock);
}

/* ---- By id and by user, with the lock held ---------------------------------------------------- */

/* By the name, which the id begins with. */
static struct mw_client **bucket_of(const struct registry *registry, struct bytes id) {
  struct bytes name = bytes_of(id.ptr, id.len < CLIENT_NAME_LEN ? id.len : CLIENT_NAME_LEN);
  return &registry->buckets[hash_bytes(registry->seed, name) & (registry->bucket_count - 1)];
}

/* Where the client with that id hangs, or NULL hangs in place of one. */
static struct mw_client **registry_place(const struct registry *registry, struct bytes id) {
  struct mw_client **at = bucket_of(registry, id);
  while (*at && !secret_equal(bytes_of((*at)->id, CLIENT_ID_LEN), id)) at = &(*at)->next_by_id;
  return at;
}

/* Makes as many buckets as clients, if there is memory. False: there are none. */
static bool registry_grow(struct registry *registry) {
  if (registry->count < registry->bucket_count) return true;
  struct registry grown = *registry;
  grown.bucket_count = registry->bucket_count > 0 ? registry->bucket_count * 2 : BUCKETS_MIN;
  grown.buckets = memory_calloc(grown.bucket_count, sizeof *grown.buckets);
  if (!grown.buckets) return registry->bucket_count > 0;
  for (size_t i = 0; i < registry->bucket_count; i++) {
    while (registry->buckets[i]) {
      struct mw_client *client = registry->buckets[i], **to = bucket_of(&grown, bytes_of(client->id, CLIENT_ID_LEN));
      registry->buckets[i] = client->next_by_id;
      client->next_by_id = *to;
      *to = client;
    }
  }
  memory_free(registry->buckets);
  registry->buckets = grown.buckets;
  registry->bucket_count = grown.bucket_count;
  return true;
}

/* Returns the anonymous client with that name, or NULL. */
static struct mw_client *find_anonymous(const struct registry *registry, struct bytes name) {
  struct mw_client *client = registry->count > 0 && name.len == CLIENT_NAME_LEN ? *bucket_of(registry, name) : NULL;
  while (client && (client->user_id || !bytes_equal(client_user_id(client), name))) client = client->next_by_id;
  return client;
}

/* Not in the client, because most have no user. */
struct user_link {
  struct list link;
  struct mw_client *client;
};

static struct list *list_of_user(const struct registry *registry, struct bytes user_id) {
  return &registry->by_user[hash_bytes(registry->seed, user_id) & (registry->list_count - 1)];
}

/* In the order in which they came. */
static void regroup_users(const struct registry *registry, struct registry *grown) {
  for (size_t i = 0; i < grown->list_count; i++) list_init(&grown->by_user[i]);
  for (size_t i = 0; i < registry->list_count; i++) {
    while (!list_empty(&registry->by_user[i])) {
      struct user_link *link = container_of(registry->by_user[i].next, struct user_link, link);
      list_remove(&link->link);
      list_append(list_of_user(grown, client_user_id(link->client)), &link->link);
    }
  }
}

/* Makes as many lists as there are clients with a user, if there is memory. False: there are none. */
static bool grow_users(struct registry *registry) {
  if (registry->user_count < registry->list_count) return true;
  struct registry grown = *registry;
  grown.list_count = registry->list_count > 0 ? registry->list_count * 2 : BUCKETS_MIN;
  grown.by_user = memory_calloc(grown.list_count, sizeof *grown.by_user);
  if (!grown.by_user) return registry->list_count > 0;
  regroup_users(registry, &grown);
  memory_free(registry->by_user);
  registry->by_user = grown.by_user;
  registry->list_count = grown.list_count;
  return true;
}

static int link_user(struct registry *registry, struct mw_client *client) {
  struct user_link *link = grow_users(registry) ? memory_alloc(sizeof *link) : NULL;
  if (!link) return MW_ENOMEM;
  link->client = client;
  list_append(list_of_user(registry, client_user_id(client)), &link->link);
  registry->user_count++;
  return 0;
}

/* Takes as long as its user has clients (limits.user_connections). */
static void unlink_user(struct registry *registry, const struct mw_client *client) {
  struct list *all = list_of_user(registry, client_user_id(client)), *at = all->next;
  while (at != all && container_of(at, struct user_link, link)->client != client) at = at->next;
  assert(at != all); /* a client's user is set before it is added */
  if (at == all) return;
  list_remove(at);
  memory_free(container_of(at, struct user_link, link));
  registry->user_count--;
}

static int insert(struct registry *registry, struct mw_client *client) {
  if (!registry_grow(registry)) return MW_ENOMEM;
  int status = client->user_id ? link_user(registry, client) : 0;
  if (status < 0) return status;
  struct mw_client **bucket = bucket_of(registry, bytes_of(client->id, CLIENT_ID_LEN));
  client->next_by_id = *bucket;
  *bucket = client;
  registry->count++;
  return 0;
}

static void registry_take_out(struct registry *registry, struct mw_client *client) {
  *registry_place(registry, bytes_of(client->id, CLIENT_ID_LEN)) = client->next_by_id;
  if (client->user_id) unlink_user(registry, client);
  registry->count--;
}

/* ---- For all --------------------------------------------------------------------------------- */

/* Returns the key of the client's user in registry->users. */
static uint64_t registry_user(const struct registry *registry, const struct mw_client *client) {
  return tally_key(&registry->users, client_user_id(client));
}

int registry_add(struct registry *registry, struct mw_client *client, size_t user_max) {
  lock_take(&registry->lock);
  bool is_new = list_empty(&client->in_registry), is_counted = is_new && client->user_id && user_max > 0;
  int status = atomic_load(&client->gone) ? MW_ECLOSED : 0;
  if (status == 0 && is_counted) status = tally_take(&registry->users, registry_user(registry, client), user_max);
  is_counted = is_counted && status == 0;
  if (status == 0 && is_new) status = insert(registry, client);
  if (status < 0 && is_counted) tally_release(&registry->users, registry_user(registry, client));
  if (status == 0 && is_new) {
    registry->number += NUMBER_STEP;
    client->number = registry->number | (is_counted ? NUMBER_COUNTED : 0);
    list_append(&registry->all, &client->in_registry);
    mw_client_ref(client);
  }
  lock_release(&registry->lock);
  return status;
}

void registry_add_raw(struct registry *registry, struct mw_client *client) {
  lock_take(&registry->lock);
  if (!atomic_load(&client->gone) && list_empty(&client->in_registry)) {
    registry->number += NUMBER_STEP;
    client->number = NUMBER_RAW | registry->number;
    list_append(&registry->raw, &client->in_registry);
    mw_client_ref(client);
  }
  lock_release(&registry->lock);
}

void registry_remove(struct registry *registry, struct mw_client *client) {
  lock_take(&registry->lock);
  atomic_store(&client->gone, true);
  bool was_there = !list_empty(&client->in_registry);
  if (was_there && !(client->number & NUMBER_RAW)) registry_take_out(registry, client);
  if (was_there && client->number & NUMBER_COUNTED) tally_release(&registry->users, registry_user(registry, client));
  list_remove(&client->in_registry);
  lock_release(&registry->lock);
  if (was_there) mw_client_unref(client);
}

struct mw_client *registry_find(struct registry *registry, struct bytes id) {
  lock_take(&registry->lock);
  struct mw_client *client = registry->count > 0 ? *registry_place(registry, id) : NULL;
  if (client) mw_client_ref(client);
  lock_release(&registry->lock);
  return client;
}

static struct mw_client *next_in(struct registry *registry, struct list *list, struct mw_client *previous) {
  struct mw_client *next = NULL;
  lock_take(&registry->lock);
  bool is_there = previous && !list_empty(&previous->in_registry);
  /* If the previous client has disconnected, those before it usually have as well: a walk that
   * closes each of them continues at the first. */
  for (struct list *link = is_there ? previous->in_registry.next : list->next; !next && link != list; link = link->next) {
    struct mw_client *client = container_of(link, struct mw_client, in_registry);
    if (!previous || client->number > previous->number) next = mw_client_ref(client);
  }
  lock_release(&registry->lock);
  mw_client_unref(previous);
  return next;
}

struct mw_client *registry_next(struct registry *registry, struct mw_client *previous) {
  return next_in(registry, &registry->all, previous);
}

struct mw_client *registry_next_raw(struct registry *registry, struct mw_client *previous) {
  return next_in(registry, &registry->raw, previous);
}

/* Returns the client of a user after `previous`, with the lock held. */
static struct mw_client *next_of_user(const struct registry *registry, struct bytes user_id, const struct mw_client *previous) {
  if (registry->user_count == 0) return NULL;
  struct list *list = list_of_user(registry, user_id);
  for (struct list *link = list->next; link != list; link = link->next) {
    struct mw_client *client = container_of(link, struct user_link, link)->client;
    bool is_later = !previous || client->number > previous->number;
    if (is_later && bytes_equal(client_user_id(client), user_id)) return client;
  }
  return NULL;
}

struct mw_client *registry_next_of(struct registry *registry, struct bytes user_id, struct mw_client *previous) {
  lock_take(&registry->lock);
  struct mw_client *next = previous ? NULL : find_anonymous(registry, user_id);
  if (!next) next = next_of_user(registry, user_id, previous && previous->user_id ? previous : NULL);
  if (next) mw_client_ref(next);
  lock_release(&registry->lock);
  mw_client_unref(previous);
  return next;
}
