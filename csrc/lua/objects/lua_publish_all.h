/* Publishes several messages in one round trip. */
#ifndef MOONWIRE_LUA_PUBLISH_ALL_H
#define MOONWIRE_LUA_PUBLISH_ALL_H

#include "lua/base/host.h"

BINDING_BEGIN

void publish_all_open(lua_State *L);
/* server:publish_all(items, is_blind): each item is { channel =, event =, data =, binary =, volatile =,
 * except =, key =, final = }. Returns a list in the order of the items, of { id = } (without id if
 * it is volatile, or not known), or { error = { code =, reason = } }, and the number of errors. While
 * outcomes are pending, a handler waits; if it is_blind, or cancelled, it does not. Or nil, a
 * message, and a code: "misuse" (items before that one were published), or "closed" or "timeout": the
 * handler was cancelled while it waited. */
int publish_all(lua_State *L);

BINDING_END

#endif
