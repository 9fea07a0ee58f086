/* Raw WebSockets: app:websocket. */
#ifndef MOONWIRE_LUA_SOCKET_H
#define MOONWIRE_LUA_SOCKET_H

#include "lua/base/host.h"

BINDING_BEGIN

struct lua_socket;

void socket_open(lua_State *L);
/* Pushes a socket for *request, after its request table at the top of the stack, and returns it. It
 * upgrades when it sends its first message, so that the handler can refuse before. Until then,
 * *request belongs to the caller; afterwards it is NULL. `task` is the handler's: its wait ends
 * when the peer disconnects. */
struct lua_socket *socket_push_new(lua_State *L, struct host *host, struct mw_request **request, struct task *task);
/* Called when the handler has ended: upgrades if `open`, and closes otherwise. */
void socket_handler_done(lua_State *L, struct lua_socket *socket, bool open);
/* Called when the handler has refused: closes a socket that is already upgraded. */
void socket_refuse(struct lua_socket *socket, const char *reason);

/* Pushes the socket of a request. */
void socket_push(lua_State *L, struct mw_request *request);
/* Pushes the path at which the socket of a request was opened. Returns false, and pushes nothing,
 * if it no longer exists. */
bool socket_push_path(lua_State *L, struct mw_request *request);
/* Returns true if the request must wait for the end of the handler that opens the socket. It is
 * started then. */
bool socket_holds(struct mw_request *request, uint64_t now_ms);
/* Called when a held request was cancelled. */
void socket_cancel_held(struct mw_request *request);
/* Called when the core has sent the last request of the socket. */
void socket_end(lua_State *L, struct mw_socket *socket);

BINDING_END

#endif
