#include "lua/objects/lua_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lua/base/handle.h"
#include "lua/base/json.h"
#include "lua/objects/lua_publish.h"

static const char client_class[] = "moonwire.client";

/* Longer ids do not exist. */
enum { USER_ID_MAX = 4096 };

/* User values of the object: decoded once, then the same table. The text shows whether the user has
 * changed since. The host is kept because the object calls it. */
enum { VALUE_USER = 1, VALUE_USER_TEXT, VALUE_DATA, VALUE_HOST, VALUE_COUNT = VALUE_HOST };

struct client_object {
  struct mw_client *client; /* referred to */
  struct host *host;
  bool data_read; /* read by a handler since client_keep, which may have changed it */
};

/* client.data as JSON, so that it outlives the Lua state that wrote it. It is the client's context
 * pointer. */
struct client_data {
  size_t len;
  char text[];
};

/* Keys of the registry: a weak table from clients to their objects, and the methods in
 * client.lua. */
static const char objects_key, methods_key;

/* ---- What is kept -------------------------------------------------------------------------------------------------------- */

/* Stores the value at `index`; nil forgets it. Returns false if it is not plain data: pushes a
 * message with the path, and keeps the earlier value. */
static bool store_data(lua_State *L, struct client_object *object, int index) {
  struct client_data *data = NULL;
  if (!lua_isnil(L, index)) {
    struct mw_bytes text = json_encode(L, index, "client.data");
    if (!text.ptr) return false;
    data = malloc(sizeof *data + text.len);
    if (!data) luaL_error(L, "not enough memory");
    data->len = text.len;
    memcpy(data->text, text.ptr, text.len);
    json_free(L, -1);
    lua_pop(L, 1);
  }
  object->data_read = false;
  mw_client_set_context(object->client, data, data ? free : NULL);
  return true;
}

/* Forgets the decoded table with all changes in it. The next read decodes the stored value. Cannot
 * raise. */
static void forget_changes(lua_State *L, int index, struct client_object *object) {
  object->data_read = false;
  lua_pushnil(L);
  lua_setiuservalue(L, index, VALUE_DATA);
}

/* Stores changes in the table of the object at `index`. Returns false if that fails: pushes a
 * message, and forgets the changes. */
static bool store_changes(lua_State *L, int index, struct client_object *object) {
  bool was_read = object->data_read && lua_getiuservalue(L, index, VALUE_DATA) == LUA_TTABLE;
  if (!was_read || store_data(L, object, lua_gettop(L))) return true;
  forget_changes(L, index, object);
  return false;
}

/* ---- The object ---------------------------------------------------------------------------------------------------------- */

static struct client_object *check_client(lua_State *L, int index) { return luaL_checkudata(L, index, client_class); }

/* What an object keeps alive outside of Lua, in units of 1024 bytes. Lua does not know of it.
 * Without it, thousands of clients that have disconnected would wait for the garbage collector. */
enum { KEPT_ALIVE = 1 };

static void make_object(lua_State *L, struct host *host, struct mw_client *client) {
  if (lua_gc(L, LUA_GCISRUNNING)) lua_gc(L, LUA_GCSTEP, KEPT_ALIVE);
  struct client_object *object = handle_new(L, client_class, sizeof *object, VALUE_COUNT);
  object->client = mw_client_ref(client);
  object->host = host;
  handle_push(L, host);
  lua_setiuservalue(L, -2, VALUE_HOST);
}

void client_push(lua_State *L, struct host *host, struct mw_client *client) {
  luaL_checkstack(L, 6, "no room for a client");
  lua_rawgetp(L, LUA_REGISTRYINDEX, &objects_key);
  if (lua_rawgetp(L, -1, client) == LUA_TNIL) {
    lua_pop(L, 1);
    make_object(L, host, client);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, -3, client);
  }
  lua_remove(L, -2);
}

struct mw_client *client_at(lua_State *L, int index, struct mw_server **server) {
  struct client_object *object = check_client(L, index);
  if (server) *server = object->host->server;
  return object->client;
}

