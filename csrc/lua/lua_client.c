#include "lua/lua_client.h"

#include <stdlib.h>
#include <string.h>

#include "lua/handle.h"
#include "lua/json.h"

static const char client_class[] = "moonwire.client";

/* User values of the object: decoded once, and then the same table. The host is kept because the object speaks to it. */
enum { VALUE_USER = 1, VALUE_DATA, VALUE_HOST, VALUE_COUNT = VALUE_HOST };

/* Clients that were given data and have not joined: they usually join at once, but may as well have gone. */
enum { FRESH_MAX = 1000 };

struct client_object {
  struct mw_client *client; /* referred to */
  struct host *host;
};

/* Hangs at the client's context. */
struct client_data {
  struct client_data *prev, *next; /* in host->joined or host->fresh */
  struct mw_client *client;        /* referred to */
  char *text;                      /* JSON; NULL: none */
  size_t len;
  size_t join_count;
};

/* ---- What is kept -------------------------------------------------------------------------------------------------------- */

static void link_data(struct client_data **list, struct client_data *data) {
  data->prev = NULL;
  data->next = *list;
  if (*list) (*list)->prev = data;
  *list = data;
}

static void unlink_data(struct client_data **list, struct client_data *data) {
  if (data->prev) {
    data->prev->next = data->next;
  } else {
    *list = data->next;
  }
  if (data->next) data->next->prev = data->prev;
}

static void drop_data(struct host *host, struct client_data *data) {
  if (data->join_count == 0) host->fresh_count--;
  unlink_data(data->join_count > 0 ? &host->joined : &host->fresh, data);
  mw_client_set_context(data->client, NULL);
  mw_client_unref(data->client);
  free(data->text);
  free(data);
}

static void drop_oldest(struct host *host) {
  struct client_data *data = host->fresh;
  while (data->next) data = data->next;
  drop_data(host, data);
}

static struct client_data *find_or_make(struct host *host, struct mw_client *client) {
  struct client_data *data = mw_client_context(client);
  if (data) return data;
  if (host->fresh_count >= FRESH_MAX) drop_oldest(host);
  data = calloc(1, sizeof *data);
  if (!data) return NULL;
  data->client = mw_client_ref(client);
  mw_client_set_context(client, data);
  link_data(&host->fresh, data);
  host->fresh_count++;
  return data;
}

void client_joined(struct host *host, struct mw_client *client) {
  struct client_data *data = find_or_make(host, client);
  if (!data || data->join_count++ > 0) return; /* without memory the data are dropped early, which is all */
  unlink_data(&host->fresh, data);
  host->fresh_count--;
  link_data(&host->joined, data);
}

void client_left(struct host *host, struct mw_client *client) {
  struct client_data *data = mw_client_context(client);
  if (!data || data->join_count == 0) return;
  if (data->join_count == 1) {
    drop_data(host, data);
  } else {
    data->join_count--;
  }
}

void client_drop_all(struct host *host) {
  while (host->joined) drop_data(host, host->joined);
  while (host->fresh) drop_data(host, host->fresh);
}

/* Stores the value at `index`, nil to forget. Raises with the path of what is no plain data. */
static void store_data(lua_State *L, struct client_object *object, int index) {
  if (object->host->closed) return;
  char *copy = NULL;
  struct mw_bytes text = {NULL, 0};
  if (!lua_isnil(L, index)) {
    text = json_encode(L, index, "client.data");
    if (!text.ptr) luaL_error(L, "%s", lua_tostring(L, -1));
    copy = malloc(text.len);
    if (!copy) luaL_error(L, "not enough memory");
    memcpy(copy, text.ptr, text.len);
    lua_pop(L, 1);
  }
  struct client_data *data = copy ? find_or_make(object->host, object->client) : mw_client_context(object->client);
  if (!data && !copy) return;
  if (!data) {
    free(copy);
    luaL_error(L, "not enough memory");
  }
  free(data->text);
  data->text = copy;
  data->len = text.len;
}

/* ---- The object ---------------------------------------------------------------------------------------------------------- */

