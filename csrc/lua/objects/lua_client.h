/* The client object of scripts. */
#ifndef MOONWIRE_LUA_CLIENT_H
#define MOONWIRE_LUA_CLIENT_H

#include "lua/base/host.h"

BINDING_BEGIN

void client_open(lua_State *L);
/* Pushes the client's object: the same one for as long as Lua has a reference to it. */
void client_push(lua_State *L, struct host *host, struct mw_client *client);
/* Returns the client of the object at `index`, borrowed, and its server (NULL before the start and
 * after the end). Raises if it is not a client. */
struct mw_client *client_at(lua_State *L, int index, struct mw_server **server);
/* Pushes the table of methods, which client.lua fills. */
void client_push_methods(lua_State *L);

/* core.keep(client): stores changes inside client.data. See server.d.lua. */
int client_keep(lua_State *L);
/* The same for a handler that raised. Returns false with a message at the top of the stack. May
 * leave other values. */
bool client_store_changes(lua_State *L, const struct mw_client *client);
/* Forgets the changes of a handler that was ended. Cannot raise. */
void client_forget_changes(lua_State *L, const struct mw_client *client);
/* Functions of core and methods of its server. See server.d.lua. */
int client_is(lua_State *L);
int client_id_of_user(lua_State *L);
int client_close(lua_State *L);
int client_subscribe(lua_State *L);
int client_unsubscribe(lua_State *L);
int client_find(lua_State *L);
int client_list(lua_State *L);

BINDING_END

#endif
