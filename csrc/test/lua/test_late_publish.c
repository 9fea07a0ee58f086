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
    "function outside() note(select(2, pcall(app.publish, app, 'room:1', 'a', 1))) end\n"
    "function blind() note(app:publish('room:1', 'a', 1, { wait = false })) end\n"
    "function all(given) app:spawn(function()\n"
    "  local items = { { 'room:1', 'a', 1 }, { 'room:1', 'a', 2, volatile = true }, { 'room:1', 'a', 3 } }\n"
    "  local list, errors, code = app:publish_all(items, given)\n"
    "  local texts = { list and errors or 'nil', code }\n"
    "  for _, result in ipairs(list or {}) do\n"
    "    texts[#texts + 1] = result.id and #result.id or result.error and result.error.code or 'none'\n"
    "  end\n"
    "  note(table.unpack(texts))\n"
    "end) end\n"
    "function all_blind() all { wait = false } end\n"
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

static lua_State *begin(struct late_orderer *late) {
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  luaL_requiref(L, "moonwire.core", luaopen_moonwire_core, 0);
  if (luaL_dostring(L, script) != LUA_OK) fail_msg("%s", lua_tostring(L, -1));
  late_orderer_begin(late, host_check(L, -1)->server);
  late_orderer_wait(late);
  return L;
}

static void waits_where_it_can(void **state) {
  (void)state;
  struct late_orderer late;
  lua_State *L = begin(&late);
  call(L, "spawn");
  settle(L);
  assert_int_equal(late.count, 1);
  late_orderer_publish(&late, 0);
  settle(L);
  assert_int_equal(strlen(result(L, 1)), 25);
  call(L, "spawn");
  settle(L);
  late_orderer_refuse(&late, 0, MW_EBROKER_UNSURE);
  settle(L);
  assert_string_equal(result(L, 2), "nil redis has not confirmed the message in time, and may have published it unavailable");
  call(L, "own");
  settle(L);
  assert_int_equal(late.count, 1);
  late_orderer_publish(&late, 0);
  settle(L);
  assert_int_equal(strlen(result(L, 3)), 25);
  call(L, "outside"); /* raises, and nothing is published */
  assert_non_null(strstr(result(L, 4), "set wait = false, or use app:spawn"));
  assert_int_equal(late.count, 0);
  call(L, "spawn"); /* pending at the end */
  settle(L);
  assert_int_equal(late.count, 1);
  lua_close(L);
  assert_int_equal(late.count, 0);
}

static void on_log(void *context, enum mw_log_level level, const char *text, size_t text_len) {
  (void)level;
  (void)text_len;
  if (strstr(text, "publish without waiting")) snprintf(context, 200, "%s", text);
}

static void does_not_wait_where_it_should_not(void **state) {
  (void)state;
  struct late_orderer late;
  char line[200] = "";
  lua_State *L = begin(&late);
  mw_log_to(MW_LOG_WARNING, on_log, line);
  call(L, "blind");
  assert_string_equal(result(L, 1), "true");
  late_orderer_publish(&late, 0);
  assert_string_equal(line, "");
  call(L, "blind");
  late_orderer_refuse(&late, 0, MW_EBROKER_UNSURE);
  assert_non_null(strstr(line, "room:1: redis has not confirmed the message in time, and may have published it"));
  call(L, "blind"); /* pending at the end */
  call(L, "all_blind");
  settle(L);
  assert_string_equal(result(L, 3 + 1), "0 none none none");
  assert_int_equal(late.count, 4); /* a volatile one is here, as this orderer keeps it */
  lua_close(L);
  mw_log_to(MW_LOG_INFO, NULL, NULL);
}

static void waits_for_all(void **state) {
  (void)state;
  struct late_orderer late;
  lua_State *L = begin(&late);
  call(L, "all");
  settle(L);
  assert_int_equal(late.count, 3);
  late_orderer_publish(&late, 2);
  late_orderer_publish(&late, 1);
  settle(L);
  assert_int_equal(late.count, 1);
  late_orderer_publish(&late, 0);
  settle(L);
  assert_string_equal(result(L, 1), "0 25 none 25");
  call(L, "all");
  settle(L);
  late_orderer_refuse(&late, 0, MW_EBROKER_UNSURE);
  late_orderer_publish(&late, 0);
  late_orderer_publish(&late, 0);
  settle(L);
  assert_string_equal(result(L, 2), "1 unavailable none 25");
  call(L, "all"); /* pending at the end */
  settle(L);
  late_orderer_publish(&late, 1);
  lua_close(L);
  assert_int_equal(late.count, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {TEST(waits_where_it_can), TEST(waits_for_all), TEST(does_not_wait_where_it_should_not)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
