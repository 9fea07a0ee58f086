#include "lua/base/misuse.h"

#include <string.h>

/* Pushes "app.lua:7: ", or where luaL_error would say that it is. */
static void push_place(lua_State *L) {
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  if (lua_getfield(L, -1, "moonwire.options") == LUA_TTABLE && lua_getfield(L, -1, "caller") == LUA_TFUNCTION) {
    lua_call(L, 0, 1);
    if (strcmp(luaL_optstring(L, -1, "?"), "?") != 0) {
      lua_pushfstring(L, "%s: ", lua_tostring(L, -1));
      return;
    }
  }
  luaL_where(L, 1);
}

int misuse_error(lua_State *L, const char *format, ...) {
  luaL_checkstack(L, 8, NULL);
  push_place(L);
  va_list arguments;
  va_start(arguments, format);
  lua_pushvfstring(L, format, arguments);
  va_end(arguments);
  lua_concat(L, 2);
  return lua_error(L);
}
