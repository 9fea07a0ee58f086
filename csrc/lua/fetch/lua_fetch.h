/* Requests to other servers, for moonwire.http. */
#ifndef MOONWIRE_LUA_FETCH_LUA_FETCH_H
#define MOONWIRE_LUA_FETCH_LUA_FETCH_H

#include "lua/base/host.h"

BINDING_BEGIN

/* Defines the class. Raises if out of memory. */
void fetch_open(lua_State *L);
/* core.fetch(options): starts a request. Returns an object with head, read, and close. */
int fetch_start(lua_State *L);

BINDING_END

#endif
