/* Classes of userdata, and pins: an object that C may still call back is kept alive under its own
 * address. */
#ifndef MOONWIRE_LUA_HANDLE_H
#define MOONWIRE_LUA_HANDLE_H

#include "lua/base/binding.h"

BINDING_BEGIN

/* Creates the metatable `name`: metamethods in the table itself, methods (NULL: none) in __index.
 * Does not change the stack. */
void handle_class(lua_State *L, const char *name, const luaL_Reg *metamethods, const luaL_Reg *methods);

/* Pushes a new zeroed userdata of that class with `value_count` user values, and returns its
 * block. */
void *handle_new(lua_State *L, const char *name, size_t size, int value_count);

/* Keeps the value at `index` alive until handle_unpin. `key` is its address, or that of an object
 * for it. */
void handle_pin(lua_State *L, int index, const void *key);
/* Does not allocate, and cannot raise. A key without a pin is allowed. */
void handle_unpin(lua_State *L, const void *key);
/* Pushes the value that is pinned under the key, or nil. */
void handle_push(lua_State *L, const void *key);

BINDING_END

#endif