/* Pushes the user value. Decodes `text` into it the first time; nil if `text` is empty. */
static void push_cached(lua_State *L, int value, struct mw_bytes text) {
  if (lua_getiuservalue(L, 1, value) != LUA_TNIL || text.len == 0) return;
  lua_pop(L, 1);
  if (!json_decode(L, text)) luaL_error(L, "%s", lua_tostring(L, -1));
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, 1, value);
}

/* A token may have changed the user since it was decoded. */
static void push_user(lua_State *L, const struct client_object *object) {
  struct mw_bytes text = mw_client_user(object->client), known = {NULL, 0};
  lua_getiuservalue(L, 1, VALUE_USER_TEXT);
  known.ptr = lua_tolstring(L, -1, &known.len);
  bool same = known.len == text.len && (text.len == 0 || memcmp(known.ptr, text.ptr, text.len) == 0);
  lua_pop(L, 1);
  if (!same) {
    lua_pushnil(L);
    lua_setiuservalue(L, 1, VALUE_USER);
    bytes_push(L, text);
    lua_setiuservalue(L, 1, VALUE_USER_TEXT);
  }
  push_cached(L, VALUE_USER, text);
}

static void push_data(lua_State *L, struct client_object *object) {
  const struct client_data *data = mw_client_context(object->client);
  push_cached(L, VALUE_DATA, data ? (struct mw_bytes){data->text, data->len} : (struct mw_bytes){NULL, 0});
  object->data_read = true;
}

/* Pushes the method of that name, and returns whether it exists. */
static bool push_method(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &methods_key);
  lua_pushvalue(L, 2);
  return lua_rawget(L, -2) != LUA_TNIL;
}

static int client_get_field(lua_State *L) {
  struct client_object *object = check_client(L, 1);
  const char *name = luaL_checkstring(L, 2);
  if (strcmp(name, "id") == 0) {
    bytes_push(L, mw_client_id(object->client));
  } else if (strcmp(name, "user") == 0) {
    push_user(L, object);
  } else if (strcmp(name, "user_id") == 0) {
    bytes_push(L, mw_client_user_id(object->client));
  } else if (strcmp(name, "transport") == 0) {
    bytes_push(L, mw_client_transport(object->client));
  } else if (strcmp(name, "remote") == 0) {
    bytes_push(L, mw_client_remote(object->client));
  } else if (strcmp(name, "data") == 0) {
    push_data(L, object);
  } else if (!push_method(L)) {
    return luaL_error(L, "no such field of a client: '%s'", name);
  }
  return 1;
}

static int set_field(lua_State *L) {
  struct client_object *object = check_client(L, 1);
  const char *name = luaL_checkstring(L, 2);
  if (strcmp(name, "data") != 0) return luaL_error(L, "cannot set client.%s; use client.data for your own values", name);
  lua_settop(L, 3);
  if (!lua_isnil(L, 3)) luaL_argexpected(L, lua_istable(L, 3), 3, "table");
  if (!store_data(L, object, 3)) return luaL_error(L, "%s", lua_tostring(L, -1));
  lua_setiuservalue(L, 1, VALUE_DATA);
  return 0;
}

int client_keep(lua_State *L) {
  struct client_object *object = check_client(L, 1);
  lua_settop(L, 1);
  if (store_changes(L, 1, object)) {
    lua_pushboolean(L, true);
    return 1;
  }
  lua_pushnil(L);
  lua_insert(L, -2);
  return 2;
}

/* Pushes the client's object if it exists, else nil. Does not allocate. */
static struct client_object *push_known(lua_State *L, const struct mw_client *client) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &objects_key);
  lua_rawgetp(L, -1, client);
  lua_remove(L, -2);
  return lua_touserdata(L, -1);
}

bool client_store_changes(lua_State *L, const struct mw_client *client) {
  luaL_checkstack(L, 6, "no room for a client");
  struct client_object *object = push_known(L, client);
  return !object || store_changes(L, lua_gettop(L), object);
}

