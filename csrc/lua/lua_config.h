/* The options of core.server, and the methods that define the app. */
#ifndef MOONWIRE_LUA_CONFIG_H
#define MOONWIRE_LUA_CONFIG_H

#include "lua/base/host.h"

BINDING_BEGIN

/* Returns a configuration of the options in the table at `index`. Raises if they are invalid. */
struct mw_config *config_read(lua_State *L, int index, struct host *host);
extern const luaL_Reg config_methods[];

BINDING_END

#endif
