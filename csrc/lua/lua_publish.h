/* Publishing, and sending to one client. */
#ifndef MOONWIRE_LUA_PUBLISH_H
#define MOONWIRE_LUA_PUBLISH_H

#include "lua/host.h"

BINDING_BEGIN

/* Pushes what a call to the core came to: true, or nil, a message and a code: "misuse" if the script is to blame, "closed", "too_large",
 * "unavailable". Returns how many values. */
int publish_outcome(lua_State *L, int status, const struct mw_error *error);

/* server:publish(channel, event, data, is_binary, is_volatile, except, key, is_final): the id, true if volatile; or as above. */
int publish_to_channel(lua_State *L);
/* core.send(client, channel, event, data, is_binary): as publish_outcome. */
int publish_to_client(lua_State *L);

BINDING_END

#endif