static struct client_object *check_client(lua_State *L, int index) { return luaL_checkudata(L, index, client_class); }

void client_push(lua_State *L, struct host *host, struct mw_client *client) {
  struct client_object *object = handle_new(L, client_class, sizeof *object, VALUE_COUNT);
  object->client = mw_client_ref(client);
  object->host = host;
  handle_push(L, host);
  lua_setiuservalue(L, -2, VALUE_HOST);
}

/* Pushes the user value, decoding `text` into it the first time; nil if there is no text. */
static void push_cached(lua_State *L, int value, struct mw_bytes text) {
  if (lua_getiuservalue(L, 1, value) != LUA_TNIL || text.len == 0) return;
  lua_pop(L, 1);
  if (!json_decode(L, text)) luaL_error(L, "%s", lua_tostring(L, -1));
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, 1, value);
}

/* user.id, else user.sub, else the client's id. */
static void push_user_id(lua_State *L, const struct client_object *object) {
  static const char *const names[] = {"id", "sub"};
  push_cached(L, VALUE_USER, mw_client_user(object->client));
  for (size_t i = 0; i < 2 && lua_istable(L, -1); i++) {
    lua_pushstring(L, names[i]);
    int type = lua_rawget(L, -2);
    if (type == LUA_TSTRING || type == LUA_TNUMBER) return;
    lua_pop(L, 1);
  }
  bytes_push(L, mw_client_id(object->client));
}

static int get_field(lua_State *L) {
  struct client_object *object = check_client(L, 1);
  const char *name = luaL_checkstring(L, 2);
  if (strcmp(name, "id") == 0) {
    bytes_push(L, mw_client_id(object->client));
  } else if (strcmp(name, "user") == 0) {
    push_cached(L, VALUE_USER, mw_client_user(object->client));
  } else if (strcmp(name, "user_id") == 0) {
    push_user_id(L, object);
  } else if (strcmp(name, "transport") == 0) {
    bytes_push(L, mw_client_transport(object->client));
  } else if (strcmp(name, "remote") == 0) {
    bytes_push(L, mw_client_remote(object->client));
  } else if (strcmp(name, "data") == 0) {
    struct client_data *data = object->host->closed ? NULL : mw_client_context(object->client);
    push_cached(L, VALUE_DATA, data && data->text ? (struct mw_bytes){data->text, data->len} : (struct mw_bytes){NULL, 0});
  } else {
    return luaL_error(L, "a client has no field '%s'", name);
  }
  return 1;
}

static int set_field(lua_State *L) {
  struct client_object *object = check_client(L, 1);
  const char *name = luaL_checkstring(L, 2);
  if (strcmp(name, "data") != 0) return luaL_error(L, "cannot set client.%s; a handler's own values go into client.data", name);
  lua_settop(L, 3);
  if (!lua_isnil(L, 3)) luaL_argexpected(L, lua_istable(L, 3), 3, "table");
  store_data(L, object, 3);
  lua_setiuservalue(L, 1, VALUE_DATA);
  return 0;
}

int client_keep(lua_State *L) {
  struct client_object *object = check_client(L, 1);
  if (lua_getiuservalue(L, 1, VALUE_DATA) == LUA_TTABLE) store_data(L, object, lua_gettop(L));
  return 0;
}

static int compare_clients(lua_State *L) {
  lua_pushboolean(L, check_client(L, 1)->client == check_client(L, 2)->client);
  return 1;
}

static int describe_client(lua_State *L) {
  lua_pushliteral(L, "client ");
  bytes_push(L, mw_client_id(check_client(L, 1)->client));
  lua_concat(L, 2);
  return 1;
}

static int collect_client(lua_State *L) {
  struct client_object *object = lua_touserdata(L, 1);
  mw_client_unref(object->client);
  object->client = NULL;
  return 0;
}

void client_open(lua_State *L) {
  static const luaL_Reg metamethods[] = {{"__index", get_field},          {"__newindex", set_field}, {"__eq", compare_clients},
                                         {"__tostring", describe_client}, {"__gc", collect_client},  {NULL, NULL}};
  handle_class(L, client_class, metamethods, NULL);
}
