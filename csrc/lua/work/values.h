/* Plain data on its way from one Lua state to another: nil, strings of any bytes, and what JSON can
 * hold. */
#ifndef MOONWIRE_LUA_WORK_VALUES_H
#define MOONWIRE_LUA_WORK_VALUES_H

#include "lua/base/binding.h"

BINDING_BEGIN

enum { VALUES_BYTES_MAX = 16 << 20 };

struct values {
  char *data; /* of malloc; NULL: none */
  size_t len;
};

/* Packs `count` values from index `first` on. If one cannot be packed, or they are too large, pushes
 * a message, which begins with `what` and the number of the value, and returns false. Raises only if
 * out of memory; then nothing is allocated. */
bool values_pack(lua_State *L, int first, int count, const char *what, struct values *values);
/* Pushes the values, and returns how many. Raises only if out of memory. */
int values_unpack(lua_State *L, struct values values);

BINDING_END

#endif
