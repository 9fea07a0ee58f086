/* A C program with its own libuv loop and its own Lua state. The state has luv, which is bound to the
 * program's loop, and the script attaches an app to it.
 *
 *   embed_lua SCRIPT [ARGUMENT ...]
 *
 * The program measures something every 100 ms, and calls the script's function `measured`. SIGTERM and
 * SIGINT call the script's function `stop`. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <luv/luv.h>

enum { MEASURE_MS = 100, SIGNALS = 2 };

/* The `data` of these handles stays NULL: luv takes it for its own. */
struct host {
  uv_loop_t loop;
  lua_State *L;
  uv_timer_t measuring;
  uv_signal_t signals[SIGNALS];
  unsigned measured;
};

static struct host host;

/* ---- Calling the script --------------------------------------------------------------------------------------------------- */

static int add_traceback(lua_State *L) {
  luaL_traceback(L, L, luaL_tolstring(L, 1, NULL), 1);
  return 1;
}

/* Calls the function below its arguments. Errors must not pass through libuv. */
static int call(lua_State *L, int arg_count) {
  int base = lua_gettop(L) - arg_count;
  lua_pushcfunction(L, add_traceback);
  lua_insert(L, base);
  int status = lua_pcall(L, arg_count, 0, base);
  if (status != LUA_OK) fprintf(stderr, "embed_lua: %s\n", lua_tostring(L, -1));
  lua_settop(L, base - 1);
  return status;
}

static void on_measure(uv_timer_t *timer) {
  (void)timer;
  lua_getglobal(host.L, "measured");
  lua_pushinteger(host.L, ++host.measured);
  call(host.L, 1);
}

static void close_handles(void) {
  uv_close((uv_handle_t *)&host.measuring, NULL);
  for (int i = 0; i < SIGNALS; i++) uv_close((uv_handle_t *)&host.signals[i], NULL);
}

static void on_signal(uv_signal_t *signal, int signum) {
  (void)signal;
  (void)signum;
  lua_getglobal(host.L, "stop");
  call(host.L, 0);
  close_handles(); /* The loop ends when the script has closed its own. */
}

/* ---- The state ------------------------------------------------------------------------------------------------------------- */

/* Runs protected. Index 1 is argv. */
static int open_state(lua_State *L) {
  char **argv = lua_touserdata(L, 1);
  luaL_openlibs(L);
  luv_set_loop(L, &host.loop); /* before luaopen_luv, which would create a loop */
  luaL_requiref(L, "luv", luaopen_luv, 0);
  lua_newtable(L);
  for (int i = 1; argv[i]; i++) {
    lua_pushstring(L, argv[i]);
    lua_rawseti(L, -2, i - 1);
  }
  lua_setglobal(L, "arg");
  if (luaL_loadfile(L, argv[1]) != LUA_OK) return lua_error(L);
  lua_call(L, 0, 0);
  return 0;
}

/* Closes what the script has left on the loop. luv's handles point to the state, so they must be closed
 * before it is. */
static void close_state(lua_State *L) {
  static const char code[] = "local uv = package.loaded.luv\n"
                             "if uv then uv.walk(function(handle) if not handle:is_closing() then handle:close() end end) end";
  if (luaL_loadstring(L, code) == LUA_OK) call(L, 0);
  uv_run(&host.loop, UV_RUN_DEFAULT);
  lua_close(L);
}

static int start(char **argv) {
  lua_pushcfunction(host.L, open_state);
  lua_pushlightuserdata(host.L, argv);
  if (call(host.L, 1) != LUA_OK) return -1;
  uv_timer_init(&host.loop, &host.measuring);
  uv_timer_start(&host.measuring, on_measure, MEASURE_MS, MEASURE_MS);
  static const int signums[SIGNALS] = {SIGTERM, SIGINT};
  for (int i = 0; i < SIGNALS; i++) {
    uv_signal_init(&host.loop, &host.signals[i]);
    uv_signal_start(&host.signals[i], on_signal, signums[i]);
  }
  return 0;
}

int main(int argc, char **argv) {
  if (argc < 2) {
    fprintf(stderr, "usage: embed_lua SCRIPT [ARGUMENT ...]\n");
    return EXIT_FAILURE;
  }
  host.L = luaL_newstate();
  if (!host.L || uv_loop_init(&host.loop) < 0) return EXIT_FAILURE;
  int status = start(argv);
  if (status == 0) uv_run(&host.loop, UV_RUN_DEFAULT);
  close_state(host.L);
  if (uv_loop_close(&host.loop) == 0) return status < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
  fprintf(stderr, "embed_lua: the loop has open handles\n");
  return EXIT_FAILURE;
}
