/* core.server: starts, runs, and stops a server. */
#include "lua/lua_server.h"

#include <stdlib.h>
#include <string.h>

#include "lua/base/handle.h"
#include "lua/base/json.h"
#include "lua/lua_config.h"
#include "lua/objects/lua_client.h"
#include "lua/objects/lua_history.h"
#include "lua/objects/lua_lease.h"
#include "lua/objects/lua_presence.h"
#include "lua/objects/lua_publish.h"
#include "lua/objects/lua_publish_all.h"
#include "lua/objects/lua_timer.h"
#include "lua/objects/lua_token.h"
#include "lua/objects/lua_user.h"
#include "lua/signals.h"

/* ---- Life ---------------------------------------------------------------------------------------------------------------- */

int server_new(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_checktype(L, 2, LUA_TTABLE);
  struct host *host = handle_new(L, host_class, sizeof *host, 2);
  group_init(&host->group, door_get(L));
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, -2, 1);
  host->config = config_read(L, 1, host);
  return 1;
}

/* Ends everything that belongs to the server, in the order of dependencies. A handler that ends here
 * may close the state, by os.exit: the finalizer then does all of it, and the first call never
 * continues. */
static void close_host(lua_State *L, struct host *host) {
  if (host->freed) return;
  host->closed = true;
  group_close(&host->group);
  host->freed = true;
  while (host->resources) host->resources->release(host->resources);
  mw_server_free(host->server);
  if (host->watches_signals) signals_restore();
  host->server = NULL;
  mw_config_unref(host->config);
  host->config = NULL;
  places_free(&host->places);
  free(host->spare_published);
  host->spare_published = NULL;
  handle_unpin(L, host);
}

static int collect_host(lua_State *L) {
  close_host(L, host_check(L, 1));
  return 0;
}

/* server:start([workers]): returns true, or nil and what is wrong. */
static int start(lua_State *L) {
  struct host *host = host_check(L, 1);
  if (host->server || host->closed) return luaL_error(L, "the app has already been started");
  struct mw_server_options options = {.config = host->config, .workers = (unsigned)luaL_optinteger(L, 2, 0)};
  struct mw_error error = {""};
  handle_pin(L, 1, host);
  int status = mw_server_new(&host->server, &options, &error);
  if (status != 0) {
    host->server = NULL;
    handle_unpin(L, host);
    lua_pushnil(L);
    lua_pushstring(L, error.text[0] ? error.text : mw_status_text(status));
    return 2;
  }
  group_start(&host->group, host->server);
  lua_pushboolean(L, true);
  return 1;
}

/* server:listen(address, is_private, unix_mode, proxy_protocol): returns true, or nil and what is wrong. */
static int listen_at(lua_State *L) {
  struct host *host = host_check_running(L, 1);
  struct mw_listen_options options = {
      .is_private = lua_toboolean(L, 3), .unix_mode = (unsigned)luaL_optinteger(L, 4, 0), .proxy_protocol = lua_toboolean(L, 5)};
  struct mw_error error = {""};
  int status = mw_server_listen(host->server, luaL_checkstring(L, 2), &options, &error);
  lua_pushboolean(L, true);
  if (status == 0) return 1;
  lua_pushnil(L);
  lua_pushstring(L, error.text[0] ? error.text : mw_status_text(status));
  return 2;
}

/* server:address(i): returns the address of the i-th listener, from 1, or nil after the last. */
static int address(lua_State *L) {
  struct host *host = host_check_running(L, 1);
  lua_Integer i = luaL_checkinteger(L, 2);
  lua_pushstring(L, i >= 1 ? mw_server_address(host->server, (size_t)i - 1) : NULL);
  return 1;
}

struct host *server_check_turning(lua_State *L) {
  struct host *host = host_check_running(L, 1);
  if (door_busy(host->group.door)) luaL_error(L, "cannot be called from a handler");
  return host;
}

void server_turned(lua_State *L, struct host *host, bool alive) {
  if (!alive) close_host(L, host);
  door_shut(host->group.door);
}

/* server:run(): runs the server until it has stopped. */
static int run(lua_State *L) {
  struct host *host = server_check_turning(L);
  door_open(host->group.door, L);
  int status = mw_server_run(host->server);
  close_host(L, host);
  door_shut(host->group.door);
  if (status != 0) return luaL_error(L, "cannot run: %s", mw_status_text(status));
  return 0;
}

/* server:step(): runs one turn without waiting. Returns false once it has stopped: call finish. */
static int step(lua_State *L) {
  struct host *host = server_check_turning(L);
  door_open(host->group.door, L);
  bool alive = mw_server_step(host->server);
  server_turned(L, host, true);
  lua_pushboolean(L, alive);
  return 1;
}

/* server:finish(): frees a server that has stopped. The handlers that wait end. */
static int finish(lua_State *L) {
  struct host *host = host_check(L, 1);
  if (host->freed) return 0;
  server_check_turning(L);
  door_open(host->group.door, L);
  server_turned(L, host, false);
  return 0;
}

static int stop(lua_State *L) {
  struct host *host = host_check(L, 1);
  if (host->server) mw_server_stop(host->server, NULL, NULL);
  return 0;
}

static int descriptor(lua_State *L) {
  lua_pushinteger(L, mw_server_fd(host_check_running(L, 1)->server));
  return 1;
}

