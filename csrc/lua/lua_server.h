/* core.server: starts, runs, and stops a server. */
#ifndef MOONWIRE_LUA_SERVER_H
#define MOONWIRE_LUA_SERVER_H

#include "lua/base/host.h"

BINDING_BEGIN

/* Defines the class. Raises if out of memory. */
void server_open(lua_State *L);
/* core.server(settings, handlers): creates a server that can be defined. Lua has checked the
 * settings. */
int server_new(lua_State *L);
/* Returns the running server at index 1, before a turn. Raises inside a handler. */
struct host *server_check_turning(lua_State *L);
/* After a turn: shuts the door, and ends a server that has stopped. */
void server_turned(lua_State *L, struct host *host, bool alive);

BINDING_END

#endif
