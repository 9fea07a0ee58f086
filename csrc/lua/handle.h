/* Classes of userdata, and pins: what C may still call back stays alive under its own address. */
#ifndef MOONWIRE_LUA_HANDLE_H
#define MOONWIRE_LUA_HANDLE_H

#include "lua/binding.h"

BINDING_BEGIN

/* Makes the metatable `name`: metamethods in the table itself, methods (NULL: none) behind __index. Leaves the stack as it was. */
void handle_class(lua_State *L, const char *name, const luaL_Reg *metamethods, const luaL_Reg *methods);

/* Pushes a new zeroed userdata of that class with `value_count` user values and returns its block. */
void *handle_new(lua_State *L, const char *name, size_t size, int value_count);

/* Keeps the value at `index` alive until handle_unpin; `key` is its address, or that of what speaks for it. */
void handle_pin(lua_State *L, int index, const void *key);
/* Allocates nothing and cannot raise; a key without a pin is allowed. */
void handle_unpin(lua_State *L, const void *key);
/* Pushes what is pinned under the key, or nil. */
void handle_push(lua_State *L, const void *key);

BINDING_END

#endif
