/* Converts Lua values to JSON and back, with jansson. moonwire.null is null, {} an object,
 * moonwire.array {} an array. */
#ifndef MOONWIRE_LUA_JSON_H
#define MOONWIRE_LUA_JSON_H

#include "lua/base/binding.h"

BINDING_BEGIN

/* Encodes the value at `index`, and pushes one value that owns the text. If JSON cannot hold it,
 * pushes a message instead, which begins with the path ("data.items[3]: …" if `root` is "data"),
 * and returns no bytes (ptr NULL). Raises only if out of memory. */
struct mw_bytes json_encode(lua_State *L, int index, const char *root);
/* Frees the text of json_encode, whose owner is at `index`. The collector frees it too, but not what a
 * finalizer has encoded while the state is closed. */
void json_free(lua_State *L, int index);

/* Pushes the decoded value and returns true; or pushes a message and returns false. Raises only if
 * out of memory. */
bool json_decode(lua_State *L, struct mw_bytes text);

/* Pushes the table { encode, decode, array, null }. Raises if out of memory. */
void json_push_module(lua_State *L);

BINDING_END

#endif
