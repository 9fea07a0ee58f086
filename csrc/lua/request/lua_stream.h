/* Raw event streams: app:stream. */
#ifndef MOONWIRE_LUA_STREAM_H
#define MOONWIRE_LUA_STREAM_H

#include "lua/base/host.h"

BINDING_BEGIN

struct lua_stream;

void stream_open(lua_State *L);
/* Pushes the table of methods, to which stream.lua adds its own. */
void stream_push_methods(lua_State *L);
/* Returns the stream at `index`, which begins if it has not, and its host. NULL: it has ended. */
struct mw_stream *stream_begun(lua_State *L, int index, struct host **host);
/* Functions of core. See core.d.lua. */
int stream_is(lua_State *L);
int stream_start(lua_State *L);
/* Pushes a stream for the request, and returns it. It starts with the first event, so that the
 * handler can refuse before. Until then, *request belongs to the caller; afterwards it is NULL.
 * `task` is the handler's: its wait ends when the peer disconnects. */
struct lua_stream *stream_push(lua_State *L, struct host *host, struct mw_request **request, struct task *task);
/* Called when the handler has ended: starts the stream if `open` and there was no answer. It stays
 * open until it is closed. */
void stream_handler_done(lua_State *L, struct lua_stream *stream, bool open);

BINDING_END

#endif
