/* Reads the members of a channel. */
#ifndef MOONWIRE_LUA_PRESENCE_H
#define MOONWIRE_LUA_PRESENCE_H

#include "lua/base/host.h"

BINDING_BEGIN

/* server:presence(channel, after, limit): returns { [user id] = { info =, connections = } }, the
 * number of all members, and, if others follow, the id after which they do. Or nil, a message, and a
 * code: "misuse" (a broker has the members, and this code cannot wait), "unavailable", "closed", or
 * "timeout". With a broker, a handler may wait. */
int presence_read(lua_State *L);
/* server:count_all(channel): returns its subscriptions; with a broker, in a channel with presence, its
 * members on all servers, or as above. */
int presence_count(lua_State *L);

BINDING_END

#endif
