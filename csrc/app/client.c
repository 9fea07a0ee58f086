#include "app/client.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "auth/secret.h"
#include "base/memory.h"
#include "base/refs.h"
#include "codec/json_scan.h"

static const char *const transports[] = {"websocket", "sse", "poll", "http"};
enum { TRANSPORT_COUNT = sizeof transports / sizeof *transports };

static uint8_t transport_of(const char *name) {
  uint8_t index = 0;
  while (index < TRANSPORT_COUNT && strcmp(transports[index], name) != 0) index++;
  assert(index < TRANSPORT_COUNT);
  return index;
}

struct mw_client *client_new(const char *transport, const char *remote) {
  size_t remote_size = strlen(remote) + 1;
  struct mw_client *client = memory_calloc(1, offsetof(struct mw_client, remote) + remote_size);
  if (!client) return NULL;
  atomic_init(&client->refs, 1);
  secret_name(client->id, CLIENT_ID_LEN);
  list_init(&client->in_registry);
  atomic_init(&client->gone, false);
  atomic_init(&client->closing, false);
  client->transport = transport_of(transport);
  memcpy(client->remote, remote, remote_size);
  object_count(OBJECT_CLIENT, 1);
  return client;
}

/* ---- The id of a user ------------------------------------------------------------------------ */

enum { NUMBER_MAX = 400 };

/* Appends an integer in digits, however JSON writes it: 7, 7.0, and 70e-1 are the same. Appends
 * nothing for other numbers. */
static void append_integer(struct buffer *out, struct bytes number) {
  const double exact_max = 9007199254740992.0; /* 2^53 */
  bool is_plain =
      bytes_find(number, '.') == number.len && bytes_find(number, 'e') == number.len && bytes_find(number, 'E') == number.len;
  char text[NUMBER_MAX];
  if (number.len >= sizeof text) return;
  memcpy(text, number.ptr, number.len);
  text[number.len] = '\0';
  if (is_plain) {
    buffer_append_string(out, strcmp(text, "-0") == 0 ? "0" : text);
    return;
  }
  double value = strtod(text, NULL);
  if (value > -exact_max && value < exact_max && (double)(int64_t)value == value)
    buffer_append_format(out, "%lld", (long long)value);
}

static void append_id(struct buffer *out, struct json_value value) {
  if (value.type == JSON_STRING) json_string_decode(value, out);
  if (value.type == JSON_NUMBER) append_integer(out, value.raw);
}

/* Appends the id in a user's JSON: "id", else "sub", if it is a non-empty string or an integer.
 * Appends nothing if there is none. */
static void append_user_id(struct buffer *out, struct bytes user) {
  struct json_value object, name, value, id = {0}, sub = {0};
  if (!json_scan(user, &object, NULL) || object.type != JSON_OBJECT) return;
  struct bytes rest = object.raw;
  while (json_next_member(&rest, &name, &value)) {
    if (json_string_equal(name, BYTES("id"))) id = value;
    if (json_string_equal(name, BYTES("sub"))) sub = value;
  }
  append_id(out, id);
  if (out->len == 0 && !out->failed) append_id(out, sub);
}

size_t mw_user_id(const char *user, size_t user_len, char *id, size_t id_size) {
  struct buffer text;
  buffer_init(&text);
  append_user_id(&text, bytes_of(user, user_len));
  size_t len = text.failed ? 0 : text.len;
  if (len > 0) memcpy(id, text.data, len < id_size ? len : id_size);
  buffer_deinit(&text);
  return len;
}

/* False: out of memory. *id is a reference, or NULL. */
static bool read_user_id(struct blob *user, struct blob **id) {
  struct buffer text;
  *id = NULL;
  buffer_init(&text);
  append_user_id(&text, blob_bytes(user));
  if (text.len > 0 && !text.failed) *id = blob_new(buffer_bytes(&text));
  bool is_read = !text.failed && (text.len == 0 || *id);
  buffer_deinit(&text);
  return is_read;
}

/* Guards the replacement of a user against those who compare users. */
static pthread_mutex_t users = PTHREAD_MUTEX_INITIALIZER;

int client_set_user(struct mw_client *client, struct blob *user) {
  struct blob *user_id;
  bool is_read = read_user_id(user, &user_id);
  bool same = is_read && (!client->user || bytes_equal(blob_bytes(user_id), blob_bytes(client->user_id)));
  if (!same) {
    blob_unref(user_id);
    blob_unref(user);
    return is_read ? MW_EINVAL : MW_ENOMEM;
  }
  pthread_mutex_lock(&users);
  struct blob *before = client->user;
  client->user = user;
  pthread_mutex_unlock(&users);
  blob_unref(before);
  /* The id stays where it is: other threads may be reading it. */
  if (client->user_id) {
    blob_unref(user_id);
  } else {
    client->user_id = user_id;
  }
  return 0;
}

static bool is_same_user(const struct mw_client *one, const struct mw_client *other) {
  if (!one->user || !other->user) return !one->user && !other->user;
  if (!one->user_id && !other->user_id) return bytes_equal(blob_bytes(one->user), blob_bytes(other->user));
  return one->user_id && other->user_id && bytes_equal(blob_bytes(one->user_id), blob_bytes(other->user_id));
}

bool client_same_user(const struct mw_client *one, const struct mw_client *other) {
  pthread_mutex_lock(&users);
  bool is_same = is_same_user(one, other);
  pthread_mutex_unlock(&users);
  return is_same;
}

struct bytes client_user_id(const struct mw_client *client) {
  return client->user_id ? blob_bytes(client->user_id) : bytes_of(client->id, CLIENT_NAME_LEN);
}

struct mw_client *mw_client_ref(struct mw_client *client) {
  refs_add(&client->refs);
  return client;
}

void mw_client_unref(struct mw_client *client) {
  if (!client || !refs_remove(&client->refs)) return;
  if (client->on_free) client->on_free(client->context);
  blob_unref(client->user);
  blob_unref(client->user_id);
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
  const char *name = transports[client->transport];
  return (struct mw_bytes){name, strlen(name)};
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
