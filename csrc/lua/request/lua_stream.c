#include "lua/request/lua_stream.h"

#include <stdio.h>
#include <string.h>

#include "lua/base/fault.h"
#include "lua/base/handle.h"
#include "lua/base/json.h"
#include "lua/request/lua_http.h"

static const char stream_class[] = "moonwire.stream";
static const char stream_methods_key = 0; /* in the registry: the table of methods */

/* The userdata. Pinned from its creation until the peer has disconnected and all handlers have
 * ended. User value: the function of on_close. */
struct lua_stream {
  struct task task; /* of on_close; idle before */
  struct resource resource;
  struct host *host;
  struct mw_request **request; /* of the handler, before the stream has started; NULL after the handler */
  struct task *handler;        /* the same */
  struct mw_stream *stream;    /* NULL: not started, or ended */
  bool begun;                  /* the client has received the head of a stream */
  bool closed;                 /* for the script: nothing more can be sent */
  bool over;                   /* for this file: the core will not call back */
};

/* ---- Life ---------------------------------------------------------------------------------------------------------------- */

static void unpin_if_over(lua_State *L, struct lua_stream *self) {
  if (self->over && !self->handler && self->task.state == TASK_IDLE) handle_unpin(L, self);
}

static int push_on_close(lua_State *L, struct task *task) {
  handle_push(L, task);
  lua_getiuservalue(L, -1, 1);
  lua_remove(L, -2);
  return 0;
}

static void finish_on_close(lua_State *L, struct task *task, bool ok) {
  static const char what[] = "a stream's on_close";
  if (L && ok) fault_log_results(L, task, what);
  if (L && !ok) fault_log(L, task, what);
}

static void describe_on_close(const struct task *task, char *text, size_t size) {
  (void)task;
  snprintf(text, size, "a stream's on_close");
}

static void release_on_close(lua_State *L, struct task *task) { unpin_if_over(L, (struct lua_stream *)task); }

static const struct task_class on_close_class = {push_on_close, finish_on_close, release_on_close, describe_on_close};

/* Does not allocate. */
static bool has_on_close(lua_State *L, struct lua_stream *self) {
  int top = lua_gettop(L);
  handle_push(L, self);
  bool found = lua_isuserdata(L, -1) && lua_getiuservalue(L, -1, 1) == LUA_TFUNCTION;
  lua_settop(L, top);
  return found;
}

/* Called when the core will not call back again. */
static void end_stream(struct lua_stream *self) {
  if (self->over) return;
  lua_State *L = door_state(self->host->group.door);
  self->over = true;
  self->closed = true;
  resource_unlink(self->host, &self->resource);
  mw_stream_unref(self->stream);
  self->stream = NULL;
  if (self->handler) task_cancel(self->handler, "closed");
  if (!self->host->closed && has_on_close(L, self)) {
    task_start(&self->task, &on_close_class, &self->host->group);
  } else {
    unpin_if_over(L, self);
  }
}

/* Ends the stream. The core reports its end later. */
static void shut_stream(struct lua_stream *self) {
  if (self->closed) return;
  self->closed = true;
  if (self->stream) {
    mw_stream_close(self->stream); /* may call on_stream_close before it returns */
  } else {
    end_stream(self);
  }
}

static void on_stream_close(void *context) { end_stream(context); }

static void stream_release_resource(struct resource *resource) {
  end_stream((struct lua_stream *)((char *)resource - offsetof(struct lua_stream, resource)));
}

struct lua_stream *stream_push(lua_State *L, struct host *host, struct mw_request **request, struct task *task) {
  struct lua_stream *self = handle_new(L, stream_class, sizeof *self, 1);
  handle_pin(L, -1, self);
  self->host = host;
  self->request = request;
  self->handler = task;
  return self;
}

/* Returns 0, MW_ECLOSED, or MW_EINVAL: the head cannot be sent, and nothing has begun. */
static int begin_with(struct lua_stream *self, const struct mw_response *head, struct mw_error *error) {
  if (self->closed || !self->request || !*self->request) return MW_ECLOSED;
  int status = mw_request_stream(*self->request, head, &self->stream, on_stream_close, self, error);
  if (status == MW_EINVAL) return status;
  *self->request = NULL;
  self->request = NULL;
  if (status == 0) {
    self->begun = true;
    resource_link(self->host, &self->resource, stream_release_resource);
    return 0;
  }
  self->stream = NULL;
  end_stream(self);
  return MW_ECLOSED;
}

