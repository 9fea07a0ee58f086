#include "app/client.h"

#include <string.h>

#include "auth/secret.h"
#include "base/memory.h"
#include "codec/json_scan.h"

struct mw_client *client_new(const char *transport, const char *remote) {
  size_t remote_size = strlen(remote) + 1;
  struct mw_client *client = memory_calloc(1, offsetof(struct mw_client, remote) + remote_size);
  if (!client) return NULL;
  atomic_init(&client->refs, 1);
  secret_name(client->id, CLIENT_ID_LEN);
  secret_name(client->name, CLIENT_ID_LEN);
  list_init(&client->in_registry);
  atomic_init(&client->gone, false);
  atomic_init(&client->closing, false);
  client->transport = transport;
  memcpy(client->remote, remote, remote_size);
  object_count(OBJECT_CLIENT, 1);
  return client;
}

/* The text of a string or an integer, or NULL. */
static struct blob *text_of(struct json_value value) {
  struct buffer text;
  buffer_init(&text);
  if (value.type == JSON_STRING) json_string_decode(value, &text);
  if (value.type == JSON_NUMBER) buffer_append(&text, value.raw);
  struct blob *blob = text.len > 0 && !text.failed ? blob_new(buffer_bytes(&text)) : NULL;
  buffer_deinit(&text);
  return blob;
}

/* The user's id in its JSON: "id", else "sub". A reference, or NULL. */
static struct blob *id_of_user(struct blob *user) {
  struct json_value object, name, value, id = {0}, sub = {0};
  if (!user || !json_scan(blob_bytes(user), &object, NULL) || object.type != JSON_OBJECT) return NULL;
  struct bytes rest = object.raw;
  while (json_next_member(&rest, &name, &value)) {
    if (json_string_equal(name, BYTES("id"))) id = value;
    if (json_string_equal(name, BYTES("sub"))) sub = value;
  }
  struct blob *text = text_of(id);
  return text ? text : text_of(sub);
}

bool client_set_user(struct mw_client *client, struct blob *user) {
  struct blob *user_id = id_of_user(user);
  bool same = !client->user || bytes_equal(blob_bytes(user_id), blob_bytes(client->user_id));
  if (!same) {
    blob_unref(user_id);
    blob_unref(user);
    return false;
  }
  blob_unref(client->user);
  client->user = user;
  /* The id stays where it is: others may be reading it. */
  if (client->user_id) {
    blob_unref(user_id);
  } else {
    client->user_id = user_id;
  }
  return true;
}

bool client_same_user(const struct mw_client *one, const struct mw_client *other) {
  if (!one->user || !other->user) return !one->user && !other->user;
  if (!one->user_id && !other->user_id) return bytes_equal(blob_bytes(one->user), blob_bytes(other->user));
  return one->user_id && other->user_id && bytes_equal(blob_bytes(one->user_id), blob_bytes(other->user_id));
}

struct bytes client_user_id(const struct mw_client *client) {
  return client->user_id ? blob_bytes(client->user_id) : bytes_of(client->name, CLIENT_ID_LEN);
}

struct mw_client *mw_client_ref(struct mw_client *client) {
  atomic_fetch_add_explicit(&client->refs, 1, memory_order_relaxed);
  return client;
}

void mw_client_unref(struct mw_client *client) {
  if (!client || atomic_fetch_sub_explicit(&client->refs, 1, memory_order_acq_rel) != 1) return;
  if (client->on_free) client->on_free(client->context);
  blob_unref(client->user);
  blob_unref(client->user_id);
  blob_unref(client->close_reason);
  object_count(OBJECT_CLIENT, -1);
  memory_free(client);
}

struct mw_bytes mw_client_id(const struct mw_client *client) {
  return (struct mw_bytes){client->id, CLIENT_ID_LEN};
}
struct mw_bytes mw_client_user_id(const struct mw_client *client) {
  struct bytes user_id = client_user_id(client);
  return (struct mw_bytes){user_id.ptr, user_id.len};
}
struct mw_bytes mw_client_transport(const struct mw_client *client) {
  return (struct mw_bytes){client->transport, strlen(client->transport)};
}
struct mw_bytes mw_client_remote(const struct mw_client *client) {
  return (struct mw_bytes){client->remote, strlen(client->remote)};
}
struct mw_bytes mw_client_user(const struct mw_client *client) {
  struct bytes user = blob_bytes(client->user);
  return (struct mw_bytes){user.ptr, user.len};
}
void *mw_client_context(const struct mw_client *client) { return client->context; }

void mw_client_set_context(struct mw_client *client, void *context, void (*on_free)(void *context)) {
  if (client->on_free) client->on_free(client->context);
  client->context = context;
  client->on_free = on_free;
}
