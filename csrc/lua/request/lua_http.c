#include "lua/request/lua_http.h"

#include <stdio.h>
#include <string.h>

#include "lua/base/fault.h"

static void set_bytes(lua_State *L, const char *name, struct mw_bytes value) {
  bytes_push(L, value);
  lua_setfield(L, -2, name);
}

static void push_lower(lua_State *L, struct mw_bytes name) {
  luaL_Buffer out;
  char *text = luaL_buffinitsize(L, &out, name.len);
  for (size_t i = 0; i < name.len; i++) {
    char c = name.ptr[i];
    text[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
  }
  luaL_pushresultsize(&out, name.len);
}

/* The last field of a name counts, but Cookie fields are joined: HTTP/2 splits them (RFC 9113
 * section 8.2.3). */
static void push_headers(lua_State *L, const struct mw_http *http) {
  lua_createtable(L, 0, (int)http->field_count);
  for (size_t i = 0; i < http->field_count; i++) {
    int pieces = 1;
    push_lower(L, http->fields[i].name);
    if (strcmp(lua_tostring(L, -1), "cookie") == 0) {
      if (lua_getfield(L, -2, "cookie") == LUA_TSTRING) {
        lua_pushliteral(L, "; ");
        pieces = 3;
      } else {
        lua_pop(L, 1);
      }
    }
    bytes_push(L, http->fields[i].value);
    lua_concat(L, pieces);
    lua_rawset(L, -3);
  }
}

static void push_params(lua_State *L, const struct host *host, const struct mw_http *http, int route) {
  struct mw_bytes name, value;
  lua_newtable(L);
  for (size_t i = 0; mw_config_param(host->config, route, http->path.ptr, http->path.len, i, &name, &value) == 0; i++) {
    bytes_push(L, name);
    bytes_push(L, value);
    lua_rawset(L, -3);
  }
}

void http_push(lua_State *L, const struct host *host, const struct mw_http *http, int route) {
  luaL_checkstack(L, 6, "no room for a request");
  lua_createtable(L, 0, 10);
  set_bytes(L, "method", http->method);
  set_bytes(L, "path", http->path);
  set_bytes(L, "query_string", http->query);
  set_bytes(L, "body", http->body);
  set_bytes(L, "remote", http->remote);
  set_bytes(L, "scheme", http->scheme);
  lua_pushboolean(L, http->is_by_proxy);
  lua_setfield(L, -2, "by_proxy");
  if (http->token.len > 0) set_bytes(L, "token", http->token);
  push_headers(L, http);
  lua_setfield(L, -2, "headers");
  if (route >= 0) {
    push_params(L, host, http, route);
  } else {
    lua_newtable(L);
  }
  lua_setfield(L, -2, "params");
}

/* ---- Forms ----------------------------------------------------------------------------------- */

/* Pushes the list of { name=, value=, filename=, type= }. */
static int push_form(lua_State *L) {
  const struct mw_form *form = lua_touserdata(L, 1);
  const struct mw_form_field *field;
  lua_newtable(L);
  for (size_t i = 0; (field = mw_form_field(form, i)) != NULL; i++) {
    lua_createtable(L, 0, 4);
    set_bytes(L, "name", field->name);
    set_bytes(L, "value", field->value);
    if (field->is_file) set_bytes(L, "filename", field->filename);
    if (field->content_type.len > 0) set_bytes(L, "type", field->content_type);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

int http_read_form(lua_State *L) {
  struct mw_bytes type = bytes_check(L, 1), body = bytes_check(L, 2);
  struct mw_http_field field = {.name = {"content-type", 12}, .value = type};
  struct mw_http http = {.body = body, .fields = &field, .field_count = 1};
  struct mw_form *form = NULL;
  struct mw_error error = {""};
  if (mw_form_read(&form, &http, &error) < 0) {
    lua_pushnil(L);
    lua_pushstring(L, error.text);
    return 2;
  }
  lua_pushcfunction(L, push_form);
  lua_pushlightuserdata(L, form);
  int status = lua_pcall(L, 1, 1, 0);
  mw_form_free(form);
  return status == LUA_OK ? 1 : lua_error(L);
}

/* ---- Answers --------------------------------------------------------------------------------- */

const struct mw_http_field *http_read_fields(lua_State *L, int index, size_t *count) {
  *count = lua_rawlen(L, index) / 2;
  struct mw_http_field *fields = lua_newuserdatauv(L, (*count + 1) * sizeof *fields, 0);
  for (size_t i = 0; i < *count; i++) {
    lua_rawgeti(L, index, (lua_Integer)(2 * i + 1));
    lua_rawgeti(L, index, (lua_Integer)(2 * i + 2));
    fields[i].name = bytes_check(L, -2);
    fields[i].value = bytes_check(L, -1);
    lua_pop(L, 2);
  }
  return fields;
}

void http_respond(lua_State *L, int index, struct mw_request **request, const struct task *task, const char *what) {
  struct mw_response response = {.status = (int)luaL_checkinteger(L, index)};
  lua_settop(L, index + 3);
  if (!lua_isnil(L, index + 1)) response.body = bytes_check(L, index + 1);
  if (!lua_isnil(L, index + 2)) response.content_type = bytes_check(L, index + 2);
  if (!lua_isnil(L, index + 3)) response.fields = http_read_fields(L, index + 3, &response.field_count);
  struct mw_error error = {""};
  struct mw_request *answered = *request;
  *request = NULL;
  int status = mw_request_respond(answered, &response, &error);
  if (status == 0 || status == MW_ECLOSED) return;
  char text[sizeof error.text + 40];
  const char *why = error.text[0] ? error.text : mw_status_text(status);
  int len = snprintf(text, sizeof text, "the response was not sent: %s", why);
  fault_log_text(task, what, task->defined, (struct mw_bytes){text, len < (int)sizeof text ? (size_t)len : sizeof text - 1});
}
