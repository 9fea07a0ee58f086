/* What lua/moonwire/testing.lua needs of a server: connections in memory, time by hand, and the
 * errors of handlers. */
#ifndef MOONWIRE_LUA_TESTING_H
#define MOONWIRE_LUA_TESTING_H

#include "lua/base/host.h"

BINDING_BEGIN

/* Defines the class of connections, and adds methods to that of servers. After server_open. Raises
 * if out of memory. */
void testing_open(lua_State *L);
/* core.live(kind): objects of the library that are alive in the process. */
int testing_live(lua_State *L);

BINDING_END

#endif
