#include "server/client.h"

#include <stdio.h>

#include "auth/secret.h"
#include "base/memory.h"

struct mw_client *client_new(struct bytes transport, const char *remote) {
  struct mw_client *client = memory_calloc(1, sizeof *client);
  if (!client) return NULL;
  atomic_init(&client->refs, 1);
  secret_name(client->id, CLIENT_ID_LEN);
  client->transport = transport;
  snprintf(client->remote, sizeof client->remote, "%s", remote);
  object_count(OBJECT_CLIENT, 1);
  return client;
}

struct mw_client *mw_client_ref(struct mw_client *client) {
  atomic_fetch_add_explicit(&client->refs, 1, memory_order_relaxed);
  return client;
}

void mw_client_unref(struct mw_client *client) {
  if (!client || atomic_fetch_sub_explicit(&client->refs, 1, memory_order_acq_rel) != 1) return;
  blob_unref(client->user);
  object_count(OBJECT_CLIENT, -1);
  memory_free(client);
}

struct mw_bytes mw_client_id(const struct mw_client *client) {
  return (struct mw_bytes){client->id, CLIENT_ID_LEN};
}
struct mw_bytes mw_client_transport(const struct mw_client *client) {
  return (struct mw_bytes){client->transport.ptr, client->transport.len};
}
struct mw_bytes mw_client_remote(const struct mw_client *client) {
  return (struct mw_bytes){client->remote, strlen(client->remote)};
}
struct mw_bytes mw_client_user(const struct mw_client *client) {
  struct bytes user = blob_bytes(client->user);
  return (struct mw_bytes){user.ptr, user.len};
}
void *mw_client_context(const struct mw_client *client) { return client->context; }
void mw_client_set_context(struct mw_client *client, void *context) { client->context = context; }
