/* Runs an app in a Lua state of its own. */
#ifndef MOONWIRE_LUA_SERVE_H
#define MOONWIRE_LUA_SERVE_H

#include "lua/base/binding.h"

BINDING_BEGIN

/* core.serve(options): creates a new state, passes the options (strings, numbers, booleans, tables
 * of these) to the function that module "moonwire.serve" returns there, closes the state, and
 * returns the result: the exit status. */
int serve(lua_State *L);

/* core.check_address(address) */
int serve_check_address(lua_State *L);
/* core.follow_link(path) */
int serve_follow_link(lua_State *L);

BINDING_END

#endif
