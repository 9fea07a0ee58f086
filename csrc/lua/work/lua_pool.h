/* moonwire.work: calls functions on threads that have Lua states of their own. */
#ifndef MOONWIRE_LUA_WORK_LUA_POOL_H
#define MOONWIRE_LUA_WORK_LUA_POOL_H

#include "lua/base/host.h"

BINDING_BEGIN

/* Defines the classes. Raises if out of memory. */
void pool_open(lua_State *L);
/* core.pool(name, threads, queue, seconds): a pool whose threads start when they are needed, and end
 * with the app. */
int pool_define(lua_State *L);

BINDING_END

#endif
