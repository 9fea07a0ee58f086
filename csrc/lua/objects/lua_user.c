#include "lua/objects/lua_user.h"

#include "lua/objects/lua_publish.h"

/* server:close_user(user_id, reason): returns how many clients are closed. */
static int close_user(lua_State *L) {
  struct host *host = host_check_running(L, 1);
  struct mw_bytes user_id = bytes_check(L, 2);
  lua_pushinteger(L, (lua_Integer)mw_server_close_user(host->server, user_id.ptr, user_id.len, luaL_optstring(L, 3, "")));
  return 1;
}

/* server:send_user(user_id, channel, event, data, is_binary): returns to how many clients of this server
 * it is sent; or as publish_outcome. */
static int send_user(lua_State *L) {
  struct host *host = host_check_running(L, 1);
  struct mw_bytes user_id = bytes_check(L, 2);
  struct mw_publish publish = {.is_volatile = true};
  struct mw_error error = {""};
  size_t count = 0;
  lua_settop(L, 6);
  if (!lua_isnil(L, 3)) publish.channel = bytes_check(L, 3);
  if (!publish_read_content(L, 4, &publish)) return failure_push(L, lua_tostring(L, -1), publish_code(MW_EINVAL));
  int status = mw_server_send_user(host->server, user_id.ptr, user_id.len, &publish, &count, &error);
  publish_free_content(L, &publish);
  if (status < 0) return publish_outcome(L, status, &error);
  lua_pushinteger(L, (lua_Integer)count);
  return 1;
}

/* server:kick_user(user_id, channel, code, reason): returns as publish_outcome. */
static int kick_user(lua_State *L) {
  struct host *host = host_check_running(L, 1);
  struct mw_bytes user_id = bytes_check(L, 2), channel = bytes_check(L, 3);
  const char *code = luaL_checkstring(L, 4), *reason = luaL_checkstring(L, 5);
  int status = mw_server_kick_user(host->server, user_id.ptr, user_id.len, channel.ptr, channel.len, code, reason);
  struct mw_error error = {""};
  if (status == MW_ENOTFOUND || status == MW_EINVAL) mw_config_match(host->config, channel.ptr, channel.len, &error);
  return publish_outcome(L, status, &error);
}

const luaL_Reg user_methods[] = {{"close_user", close_user}, {"send_user", send_user}, {"kick_user", kick_user}, {NULL, NULL}};
