/* Clients as the script sees them. */
#ifndef MOONWIRE_LUA_CLIENT_H
#define MOONWIRE_LUA_CLIENT_H

#include "lua/host.h"

BINDING_BEGIN

void client_open(lua_State *L);
/* Pushes an object for the client. */
void client_push(lua_State *L, struct host *host, struct mw_client *client);
/* core.keep(client): stores what the script changed inside client.data. */
int client_keep(lua_State *L);

/* The client has joined, or left, a channel whose kind the script handles. The data are dropped with the last leave. */
void client_joined(struct host *host, struct mw_client *client);
void client_left(struct host *host, struct mw_client *client);
/* Drops the data of all clients. */
void client_drop_all(struct host *host);

BINDING_END

#endif
