/* Publishes, and sends to one client. */
#ifndef MOONWIRE_LUA_PUBLISH_H
#define MOONWIRE_LUA_PUBLISH_H

#include "lua/base/host.h"

BINDING_BEGIN

/* Pushes the result of a call of the core: true; or nil, a message, and a code: "misuse" (an error
 * of the script), "closed", "too_large", or "unavailable". Returns the number of values. */
int publish_outcome(lua_State *L, int status, const struct mw_error *error);

/* server:publish(channel, event, data, is_binary, is_volatile, except, key, is_final): returns the
 * id, true if volatile, or as above. While the outcome is pending, a handler waits; where it cannot
 * wait, returns true. */
int publish_to_channel(lua_State *L);
/* core.send(client, channel, event, data, is_binary): returns as publish_outcome. */
int publish_to_client(lua_State *L);

BINDING_END

#endif
