#include "lua/request/lua_socket.h"

#include <string.h>

#include "lua/base/handle.h"
#include "lua/base/json.h"
#include "lua/objects/lua_publish.h"
#include "lua/request/lua_request.h"

static const char socket_class[] = "moonwire.socket";

enum { VALUE_REQUEST = 1, VALUE_DATA, VALUE_USER, VALUE_COUNT = VALUE_USER };

/* The userdata. Pinned from its creation to the last request of the core. */
struct lua_socket {
  struct resource resource;
  struct host *host;
  struct mw_request **request; /* of the opening handler, before the upgrade; NULL after that handler */
  struct task *opening;        /* the same */
  struct mw_request *held;     /* waits for that handler to end */
  uint64_t held_ms;            /* since when */
  const char *held_why;        /* why it was cancelled in the meantime: "closed", "timeout"; else NULL */
  struct mw_client *client;    /* referred to */
  struct mw_socket *socket;    /* NULL: not upgraded, or ended */
  bool closed;                 /* for the script: nothing more can be sent */
};

/* ---- Life ---------------------------------------------------------------------------------------------------------------- */

static void close_handle(struct lua_socket *self) {
  self->closed = true;
  resource_unlink(self->host, &self->resource);
  if (self->socket) mw_socket_set_context(self->socket, NULL);
  mw_socket_unref(self->socket);
  self->socket = NULL;
}

static void socket_release_resource(struct resource *resource) { close_handle((struct lua_socket *)resource); }

struct lua_socket *socket_push_new(lua_State *L, struct host *host, struct mw_request **request, struct task *task) {
  struct lua_socket *self = handle_new(L, socket_class, sizeof *self, VALUE_COUNT);
  handle_pin(L, -1, self);
  self->host = host;
  self->request = request;
  self->opening = task;
  self->client = mw_client_ref(mw_request_client(*request));
  lua_pushvalue(L, -2);
  lua_setiuservalue(L, -2, VALUE_REQUEST);
  return self;
}

/* Returns whether something can be sent. */
static bool socket_begin(struct lua_socket *self) {
  if (self->closed) return false;
  if (self->socket) return true;
  if (!self->request || !*self->request) return false;
  struct mw_request *request = *self->request;
  *self->request = NULL;
  self->request = NULL;
  mw_request_set_context(request, NULL);
  if (mw_request_websocket(request, &self->socket) == 0) {
    mw_socket_set_context(self->socket, self);
    resource_link(self->host, &self->resource, socket_release_resource);
  } else {
    self->socket = NULL;
    self->closed = true;
  }
  return !self->closed;
}

static void shut(struct lua_socket *self, int code, const char *reason) {
  if (self->socket && !self->closed) mw_socket_close(self->socket, code, reason);
  self->closed = true;
}

void socket_refuse(struct lua_socket *self, const char *reason) { shut(self, 1008, reason); }

void socket_handler_done(lua_State *L, struct lua_socket *self, bool open) {
  if (!open || !socket_begin(self)) shut(self, 1011, "");
  struct mw_request *held = self->held;
  self->held = NULL;
  self->opening = NULL;
  self->request = NULL;
  if (!self->socket) {
    handle_unpin(L, self);
  } else if (held) {
    request_start_held(self->host, held, self->held_ms, self->held_why);
  }
}

static struct lua_socket *self_of(const struct mw_request *request) {
  struct mw_socket *socket = mw_request_socket(request);
  return socket ? mw_socket_context(socket) : NULL;
}

bool socket_holds(struct mw_request *request, uint64_t now_ms) {
  struct lua_socket *self = self_of(request);
  if (!self || !self->opening) return false;
  self->held = request;
  self->held_ms = now_ms;
  self->held_why = NULL;
  if (mw_request_type(request) == MW_REQUEST_SOCKET_CLOSE) task_cancel(self->opening, "closed");
  return true;
}

void socket_cancel_held(struct mw_request *request) {
  struct lua_socket *self = self_of(request);
  if (!self || !self->opening) return;
  self->held_why = request_cancel_reason(self->host, self->held_ms);
  task_cancel(self->opening, self->held_why);
}

void socket_push(lua_State *L, struct mw_request *request) {
  struct lua_socket *self = self_of(request);
  if (mw_request_type(request) == MW_REQUEST_SOCKET_CLOSE) self->closed = true;
  handle_push(L, self);
}

