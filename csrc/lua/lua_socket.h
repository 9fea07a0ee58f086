/* Raw WebSockets: app:websocket. */
#ifndef MOONWIRE_LUA_SOCKET_H
#define MOONWIRE_LUA_SOCKET_H

#include "lua/host.h"

BINDING_BEGIN

struct lua_socket;

void socket_open(lua_State *L);
/* Pushes a socket for *request, behind its request table at the top of the stack, and returns it. The upgrade comes with the first thing that is
 * sent, so that the handler can still refuse; until then *request is the owner's, and NULL afterwards. `task` is the handler's: its wait ends
 * when the peer goes. */
struct lua_socket *socket_push_new(lua_State *L, struct host *host, struct mw_request **request, struct task *task);
/* The handler is over: it is upgraded now, if `open`, and closed otherwise. */
void socket_handler_done(lua_State *L, struct lua_socket *socket, bool open);
/* The handler said no; does nothing unless the upgrade has come before. */
void socket_refuse(struct lua_socket *socket, const char *reason);

/* Pushes the socket that a request is about. */
void socket_push(lua_State *L, struct mw_request *request);
/* Pushes the path that the socket of a request was opened at; false, and nothing, if there is none any more. */
bool socket_push_path(lua_State *L, struct mw_request *request);
/* True if the request must wait, since the handler that opens the socket is not over; it is started then. */
bool socket_holds(struct mw_request *request, uint64_t now_ms);
/* A request that is held was cancelled. */
void socket_cancel_held(struct mw_request *request);
/* The core has nothing more to say about it. */
void socket_end(lua_State *L, struct mw_socket *socket);

BINDING_END

#endif
