/* Raw event streams: app:stream. */
#ifndef MOONWIRE_LUA_STREAM_H
#define MOONWIRE_LUA_STREAM_H

#include "lua/host.h"

BINDING_BEGIN

struct lua_stream;

void stream_open(lua_State *L);
/* Pushes a stream for the request and returns it. It begins with the first event, so that the handler can still refuse; until then
 * *request is the owner's, and NULL afterwards. `task` is the handler's: its wait ends when the peer goes. */
struct lua_stream *stream_push(lua_State *L, struct host *host, struct mw_request **request, struct task *task);
/* The handler is over: without an answer so far the stream begins, if `open`; it stays open until somebody closes it. */
void stream_handler_done(lua_State *L, struct lua_stream *stream, bool open);

BINDING_END

#endif
