/* moonwire.core: the C half of the Lua module. See lua/moonwire/core.d.lua and server.d.lua. */
#include <string.h>
#include <time.h>

#include "lua/base/coroutine.h"
#include "lua/base/json.h"
#include "lua/base/scope.h"
#include "lua/base/wait.h"
#include "lua/fetch/lua_fetch.h"
#include "lua/lua_broker.h"
#include "lua/lua_server.h"
#include "lua/lua_testing.h"
#include "lua/objects/lua_client.h"
#include "lua/objects/lua_connection.h"
#include "lua/objects/lua_crypto.h"
#include "lua/objects/lua_publish.h"
#include "lua/objects/lua_publish_all.h"
#include "lua/objects/lua_timer.h"
#include "lua/objects/lua_token.h"
#include "lua/objects/lua_wait.h"
#include "lua/request/lua_follow.h"
#include "lua/request/lua_http.h"
#include "lua/request/lua_socket.h"
#include "lua/request/lua_stream.h"
#include "lua/serve.h"
#include "lua/work/lua_pool.h"

#if defined(__GNUC__) || defined(__clang__)
#define MODULE_EXPORT __attribute__((visibility("default")))
#else
#define MODULE_EXPORT
#endif

MODULE_EXPORT int luaopen_moonwire_core(lua_State *L);

static const char *const levels[] = {"debug", "info", "warning", "error", NULL};

/* core.log(level, text) */
static int log_text(lua_State *L) {
  enum mw_log_level level = (enum mw_log_level)luaL_checkoption(L, 1, NULL, levels);
  struct mw_bytes text = bytes_check(L, 2);
  mw_log(level, text.ptr, text.len);
  return 0;
}

/* core.log_error(level, place, text): writes a line that may repeat often. */
static int log_error(lua_State *L) {
  struct mw_log_error error = {.level = (enum mw_log_level)luaL_checkoption(L, 1, NULL, levels)};
  error.place = bytes_check(L, 2);
  error.text = bytes_check(L, 3);
  mw_log_error(&error);
  return 0;
}

/* core.own_directory(directory): lines of its files are not the script's. */
static int set_own_directory(lua_State *L) {
  door_set_own(door_get(L), luaL_checkstring(L, 1));
  return 0;
}

/* core.log_level(level): sets the lowest level that is written to standard error. */
static int set_log_level(lua_State *L) {
  mw_log_to((enum mw_log_level)luaL_checkoption(L, 1, NULL, levels), NULL, NULL);
  return 0;
}

/* core.busy(): returns whether a handler runs, or a turn. */
static int is_busy(lua_State *L) {
  lua_pushboolean(L, door_busy(door_get(L)));
  return 1;
}

/* core.now(): returns the time of the system in seconds, with fractions. */
static int system_time(lua_State *L) {
  struct timespec now = {0};
  timespec_get(&now, TIME_UTC);
  lua_pushnumber(L, (lua_Number)now.tv_sec + (lua_Number)now.tv_nsec / 1e9);
  return 1;
}

/* core.cores(): returns how many threads can run at the same time. */
static int count_cores(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)mw_cores());
  return 1;
}

int luaopen_moonwire_core(lua_State *L) {
  static const luaL_Reg functions[] = {{"server", server_new},
                                       {"sleep", task_sleep},
                                       {"wait", wait_for_descriptor},
                                       {"signal", wait_new_signal},
                                       {"connect", connection_connect},
                                       {"timeout", scope_timeout},
                                       {"child", timer_spawn_child},
                                       {"keep", client_keep},
                                       {"is_client", client_is},
                                       {"user_id", client_id_of_user},
                                       {"send", publish_to_client},
                                       {"close", client_close},
                                       {"subscribe", client_subscribe},
                                       {"unsubscribe", client_unsubscribe},
                                       {"is_stream", stream_is},
                                       {"stream_start", stream_start},
                                       {"stream_follow", follow_start},
                                       {"log", log_text},
                                       {"log_level", set_log_level},
                                       {"log_error", log_error},
                                       {"own_directory", set_own_directory},
                                       {"busy", is_busy},
                                       {"form", http_read_form},
                                       {"cores", count_cores},
                                       {"now", system_time},
                                       {"pool", pool_define},
                                       {"fetch", fetch_start},
                                       {"serve", serve},
                                       {"follow_link", serve_follow_link},
                                       {"check_address", serve_check_address},
                                       {"check_broker", broker_check},
                                       {"live", testing_live},
                                       {NULL, NULL}};
  door_get(L);
  coroutine_open(L);
  server_open(L);
  client_open(L);
  publish_all_open(L);
  stream_open(L);
  follow_open(L);
  socket_open(L);
  timer_open(L);
  wait_open(L);
  connection_class_open(L);
  scope_open(L);
  pool_open(L);
  fetch_open(L);
  token_open(L);
  testing_open(L);
  luaL_newlib(L, functions);
  client_push_methods(L);
  lua_setfield(L, -2, "client_methods");
  stream_push_methods(L);
  lua_setfield(L, -2, "stream_methods");
  json_push_module(L);
  lua_setfield(L, -2, "json");
  crypto_push(L);
  lua_setfield(L, -2, "crypto");
  token_push(L);
  lua_setfield(L, -2, "token");
  lua_pushstring(L, mw_version());
  lua_setfield(L, -2, "version");
  return 1;
}
