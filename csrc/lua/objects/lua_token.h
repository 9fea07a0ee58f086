/* Tokens, tickets, and closing a user. */
#ifndef MOONWIRE_LUA_LUA_TOKEN_H
#define MOONWIRE_LUA_LUA_TOKEN_H

#include "lua/base/host.h"

BINDING_BEGIN

void token_open(lua_State *L);
/* Pushes the table core.token. */
void token_push(lua_State *L);
/* Returns the verifier in a field of a table, borrowed, or NULL. */
struct mw_token *token_field(lua_State *L, int index, const char *name);
/* Methods of a server. */
extern const luaL_Reg token_methods[];

BINDING_END

#endif
