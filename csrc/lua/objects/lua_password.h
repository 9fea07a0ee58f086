/* moonwire.crypto.password_hash and password_verify: in a handler they wait while a thread of the
 * pool computes; elsewhere they compute at once. */
#ifndef MOONWIRE_LUA_PASSWORD_H
#define MOONWIRE_LUA_PASSWORD_H

#include "lua/base/binding.h"

BINDING_BEGIN

/* password_hash(password, cost): returns the hash; or nil, a message, a code. */
int password_hash(lua_State *L);
/* password_verify(password, hash or nil): returns a boolean; or nil, a message, a code. */
int password_verify(lua_State *L);

BINDING_END

#endif