bool socket_push_path(lua_State *L, struct mw_request *request) {
  struct lua_socket *self = self_of(request);
  if (!self) return false;
  handle_push(L, self);
  lua_getiuservalue(L, -1, VALUE_REQUEST);
  lua_pushliteral(L, "path");
  if (lua_rawget(L, -2) != LUA_TSTRING) {
    lua_pop(L, 3);
    return false;
  }
  lua_replace(L, -3);
  lua_pop(L, 1);
  return true;
}

void socket_end(lua_State *L, struct mw_socket *socket) {
  struct lua_socket *self = mw_socket_context(socket);
  if (!self) return;
  close_handle(self);
  handle_unpin(L, self);
}

static int collect(lua_State *L) {
  struct lua_socket *self = lua_touserdata(L, 1);
  mw_client_unref(self->client);
  self->client = NULL;
  return 0;
}

/* ---- Methods ------------------------------------------------------------------------------------------------------------- */

static struct lua_socket *check_socket(lua_State *L) {
  struct lua_socket *self = luaL_testudata(L, 1, socket_class);
  if (!self) luaL_error(L, "call the methods of a socket with a colon, as socket:send(…)");
  return self;
}

static int push_outcome(lua_State *L, int status, const char *misuse) {
  struct mw_error error = {""};
  if (status == MW_EINVAL && misuse) return luaL_error(L, "%s", misuse);
  return publish_outcome(L, status, &error);
}

/* `what` names the string: "socket:send: the message". */
static struct mw_bytes check_text(lua_State *L, int index, const char *what) {
  if (lua_type(L, index) != LUA_TSTRING) luaL_error(L, "%s must be a string, got %s", what, luaL_typename(L, index));
  return bytes_check(L, index);
}

static int send(lua_State *L, bool is_binary) {
  struct lua_socket *self = check_socket(L);
  struct mw_bytes data = check_text(L, 2, is_binary ? "socket:send_binary: the message" : "socket:send: the message");
  int status = socket_begin(self) ? mw_socket_send(self->socket, data.ptr, data.len, is_binary) : MW_ECLOSED;
  return push_outcome(L, status, "socket:send: the text is not valid UTF-8; use socket:send_binary for bytes");
}

/* socket:send(text), socket:send_binary(bytes): return true; or nil, message, code. So do the
 * others below. */
static int send_text(lua_State *L) { return send(L, false); }
static int send_binary(lua_State *L) { return send(L, true); }

/* socket:ping([bytes]) */
static int ping(lua_State *L) {
  struct lua_socket *self = check_socket(L);
  struct mw_bytes data = {NULL, 0};
  if (!lua_isnoneornil(L, 2)) data = check_text(L, 2, "socket:ping: the argument");
  if (data.len > 125) return luaL_error(L, "socket:ping: a ping has at most 125 bytes, got %d", (int)data.len);
  return push_outcome(L, socket_begin(self) ? mw_socket_ping(self->socket, data.ptr, data.len) : MW_ECLOSED, NULL);
}

/* socket:close([code[, reason]]) */
static int close_socket(lua_State *L) {
  struct lua_socket *self = check_socket(L);
  int is_integer = true;
  lua_Integer code = lua_isnoneornil(L, 2) ? 1000 : lua_tointegerx(L, 2, &is_integer);
  if (!is_integer || !((code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999))) {
    const char *got = lua_type(L, 2) == LUA_TNUMBER ? luaL_tolstring(L, 2, NULL) : luaL_typename(L, 2);
    return luaL_error(L, "socket:close: a code must be 1000 to 1003, 1007 to 1014, or 3000 to 4999, got %s", got);
  }
  struct mw_bytes text = {"", 0};
  if (!lua_isnoneornil(L, 3)) text = check_text(L, 3, "socket:close: the reason");
  if (text.len > 123 || memchr(text.ptr, 0, text.len)) {
    return luaL_error(L, "socket:close: a reason must be at most 123 bytes of UTF-8 text");
  }
  const char *reason = text.ptr; /* strings of Lua end with a NUL */
  int status = socket_begin(self) ? mw_socket_close(self->socket, (int)code, reason) : MW_ECLOSED;
  if (status == 0) self->closed = true;
  return push_outcome(L, status, NULL);
}

