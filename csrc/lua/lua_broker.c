#include "lua/lua_broker.h"

#include <string.h>

enum { SENTINELS_MAX = 1000 }; /* the core allows fewer, and says how many */

/* Returns the string at the top, or NULL. C would read only a part of a string with a NUL. */
static const char *whole_string(lua_State *L, const char *name) {
  const char *string = luaL_optstring(L, -1, NULL);
  if (string && strlen(string) != lua_rawlen(L, -1)) luaL_error(L, "broker: %s has a NUL", name);
  return string;
}

/* Returns the string in that field, or NULL. It lives as long as the table. */
static const char *read_whole(lua_State *L, int index, const char *name) {
  lua_getfield(L, index, name);
  const char *string = whole_string(L, name);
  lua_pop(L, 1);
  return string;
}

static lua_Number read_number(lua_State *L, int index, const char *name) {
  lua_getfield(L, index, name);
  lua_Number number = luaL_optnumber(L, -1, 0);
  lua_pop(L, 1);
  return number;
}

static void read_sentinels(lua_State *L, int index, struct mw_broker_options *out) {
  lua_getfield(L, index, "sentinels");
  size_t count = lua_istable(L, -1) ? lua_rawlen(L, -1) : 0;
  if (count > SENTINELS_MAX) count = SENTINELS_MAX;
  const char **sentinels = lua_newuserdatauv(L, (count + 1) * sizeof *sentinels, 0);
  for (size_t i = 0; i < count; i++) {
    lua_rawgeti(L, -2, (lua_Integer)i + 1);
    sentinels[i] = whole_string(L, "a sentinel");
    lua_pop(L, 1);
  }
  lua_remove(L, -2);
  out->sentinels = sentinels;
  out->sentinel_count = count;
}

void broker_read(lua_State *L, int index, struct mw_broker_options *out) {
  *out = (struct mw_broker_options){.url = read_whole(L, index, "url"),
                                    .username = read_whole(L, index, "username"),
                                    .password = read_whole(L, index, "password"),
                                    .prefix = read_whole(L, index, "prefix"),
                                    .ca_file = read_whole(L, index, "ca_file"),
                                    .publish_ms = (uint64_t)(read_number(L, index, "publish_seconds") * 1000 + 0.5),
                                    .expiry_ms = (uint64_t)(read_number(L, index, "expiry_seconds") * 1000 + 0.5),
                                    .wait_replicas = (uint32_t)read_number(L, index, "wait_replicas")};
  lua_getfield(L, index, "verify");
  out->is_unverified = lua_isboolean(L, -1) && !lua_toboolean(L, -1);
  lua_pop(L, 1);
  read_sentinels(L, index, out);
}

int broker_check(lua_State *L) {
  struct mw_broker_options options;
  struct mw_error error = {""};
  luaL_checktype(L, 1, LUA_TTABLE);
  broker_read(L, 1, &options);
  int status = mw_broker_check(&options, &error);
  if (status == 0) return 0;
  lua_pushstring(L, error.text);
  return 1;
}
