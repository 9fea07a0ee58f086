/* Errors in the script. They name its line, even if a module of moonwire made the call. */
#ifndef MOONWIRE_LUA_MISUSE_H
#define MOONWIRE_LUA_MISUSE_H

#include "lua/base/binding.h"

BINDING_BEGIN

/* As luaL_error, at the place in the script that called into moonwire. */
int misuse_error(lua_State *L, const char *format, ...) __attribute__((format(printf, 2, 3)));

BINDING_END

#endif
