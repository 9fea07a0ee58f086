/* Clients as the script sees them. */
#ifndef MOONWIRE_LUA_CLIENT_H
#define MOONWIRE_LUA_CLIENT_H

#include "lua/host.h"

BINDING_BEGIN

void client_open(lua_State *L);
/* Pushes the client's object: the same one as long as Lua refers to it. */
void client_push(lua_State *L, struct host *host, struct mw_client *client);
/* The client of the object at `index`, borrowed, and its server, which is NULL before the start and after the end. Raises if it is none. */
struct mw_client *client_at(lua_State *L, int index, struct mw_server **server);
/* Pushes the table of methods, which Lua fills. */
void client_push_methods(lua_State *L);

/* core.keep(client): stores what the script changed inside client.data; server.d.lua describes it. */
int client_keep(lua_State *L);
/* As core.keep, for a handler that raised. False: a message is at the top of the stack. May leave other values there. */
bool client_store_changes(lua_State *L, const struct mw_client *client);
/* Forgets what was changed, when a handler was ended. Cannot raise. */
void client_forget_changes(lua_State *L, const struct mw_client *client);
/* Functions of core and methods of its server: server.d.lua describes them. */
int client_is(lua_State *L);
int client_close(lua_State *L);
int client_subscribe(lua_State *L);
int client_unsubscribe(lua_State *L);
int client_find(lua_State *L);
int client_list(lua_State *L);

BINDING_END

#endif