void client_forget_changes(lua_State *L, const struct mw_client *client) {
  if (!lua_checkstack(L, 4)) return;
  struct client_object *object = push_known(L, client);
  if (object) forget_changes(L, lua_gettop(L), object);
  lua_pop(L, 1);
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

/* ---- Methods ------------------------------------------------------------------------------------------------------------ */

/* core.is_client(value) */
int client_is(lua_State *L) {
  lua_pushboolean(L, luaL_testudata(L, 1, client_class) != NULL);
  return 1;
}

/* core.user_id(value): the id of a user whose `id` is the value; false if that is none. */
int client_id_of_user(lua_State *L) {
  char id[USER_ID_MAX];
  luaL_checkany(L, 1);
  lua_settop(L, 1);
  lua_createtable(L, 0, 1);
  lua_pushvalue(L, 1);
  lua_setfield(L, 2, "id");
  struct mw_bytes user = json_encode(L, 2, "user");
  size_t len = user.ptr ? mw_user_id(user.ptr, user.len, id, sizeof id) : 0;
  if (len > 0 && len <= sizeof id) {
    json_free(L, -1);
    lua_pushlstring(L, id, len);
  } else {
    lua_pushboolean(L, false);
  }
  return 1;
}

/* core.close(client, code, reason): returns true; or nil, message, code. So do the next two. */
int client_close(lua_State *L) {
  struct mw_server *server;
  struct mw_client *client = client_at(L, 1, &server);
  int code = (int)luaL_checkinteger(L, 2);
  const char *reason = luaL_checkstring(L, 3);
  int status = server ? mw_client_close(server, client, code, reason) : MW_ECLOSED;
  struct mw_error error = {""};
  if (status == MW_EINVAL) snprintf(error.text, sizeof error.text, "invalid close code %d", code);
  return publish_outcome(L, status, &error);
}

/* Called only after a failure: finds what is wrong with the name of a channel. */
static void explain_name(const struct client_object *object, struct mw_bytes name, struct mw_error *error) {
  if (object->host->config) mw_config_match(object->host->config, name.ptr, name.len, error);
}

/* core.subscribe(client, channel) */
int client_subscribe(lua_State *L) {
  struct client_object *object = check_client(L, 1);
  struct mw_bytes name = bytes_check(L, 2);
  struct mw_server *server = object->host->server;
  struct mw_error error = {""};
  int status = server ? mw_client_subscribe(server, object->client, name.ptr, name.len) : MW_ECLOSED;
  if (status != 0) explain_name(object, name, &error);
  return publish_outcome(L, status, &error);
}

/* core.unsubscribe(client, channel, code, reason) */
int client_unsubscribe(lua_State *L) {
  struct client_object *object = check_client(L, 1);
  struct mw_bytes name = bytes_check(L, 2);
  const char *code = luaL_checkstring(L, 3), *reason = luaL_checkstring(L, 4);
  struct mw_server *server = object->host->server;
  struct mw_error error = {""};
  int status = server ? mw_client_unsubscribe(server, object->client, name.ptr, name.len, code, reason) : MW_ECLOSED;
  if (status != 0) explain_name(object, name, &error);
  return publish_outcome(L, status, &error);
}

/* server:client(id): returns the connected client with that id, or nil. */
int client_find(lua_State *L) {
  struct host *host = host_check_running(L, 1);
  struct mw_bytes id = bytes_check(L, 2);
  /* A temporary object owns the reference, because the following calls may raise. */
  struct client_object *holder = handle_new(L, client_class, sizeof *holder, 0);
  holder->client = mw_client_find(host->server, id.ptr, id.len);
  if (!holder->client) return 0;
  client_push(L, host, holder->client);
  return 1;
}

/* server:clients(): returns a list of the connected clients. */
int client_list(lua_State *L) {
  struct host *host = host_check_running(L, 1);
  struct client_object *holder = handle_new(L, client_class, sizeof *holder, 0);
  lua_newtable(L);
  lua_Integer count = 0;
  while ((holder->client = mw_client_next(host->server, holder->client)) != NULL) {
    client_push(L, host, holder->client);
    lua_rawseti(L, -2, ++count);
  }
  return 1;
}

void client_push_methods(lua_State *L) { lua_rawgetp(L, LUA_REGISTRYINDEX, &methods_key); }

void client_open(lua_State *L) {
  static const luaL_Reg metamethods[] = {{"__index", client_get_field},
                                         {"__newindex", set_field},
                                         {"__tostring", describe_client},
                                         {"__gc", collect_client},
                                         {NULL, NULL}};
  handle_class(L, client_class, metamethods, NULL);
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "v");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &objects_key);
  lua_newtable(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &methods_key);
}
