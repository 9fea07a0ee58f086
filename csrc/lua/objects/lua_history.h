/* Reads the history of a channel. */
#ifndef MOONWIRE_LUA_HISTORY_H
#define MOONWIRE_LUA_HISTORY_H

#include "lua/base/host.h"

BINDING_BEGIN

/* server:history(channel, since, before, limit): returns a list of tables, and whether there are
 * others; or nil and what is wrong with an id. */
int history_read(lua_State *L);

BINDING_END

#endif
