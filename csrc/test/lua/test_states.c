/* Several Lua states with moonwire in one process: in one thread, and in a thread each. */
#include <pthread.h>
#include <stdlib.h>

#include "lua/base/binding.h"
#include "test/support.h"

int luaopen_moonwire_core(lua_State *L);

static const char script[] =
    "package.path = './lua/?.lua;./lua/?/init.lua'\n"
    "local moonwire = require 'moonwire'\n"
    "local app = moonwire.app {}\n"
    "ticks = 0\n"
    "app:channel('room:{room}', { history = { size = 10 } })\n"
    "app:every(0.001, function() ticks = ticks + 1; assert(app:publish('room:1', 'tick', { ticks })) end)\n"
    "app:spawn(function() moonwire.sleep(1000) end)\n"
    "app:spawn(function() hash = moonwire.crypto.password_hash 'password' end)\n"
    "assert(app:listen('127.0.0.1:0', { workers = workers }))\n"
    "function step() return app:step() end\n"
    "function stop() app:stop() while app:step() do end end\n";

static void fill(lua_State *L, int workers) {
  luaL_openlibs(L);
  luaL_requiref(L, "moonwire.core", luaopen_moonwire_core, 0);
  lua_settop(L, 0);
  lua_pushinteger(L, workers);
  lua_setglobal(L, "workers");
  if (luaL_dostring(L, script) != LUA_OK) fail_msg("%s", lua_tostring(L, -1));
}

static lua_State *open_state(int workers) {
  lua_State *L = luaL_newstate();
  assert_non_null(L);
  fill(L, workers);
  return L;
}

static void call(lua_State *L, const char *name) {
  lua_getglobal(L, name);
  if (lua_pcall(L, 0, 0, 0) != LUA_OK) fail_msg("%s", lua_tostring(L, -1));
}

static bool has_worked(lua_State *L) {
  lua_getglobal(L, "ticks");
  lua_getglobal(L, "hash");
  bool has = lua_tointeger(L, -2) > 3 && lua_isstring(L, -1);
  lua_pop(L, 2);
  return has;
}

static void work(lua_State *L) {
  while (!has_worked(L)) call(L, "step");
}

static void one_thread_has_two(void **state) {
  (void)state;
  for (int round = 0; round < 4; round++) {
    lua_State *first = open_state(1 + round % 2), *second = open_state(2 - round % 2);
    while (!has_worked(first) || !has_worked(second)) {
      call(first, "step");
      call(second, "step");
    }
    if (round < 2) call(first, "stop");
    lua_close(round < 3 ? first : second);
    lua_State *other = round < 3 ? second : first;
    for (int i = 0; i < 5; i++) call(other, "step");
    lua_close(other);
  }
}

static void *run_thread(void *context) {
  const int *workers = context;
  for (int round = 0; round < 3; round++) {
    lua_State *L = open_state(*workers);
    work(L);
    if (round == 1) call(L, "stop");
    lua_close(L);
  }
  return NULL;
}

static void each_thread_has_one(void **state) {
  (void)state;
  int workers[] = {1, 2, 1};
  pthread_t threads[3];
  for (size_t i = 0; i < 3; i++) assert_int_equal(pthread_create(&threads[i], NULL, run_thread, &workers[i]), 0);
  for (size_t i = 0; i < 3; i++) pthread_join(threads[i], NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(one_thread_has_two),
      cmocka_unit_test(each_thread_has_one),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
