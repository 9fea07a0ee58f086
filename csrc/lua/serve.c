#define _XOPEN_SOURCE 700 /* realpath */

#include "lua/serve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { EXIT_LEAK = 3 };

struct serving {
  lua_State *launcher; /* with a stack: the options, package.path, package.cpath */
  int exit_code;
};

/* Copies plain data from one state to the other. Raises only in `to`. */
static void copy_value(lua_State *from, int index, lua_State *to) {
  size_t len;
  const char *text;
  luaL_checkstack(to, 6, "options nested too deep");
  if (!lua_checkstack(from, 6)) luaL_error(to, "options nested too deep");
  switch (lua_type(from, index)) {
    case LUA_TBOOLEAN: lua_pushboolean(to, lua_toboolean(from, index)); break;
    case LUA_TNUMBER:
      if (lua_isinteger(from, index)) {
        lua_pushinteger(to, lua_tointeger(from, index));
      } else {
        lua_pushnumber(to, lua_tonumber(from, index));
      }
      break;
    case LUA_TSTRING:
      text = lua_tolstring(from, index, &len);
      lua_pushlstring(to, text, len);
      break;
    case LUA_TTABLE:
      lua_newtable(to);
      for (lua_pushnil(from); lua_next(from, index); lua_pop(from, 1)) {
        copy_value(from, lua_gettop(from) - 1, to);
        copy_value(from, lua_gettop(from), to);
        lua_rawset(to, -3);
      }
      break;
    default: lua_pushnil(to);
  }
}

/* Uses the module paths of the launcher. */
static void set_search_path(lua_State *from, int index, lua_State *to, const char *name) {
  lua_getglobal(to, "package");
  copy_value(from, index, to);
  lua_setfield(to, -2, name);
  lua_pop(to, 1);
}

static int add_traceback(lua_State *L) {
  luaL_traceback(L, L, luaL_tolstring(L, 1, NULL), 1);
  return 1;
}

static int run_served(lua_State *L) {
  struct serving *serving = lua_touserdata(L, 1);
  luaL_openlibs(L);
  set_search_path(serving->launcher, 2, L, "path");
  set_search_path(serving->launcher, 3, L, "cpath");
  lua_getglobal(L, "require");
  lua_pushliteral(L, "moonwire.serve");
  lua_call(L, 1, 1);
  copy_value(serving->launcher, 1, L);
  lua_call(L, 1, 1);
  serving->exit_code = (int)luaL_checkinteger(L, -1);
  return 0;
}

/* With MOONWIRE_LEAK_CHECK=1, reports objects that were not freed. For tests. */
static int check_leaks(int exit_code) {
  static const char *const kinds[] = {"conn",    "session", "client", "request",      "membership",
                                      "channel", "message", "blob",   "subscription", "memory"};
  const char *wanted = getenv("MOONWIRE_LEAK_CHECK");
  if (!wanted || strcmp(wanted, "1") != 0) return exit_code;
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
    long long live = (long long)mw_live(kinds[i]);
    if (live == 0) continue;
    fprintf(stderr, "live objects: %lld (%s)\n", live, kinds[i]);
    exit_code = EXIT_LEAK;
  }
  return exit_code;
}

int serve(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  lua_getglobal(L, "package"); /* here, because run_served must not raise in the launcher's state */
  lua_getfield(L, 2, "path");
  lua_getfield(L, 2, "cpath");
  lua_remove(L, 2);
  lua_State *fresh = luaL_newstate();
  if (!fresh) return luaL_error(L, "not enough memory");
  struct serving serving = {L, EXIT_FAILURE};
  lua_pushcfunction(fresh, add_traceback);
  lua_pushcfunction(fresh, run_served);
  lua_pushlightuserdata(fresh, &serving);
  if (lua_pcall(fresh, 1, 0, 1) != LUA_OK) {
    const char *text = lua_tostring(fresh, -1);
    fprintf(stderr, "moonwire: %s\n", text ? text : "unknown error");
    serving.exit_code = EXIT_FAILURE;
  }
  lua_close(fresh);
  if (mw_pool_threads_left()) {
    fflush(NULL);
    _exit(serving.exit_code);
  }
  lua_pushinteger(L, check_leaks(serving.exit_code));
  return 1;
}

int serve_follow_link(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  struct stat file;
  bool is_link = lstat(path, &file) == 0 && S_ISLNK(file.st_mode);
  char *target = is_link ? realpath(path, NULL) : NULL; /* a dangling link fails when it is opened */
  lua_pushstring(L, target ? target : path);
  free(target);
  return 1;
}

int serve_check_address(lua_State *L) {
  struct mw_error error = {""};
  if (mw_address_check(luaL_checkstring(L, 1), &error) == 0) return 0;
  lua_pushstring(L, error.text);
  return 1;
}
