#include "lua/objects/lua_history.h"

struct reading {
  lua_State *L;
  struct host *host;
  struct mw_bytes channel;
  struct mw_history_query query;
  lua_Integer count;
};

static void set_bytes(lua_State *L, const char *name, struct mw_bytes bytes) {
  bytes_push(L, bytes);
  lua_setfield(L, -2, name);
}

/* Appends a message to the list at the top. */
static void put_kept(void *context, const struct mw_kept *kept) {
  struct reading *reading = context;
  lua_State *L = reading->L;
  lua_createtable(L, 0, 6);
  set_bytes(L, "id", kept->id);
  set_bytes(L, "event", kept->event);
  set_bytes(L, kept->is_binary ? "binary" : "raw", kept->data);
  if (kept->from.len > 0) set_bytes(L, "from", kept->from);
  if (kept->key.len > 0) set_bytes(L, "key", kept->key);
  lua_pushnumber(L, (lua_Number)kept->age_ms / 1000);
  lua_setfield(L, -2, "age");
  lua_rawseti(L, -2, ++reading->count);
}

static int read_all(lua_State *L) {
  struct reading *reading = lua_touserdata(L, 1);
  bool more = false;
  struct mw_error error = {""};
  reading->L = L;
  lua_newtable(L);
  int status = mw_channel_history(reading->host->server, reading->channel.ptr, reading->channel.len, &reading->query, put_kept,
                                  reading, &more, &error);
  if (status == 0) {
    lua_pushboolean(L, more);
  } else {
    lua_pushnil(L);
    lua_pushstring(L, error.text);
  }
  return 2;
}

int history_read(lua_State *L) {
  struct reading reading = {.host = host_check_running(L, 1), .channel = bytes_check(L, 2)};
  reading.query.since = luaL_optstring(L, 3, NULL);
  reading.query.before = luaL_optstring(L, 4, NULL);
  reading.query.limit = (size_t)luaL_optinteger(L, 5, 0);
  lua_pushcfunction(L, read_all);
  lua_pushlightuserdata(L, &reading);
  call_uncollected(L, 1, 2);
  return 2;
}