/* Returns whether events can be sent. */
static bool begin_stream(struct lua_stream *self) {
  if (self->closed) return false;
  return self->stream || begin_with(self, NULL, NULL) == 0;
}

void stream_handler_done(lua_State *L, struct lua_stream *self, bool open) {
  if (!open || !begin_stream(self)) shut_stream(self);
  self->handler = NULL;
  self->request = NULL;
  unpin_if_over(L, self);
}

/* ---- Methods ------------------------------------------------------------------------------------------------------------- */

static struct lua_stream *check_stream(lua_State *L) { return luaL_checkudata(L, 1, stream_class); }

/* Returns a string as it is, anything else as JSON. The stack keeps the text. */
static struct mw_bytes read_data(lua_State *L, int index) {
  if (lua_type(L, index) == LUA_TSTRING) return bytes_check(L, index);
  struct mw_bytes text = json_encode(L, index, "data");
  if (!text.ptr) luaL_error(L, "%s", lua_tostring(L, -1));
  return text;
}

/* The rules of published events, so that a page has one kind of names. */
static bool is_event_name(struct mw_bytes name) {
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:-";
  if (name.len == 0 || name.len > 64 || strspn(name.ptr, letters) != name.len) return false;
  return strcmp(name.ptr, "open") != 0 && strcmp(name.ptr, "error") != 0 && strncmp(name.ptr, "moonwire:", 9) != 0;
}

/* The same check as in mw_stream_send. Returns what is wrong, or NULL. */
static const char *id_fault(struct mw_bytes id) {
  if (id.len > MW_STREAM_ID_MAX) return "is longer than 1024 bytes";
  for (size_t i = 0; i < id.len; i++) {
    if (id.ptr[i] > '~' || id.ptr[i] < ' ') return "has a character that is not printable ASCII";
  }
  return id.len > 0 && (id.ptr[0] == ' ' || id.ptr[id.len - 1] == ' ') ? "begins or ends with a space" : NULL;
}

/* Returns a string, or an integer, which is written to `number`. */
static struct mw_bytes read_id(lua_State *L, int options, char number[24]) {
  if (lua_isinteger(L, -1)) {
    int len = snprintf(number, 24, LUA_INTEGER_FMT, lua_tointeger(L, -1));
    return (struct mw_bytes){number, (size_t)len};
  }
  luaL_argcheck(L, lua_type(L, -1) == LUA_TSTRING, options, "option 'id' must be a string or an integer");
  struct mw_bytes id = bytes_check(L, -1); /* the table keeps it */
  const char *fault = id_fault(id);
  if (fault) {
    luaL_argerror(L, options,
                  lua_pushfstring(L,
                                  "option 'id' %s; it must be 1 to 1024 printable ASCII characters, so that a client can send "
                                  "it as Last-Event-ID",
                                  fault));
  }
  return id;
}

static void read_options(lua_State *L, int index, struct mw_stream_event *event, char number[24]) {
  luaL_checktype(L, index, LUA_TTABLE);
  lua_pushnil(L);
  while (lua_next(L, index)) {
    const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
    if (strcmp(name, "id") == 0) {
      event->id = read_id(L, index, number);
    } else if (strcmp(name, "retry") == 0) {
      luaL_argcheck(L, lua_type(L, -1) == LUA_TNUMBER && lua_tonumber(L, -1) >= 0 && lua_tonumber(L, -1) <= 1e6, index,
                    "option 'retry' must be a number of seconds");
      event->retry_ms = (int64_t)(lua_tonumber(L, -1) * 1000 + 0.5);
    } else {
      luaL_argerror(L, index, lua_pushfstring(L, "unknown option '%s' (known: 'id', 'retry')", name));
    }
    lua_pop(L, 1);
  }
}

/* core.stream_start(stream, status, fields): begins the stream with a list of name, value, name,
 * value. Returns true; or nil, message, code. See stream:start in stream.lua. */
