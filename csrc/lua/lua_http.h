/* HTTP between the core and Lua tables. */
#ifndef MOONWIRE_LUA_HTTP_H
#define MOONWIRE_LUA_HTTP_H

#include "lua/host.h"

BINDING_BEGIN

/* Pushes { method, path, query_string, body, remote, token, headers, params } as plain strings and tables; header names in lower case, of
 * several fields of a name the last. `route` says whose captures params holds; -1: none. */
void http_push(lua_State *L, const struct host *host, const struct mw_http *http, int route);

/* Answers with what the stack holds from `index` on: status, body or nil, content type or nil, and a list { name, value, name,
 * ... } or nil. *request becomes NULL as soon as nothing can raise any more. Logs what the core does
 * not take, as a fault of `task` in the name of `what`. */
void http_respond(lua_State *L, int index, struct mw_request **request, const struct task *task, const char *what);

BINDING_END

#endif
