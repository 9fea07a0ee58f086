/* Connections to other servers, for moonwire.socket: the functions wait in a task. */
#ifndef MOONWIRE_LUA_CONNECTION_H
#define MOONWIRE_LUA_CONNECTION_H

#include "lua/base/binding.h"

BINDING_BEGIN

/* Creates the class of connections. Must precede the function below. */
void connection_class_open(lua_State *L);
/* connect(host, port or nil, seconds or nil): returns a connection, which belongs to the running
 * task; or nil and a message. Without a port, `host` is the path of a unix socket. */
int connection_connect(lua_State *L);

BINDING_END

#endif
