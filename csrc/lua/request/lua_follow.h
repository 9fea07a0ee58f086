/* stream:follow: a handler waits while its stream is a view of a channel. */
#ifndef MOONWIRE_LUA_FOLLOW_H
#define MOONWIRE_LUA_FOLLOW_H

#include "lua/base/host.h"

BINDING_BEGIN

void follow_open(lua_State *L);
/* core.stream_follow(stream, channel, since, until_final). See server.d.lua. */
int follow_start(lua_State *L);

BINDING_END

#endif