int stream_start(lua_State *L) {
  struct lua_stream *self = check_stream(L);
  struct mw_response head = {.status = (int)luaL_checkinteger(L, 2)};
  struct mw_error error = {""};
  luaL_checktype(L, 3, LUA_TTABLE);
  if (self->begun) return failure_push(L, "the stream has started already", "misuse");
  head.fields = http_read_fields(L, 3, &head.field_count);
  int status = begin_with(self, &head, &error);
  if (status == MW_EINVAL) return failure_push(L, error.text, "misuse");
  if (status < 0) return failure_push(L, "closed", "closed");
  lua_pushboolean(L, true);
  return 1;
}

/* stream:send(event, data, { id =, retry = }): returns true; or nil, message, code. */
static int send_event(lua_State *L) {
  struct lua_stream *self = check_stream(L);
  struct mw_stream_event event = {.retry_ms = -1};
  char number[24];
  lua_settop(L, 4);
  if (!lua_isnil(L, 2)) {
    event.event = bytes_check(L, 2);
    luaL_argcheck(L, is_event_name(event.event), 2,
                  "an event must be 1 to 64 of A-Z a-z 0-9 _ . : -, and not open, error, or moonwire:…");
  }
  if (!lua_isnil(L, 4)) read_options(L, 4, &event, number);
  event.data = read_data(L, 3);
  int owner = lua_gettop(L);
  if (!begin_stream(self)) return failure_push(L, "closed", "closed");
  int status = mw_stream_send(self->stream, &event);
  if (lua_type(L, 3) != LUA_TSTRING) json_free(L, owner);
  if (status == 0) {
    lua_pushboolean(L, true);
    return 1;
  }
  if (status == MW_EINVAL)
    return luaL_error(L, "the event is not valid UTF-8, or its id is longer than a quarter of limits.head");
  return status == MW_ECLOSED ? failure_push(L, "closed", "closed") : failure_push(L, mw_status_text(status), "unavailable");
}

/* stream:close(): ends it after everything that was sent. */
static int close_stream(lua_State *L) {
  struct lua_stream *self = check_stream(L);
  begin_stream(self); /* an empty stream is also an answer */
  shut_stream(self);
  return 0;
}

/* stream:on_close(fn): calls fn once when the stream has ended, also if it already has. */
static int set_on_close(lua_State *L) {
  struct lua_stream *self = check_stream(L);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  if (lua_getiuservalue(L, 1, 1) != LUA_TNIL) return luaL_error(L, "the stream already has an on_close handler");
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, 1, 1);
  fault_write_definition(L, 2, self->task.defined);
  if (self->over && !self->host->closed) {
    handle_pin(L, 1, self);
    task_start(&self->task, &on_close_class, &self->host->group);
  }
  return 0;
}

int stream_is(lua_State *L) {
  lua_pushboolean(L, luaL_testudata(L, 1, stream_class) != NULL);
  return 1;
}

struct mw_stream *stream_begun(lua_State *L, int index, struct host **host) {
  struct lua_stream *self = luaL_checkudata(L, index, stream_class);
  *host = self->host;
  return begin_stream(self) ? self->stream : NULL;
}

void stream_push_methods(lua_State *L) { lua_rawgetp(L, LUA_REGISTRYINDEX, &stream_methods_key); }

static int stream_get_field(lua_State *L) {
  struct lua_stream *self = check_stream(L);
  const char *name = luaL_checkstring(L, 2);
  if (strcmp(name, "closed") == 0) {
    lua_pushboolean(L, self->closed);
    return 1;
  }
  if (strcmp(name, "_begun") == 0) { /* for handlers.lua */
    lua_pushboolean(L, self->begun);
    return 1;
  }
  lua_pushvalue(L, 2);
  lua_rawget(L, lua_upvalueindex(1));
  if (lua_isnil(L, -1)) return luaL_error(L, "no such field of a stream: '%s'", name);
  return 1;
}

void stream_open(lua_State *L) {
  static const luaL_Reg metamethods[] = {{NULL, NULL}};
  static const luaL_Reg methods[] = {{"send", send_event}, {"close", close_stream}, {"on_close", set_on_close}, {NULL, NULL}};
  handle_class(L, stream_class, metamethods, NULL);
  luaL_getmetatable(L, stream_class);
  luaL_newlib(L, methods);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &stream_methods_key);
  lua_pushcclosure(L, stream_get_field, 1);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}
