/* Reads the history of a channel. */
#ifndef MOONWIRE_LUA_HISTORY_H
#define MOONWIRE_LUA_HISTORY_H

#include "lua/base/host.h"

BINDING_BEGIN

/* server:history(channel, since, before, limit): returns a list of tables, and whether there are
 * others; or nil, a message, and a code: "misuse" (an id is wrong, or a broker has the history, and
 * this code cannot wait), "unavailable", "closed", or "timeout". With a broker, a handler waits. */
int history_read(lua_State *L);

BINDING_END

#endif
