/* The functions under moonwire.crypto. lua/moonwire/crypto.lua checks their arguments. */
#ifndef MOONWIRE_LUA_CRYPTO_H
#define MOONWIRE_LUA_CRYPTO_H

#include "lua/base/binding.h"

BINDING_BEGIN

/* Pushes the table of functions. */
void crypto_push(lua_State *L);

BINDING_END

#endif
