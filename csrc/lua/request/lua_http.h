/* Converts HTTP requests and responses between the core and Lua tables. */
#ifndef MOONWIRE_LUA_HTTP_H
#define MOONWIRE_LUA_HTTP_H

#include "lua/base/host.h"

BINDING_BEGIN

/* Pushes { method, path, query_string, body, remote, token, headers, params } as strings and
 * tables. Header names are in lower case; the last field of a name counts. `route` is that of the
 * captures in params; -1: none. */
void http_push(lua_State *L, const struct host *host, const struct mw_http *http, int route);

/* form(content_type, body): returns the list of the fields, { name=, value=, filename=, type= };
 * filename only of a file. Or nil and what is wrong. */
int http_read_form(lua_State *L);

/* Returns the fields of a list { name, value, name, … }, whose strings it borrows. Pushes a value that
 * owns the array. */
const struct mw_http_field *http_read_fields(lua_State *L, int index, size_t *count);

/* Responds with the values from `index` on: status, body or nil, content type or nil, and a list {
 * name, value, name, … } or nil. *request becomes NULL as soon as nothing can raise. If the core
 * refuses the response, logs this as a fault of `task`, with the name `what`. */
void http_respond(lua_State *L, int index, struct mw_request **request, const struct task *task, const char *what);

BINDING_END

#endif
