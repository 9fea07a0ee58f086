#include "lua/base/handle.h"

#include <string.h>

void handle_class(lua_State *L, const char *name, const luaL_Reg *metamethods, const luaL_Reg *methods) {
  if (luaL_newmetatable(L, name)) {
    luaL_setfuncs(L, metamethods, 0);
    lua_pushliteral(L, "moonwire");
    lua_setfield(L, -2, "__metatable"); /* a script cannot reach the finalizers */
    if (methods) {
      lua_newtable(L);
      luaL_setfuncs(L, methods, 0);
      lua_setfield(L, -2, "__index");
    }
  }
  lua_pop(L, 1);
}

void *handle_new(lua_State *L, const char *name, size_t size, int value_count) {
  void *block = lua_newuserdatauv(L, size, value_count);
  memset(block, 0, size);
  luaL_setmetatable(L, name);
  return block;
}

void handle_pin(lua_State *L, int index, const void *key) {
  lua_pushvalue(L, index);
  lua_rawsetp(L, LUA_REGISTRYINDEX, key);
}

void handle_unpin(lua_State *L, const void *key) {
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, key);
}

void handle_push(lua_State *L, const void *key) { lua_rawgetp(L, LUA_REGISTRYINDEX, key); }