/* socket:buffered() */
static int buffered(lua_State *L) {
  struct lua_socket *self = check_socket(L);
  lua_pushinteger(L, self->socket ? (lua_Integer)mw_socket_buffered(self->socket) : 0);
  return 1;
}

typedef int (*channel_fn)(struct mw_socket *socket, const char *channel, size_t channel_len);

static int with_channel(lua_State *L, channel_fn call, const char *what) {
  struct lua_socket *self = check_socket(L);
  struct mw_bytes name = check_text(L, 2, what);
  struct mw_error error = {""};
  int status = socket_begin(self) ? call(self->socket, name.ptr, name.len) : MW_ECLOSED;
  if (status == MW_EINVAL || status == MW_ENOTFOUND) {
    mw_config_match(self->host->config, name.ptr, name.len, &error);
    return luaL_error(L, "%s", error.text[0] ? error.text : mw_status_text(status));
  }
  return publish_outcome(L, status, &error);
}

/* socket:subscribe(channel), socket:unsubscribe(channel) */
static int socket_subscribe(lua_State *L) { return with_channel(L, mw_socket_subscribe, "socket:subscribe: the channel"); }
static int unsubscribe(lua_State *L) { return with_channel(L, mw_socket_unsubscribe, "socket:unsubscribe: the channel"); }

/* ---- Fields -------------------------------------------------------------------------------------------------------------- */

static void push_user(lua_State *L, const struct lua_socket *self) {
  struct mw_bytes text = mw_client_user(self->client);
  if (lua_getiuservalue(L, 1, VALUE_USER) != LUA_TNIL || text.len == 0) return;
  lua_pop(L, 1);
  if (!json_decode(L, text)) luaL_error(L, "%s", lua_tostring(L, -1));
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, 1, VALUE_USER);
}

static void push_protocol(lua_State *L) {
  lua_getiuservalue(L, 1, VALUE_REQUEST);
  lua_getfield(L, -1, "protocol");
}

static int socket_get_field(lua_State *L) {
  struct lua_socket *self = check_socket(L);
  const char *name = luaL_checkstring(L, 2);
  if (strcmp(name, "id") == 0) {
    bytes_push(L, mw_client_id(self->client));
  } else if (strcmp(name, "user") == 0) {
    push_user(L, self);
  } else if (strcmp(name, "remote") == 0) {
    bytes_push(L, mw_client_remote(self->client));
  } else if (strcmp(name, "request") == 0) {
    lua_getiuservalue(L, 1, VALUE_REQUEST);
  } else if (strcmp(name, "protocol") == 0) {
    push_protocol(L);
  } else if (strcmp(name, "data") == 0) {
    lua_getiuservalue(L, 1, VALUE_DATA);
  } else if (strcmp(name, "closed") == 0) {
    lua_pushboolean(L, self->closed);
  } else {
    lua_pushvalue(L, 2);
    lua_rawget(L, lua_upvalueindex(1));
    if (lua_isnil(L, -1)) return luaL_error(L, "no such field of a socket: '%s'", name);
  }
  return 1;
}

static int set_field(lua_State *L) {
  check_socket(L);
  const char *name = luaL_checkstring(L, 2);
  if (strcmp(name, "data") != 0) return luaL_error(L, "cannot set socket.%s; use socket.data for your own values", name);
  lua_settop(L, 3);
  lua_setiuservalue(L, 1, VALUE_DATA);
  return 0;
}

static int describe(lua_State *L) {
  lua_pushliteral(L, "socket ");
  bytes_push(L, mw_client_id(check_socket(L)->client));
  lua_concat(L, 2);
  return 1;
}

void socket_open(lua_State *L) {
  static const luaL_Reg metamethods[] = {{"__newindex", set_field}, {"__tostring", describe}, {"__gc", collect}, {NULL, NULL}};
  static const luaL_Reg methods[] = {{"send", send_text},
                                     {"send_binary", send_binary},
                                     {"ping", ping},
                                     {"close", close_socket},
                                     {"buffered", buffered},
                                     {"subscribe", socket_subscribe},
                                     {"unsubscribe", unsubscribe},
                                     {NULL, NULL}};
  handle_class(L, socket_class, metamethods, NULL);
  luaL_getmetatable(L, socket_class);
  luaL_newlib(L, methods);
  lua_pushcclosure(L, socket_get_field, 1);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}
