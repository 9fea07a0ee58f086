/* What a channel keeps. */
#ifndef MOONWIRE_LUA_HISTORY_H
#define MOONWIRE_LUA_HISTORY_H

#include "lua/host.h"

BINDING_BEGIN

/* server:history(channel, since, before, limit): a list of tables and whether there is more; or nil and what is wrong with an id. */
int history_read(lua_State *L);

BINDING_END

#endif
