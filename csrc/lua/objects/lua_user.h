/* What is done to all clients of a user. */
#ifndef MOONWIRE_LUA_USER_H
#define MOONWIRE_LUA_USER_H

#include "lua/base/host.h"

BINDING_BEGIN

/* Methods of a server: close_user, send_user, and kick_user. */
extern const luaL_Reg user_methods[];

BINDING_END

#endif