/* server:timeout(): returns the seconds until a step has something to do in any case, or nil. */
static int timeout(lua_State *L) {
  int timeout_ms = mw_server_timeout(host_check_running(L, 1)->server);
  if (timeout_ms < 0) return 0;
  lua_pushnumber(L, timeout_ms / 1000.0);
  return 1;
}

/* server:stop_on_signals(): returns true, or nil and what is wrong. */
static int stop_on_signals(lua_State *L) {
  struct host *host = host_check_running(L, 1);
  if (host->watches_signals) return luaL_error(L, "signals are watched already");
  host->watches_signals = true;
  int status = signals_watch(host->server);
  lua_pushboolean(L, true);
  if (status == 0) return 1;
  lua_pushnil(L);
  lua_pushfstring(L, "cannot watch signals: %s", mw_status_text(status));
  return 2;
}

/* server:count(channel): returns its subscriptions, and whether it is live. */
static int count(lua_State *L) {
  struct host *host = host_check_running(L, 1);
  struct mw_bytes name = bytes_check(L, 2);
  bool exists = false;
  lua_pushinteger(L, (lua_Integer)mw_channel_count(host->server, name.ptr, name.len, &exists));
  lua_pushboolean(L, exists);
  return 2;
}

/* server:stats() */
static int stats(lua_State *L) {
  const struct host *host = host_check_running(L, 1);
  struct mw_stats stats;
  mw_server_stats(host->server, &stats);
  const struct {
    const char *name;
    uint64_t value;
  } fields[] = {
      {"connections", stats.connections},
      {"accepted", stats.accepted},
      {"requests", stats.requests},
      {"published", stats.published},
      {"delivered", stats.delivered},
      {"slow", stats.slow},
      {"slow_closed", stats.slow_closed},
      {"slow_dropped", stats.slow_dropped},
      {"slow_replaced", stats.slow_replaced},
      {"dead_closed", stats.dead_closed},
      {"deflated", stats.deflated},
      {"gaps", stats.gaps},
      {"subscriptions", stats.subscriptions},
      {"channels", stats.channels},
      {"history_bytes", stats.history_bytes},
      {"evicted", stats.evicted},
      {"marks", stats.marks},
      {"floor_gaps", stats.floor_gaps},
      {"polls", stats.polls},
      {"poll_clients", stats.poll_clients},
      {"broker_losses", stats.broker_losses},
      {"broker_lost_ms", stats.broker_lost_ms},
  };
  lua_createtable(L, 0, (int)(sizeof fields / sizeof *fields));
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
    lua_pushinteger(L, (lua_Integer)fields[i].value);
    lua_setfield(L, -2, fields[i].name);
  }
  lua_createtable(L, 0, MW_LIMIT_COUNT);
  for (int i = 0; i < MW_LIMIT_COUNT; i++) {
    lua_pushinteger(L, (lua_Integer)stats.limits[i]);
    lua_setfield(L, -2, mw_limit_name((enum mw_limit)i));
  }
  lua_setfield(L, -2, "limits");
  timings_push(L, &host->group.timings);
  lua_setfield(L, -2, "handlers");
  return 1;
}

/* server:match(name): returns the number of the kind and a table of the captures; or nil and what
 * is wrong. */
static int match_name(lua_State *L) {
  struct host *host = host_check(L, 1);
  struct mw_bytes name = bytes_check(L, 2), key, value;
  struct mw_error error = {""};
  if (host->closed) return luaL_error(L, "the app has stopped");
  int kind = mw_config_match(host->config, name.ptr, name.len, &error);
  if (kind < 0) {
    lua_pushnil(L);
    lua_pushstring(L, error.text[0] ? error.text : mw_status_text(kind));
    return 2;
  }
  lua_pushinteger(L, kind);
  lua_newtable(L);
  for (size_t i = 0; mw_config_param(host->config, kind, name.ptr, name.len, i, &key, &value) == 0; i++) {
    bytes_push(L, key);
    bytes_push(L, value);
    lua_rawset(L, -3);
  }
  return 2;
}

/* server:has_broker(): returns whether a broker orders the messages. */
static int has_broker(lua_State *L) {
  lua_pushboolean(L, mw_server_has_broker(host_check_running(L, 1)->server));
  return 1;
}

void server_open(lua_State *L) {
  static const luaL_Reg metamethods[] = {{"__gc", collect_host}, {NULL, NULL}};
  static const luaL_Reg methods[] = {
      {"start", start},
      {"listen", listen_at},
      {"address", address},
      {"run", run},
      {"step", step},
      {"finish", finish},
      {"stop", stop},
      {"fd", descriptor},
      {"timeout", timeout},
      {"stop_on_signals", stop_on_signals},
      {"publish", publish_to_channel},
      {"publish_all", publish_all},
      {"match", match_name},
      {"has_broker", has_broker},
      {"count", count},
      {"history", history_read},
      {"stats", stats},
      {"count_all", presence_count},
      {"presence", presence_read},
      {"timer", timer_new},
      {"spawn", timer_spawn},
      {"client", client_find},
      {"clients", client_list},
      {NULL, NULL},
  };
  handle_class(L, host_class, metamethods, methods);
  luaL_getmetatable(L, host_class);
  lua_getfield(L, -1, "__index");
  luaL_setfuncs(L, config_methods, 0);
  luaL_setfuncs(L, token_methods, 0);
  luaL_setfuncs(L, user_methods, 0);
  luaL_setfuncs(L, lease_methods, 0);
  lua_pop(L, 2);
}
