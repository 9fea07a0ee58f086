/* app:publish with an orderer that answers later: a handler waits, and what cannot wait does
 * not. */
#include <stdlib.h>
#include <string.h>

#include "lua/base/host.h"
#include "test/support.h"
#include "test/support/late_orderer.h"

int luaopen_moonwire_core(lua_State *L);

static const char script[] =
    "package.path = './lua/?.lua;./lua/?/init.lua'\n"
    "local moonwire = require 'moonwire'\n"
    "local app = moonwire.app {}\n"
    "app:channel('room:{room}', {})\n"
    "results = {}\n"
    "local function note(...) results[#results + 1] = table.concat({ tostring((...)), select(2, ...) }, ' ') end\n"
    "function spawn() app:spawn(function() note(app:publish('room:1', 'a', 1)) end) end\n"
    "function own() app:spawn(function()\n"
    "  note(coroutine.wrap(function() return app:publish('room:1', 'a', 1) end)())\n"
    "end) end\n"
    "function outside() note(app:publish('room:1', 'a', 1)) end\n"
    "assert(app:listen '127.0.0.1:0')\n"
    "step = function() return app:step() end\n"
    "stop = function() app:stop() end\n"
    "return app._server\n";

static void call(lua_State *L, const char *name) {
  lua_getglobal(L, name);
  if (lua_pcall(L, 0, 0, 0) != LUA_OK) fail_msg("%s", lua_tostring(L, -1));
}

static void settle(lua_State *L) {
  for (int i = 0; i < 10; i++) call(L, "step");
}

/* Returns the newest result. */
static const char *result(lua_State *L, size_t count) {
  lua_getglobal(L, "results");
  assert_int_equal(lua_rawlen(L, -1), count);
  lua_rawgeti(L, -1, (lua_Integer)count);
  return lua_tostring(L, -1);
}

static void waits_where_it_can(void **state) {
  (void)state;
  struct late_orderer late;
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  luaL_requiref(L, "moonwire.core", luaopen_moonwire_core, 0);
  if (luaL_dostring(L, script) != LUA_OK) fail_msg("%s", lua_tostring(L, -1));
  struct host *host = host_check(L, -1);
  late_orderer_begin(&late, host->server);
  call(L, "spawn");
  settle(L);
  assert_int_equal(late.count, 1);
  late_orderer_publish(&late, 0);
  settle(L);
  assert_int_equal(strlen(result(L, 1)), 25);
  call(L, "spawn");
  settle(L);
  late_orderer_refuse(&late, 0, MW_EUNAVAILABLE);
  settle(L);
  assert_string_equal(result(L, 2), "nil temporarily unavailable; retry unavailable");
  call(L, "own");
  settle(L);
  assert_int_equal(late.count, 1);
  late_orderer_publish(&late, 0);
  settle(L);
  assert_int_equal(strlen(result(L, 3)), 25);
  call(L, "outside");
  assert_string_equal(result(L, 4), "true");
  assert_int_equal(late.count, 1);
  call(L, "spawn"); /* pending at the end */
  settle(L);
  assert_int_equal(late.count, 2);
  lua_close(L);
  assert_int_equal(late.count, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {TEST(waits_where_it_can)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
