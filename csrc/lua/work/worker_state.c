#define _XOPEN_SOURCE 700 /* strdup */

#include "lua/work/worker_state.h"

#include <stdlib.h>
#include <string.h>

int luaopen_moonwire_core(lua_State *L);

static void set_field(lua_State *L, const char *name, const char *value) {
  if (!value) return;
  lua_pushstring(L, value);
  lua_setfield(L, -2, name);
}

static int open_libraries(lua_State *L) {
  const struct worker_setup *setup = lua_touserdata(L, 1);
  luaL_openlibs(L);
  lua_getglobal(L, LUA_LOADLIBNAME);
  set_field(L, "path", setup->path);
  set_field(L, "cpath", setup->cpath);
  /* For JSON. It is this library, wherever `require` would find it. */
  luaL_requiref(L, "moonwire.core", luaopen_moonwire_core, 0);
  return 0;
}

void *worker_state_open(void *setup) {
  lua_State *L = luaL_newstate();
  if (!L) return NULL;
  lua_pushcfunction(L, open_libraries);
  lua_pushlightuserdata(L, setup);
  if (lua_pcall(L, 1, 0, 0) == LUA_OK) return L;
  lua_close(L);
  return NULL;
}

void worker_state_close(void *state) {
  if (state) lua_close(state);
}

static void push_function(lua_State *L, const struct work_call *call) {
  if (!call->module) {
    if (luaL_loadbufferx(L, call->code.ptr, call->code.len, call->function, "b") != LUA_OK) lua_error(L);
    return;
  }
  lua_getglobal(L, "require");
  lua_pushstring(L, call->module);
  lua_call(L, 1, 1);
  if (!lua_istable(L, -1))
    luaL_error(L, "module '%s' is a %s; it must return a table of functions", call->module, luaL_typename(L, -1));
  lua_getfield(L, -1, call->function);
  if (!lua_isfunction(L, -1))
    luaL_error(L, "module '%s' has no function '%s', but a %s", call->module, call->function, luaL_typename(L, -1));
  lua_remove(L, -2);
}

static int call_function(lua_State *L) {
  struct work_call *call = lua_touserdata(L, 1);
  push_function(L, call);
  int base = lua_gettop(L);
  lua_call(L, values_unpack(L, call->arguments), LUA_MULTRET);
  if (!values_pack(L, base, lua_gettop(L) - base + 1, "result", &call->results)) return lua_error(L);
  return 0;
}

void worker_state_call(void *state, struct work_call *call) {
  lua_State *L = state;
  if (!L) {
    call->fault = strdup("the thread has no Lua state: not enough memory");
    return;
  }
  lua_settop(L, 0);
  lua_pushcfunction(L, call_function);
  lua_pushlightuserdata(L, call);
  if (lua_pcall(L, 1, 0, 0) == LUA_OK) return;
  const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
  call->fault = strdup(text ? text : "an error that is not text was raised");
  lua_settop(L, 0);
}
