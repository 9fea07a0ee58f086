/* Requests of the core, as tasks that run the functions of the handler table
 * (lua/moonwire/handlers.lua).
 *
 * Each function returns how to answer: "accept"[, data] · "refuse", status, code, reason ·
 * "respond", status, body, content type, fields · "stream" (a raw stream or WebSocket begins) ·
 * "fault", place or nil, text. */
#include "lua/request/lua_request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lua/base/fault.h"
#include "lua/base/handle.h"
#include "lua/base/json.h"
#include "lua/objects/lua_client.h"
#include "lua/request/lua_http.h"
#include "lua/request/lua_socket.h"
#include "lua/request/lua_stream.h"

enum { LARGE = 1 << 20, WHAT_MAX = 180 };

struct asked {
  struct task task;
  struct host *host;
  struct mw_request *request; /* NULL after the answer */
  struct lua_stream *stream;  /* of MW_REQUEST_STREAM; pinned while the handler runs */
  struct lua_socket *socket;  /* of MW_REQUEST_WEBSOCKET; pinned in the same way */
  enum mw_request_type type;
  size_t size; /* of MW_REQUEST_SOCKET_MESSAGE, if it is large */
  uint64_t since_ms;
  const char *cancelled; /* why it was cancelled while it was held; NULL: it was not */
  char what[WHAT_MAX];   /* for the log; does not change */
};

/* By enum mw_request_type: the function in the handler table, the words for the log. */
static const struct {
  const char *handler, *words;
} types[] = {
    [MW_REQUEST_AUTHENTICATE] = {"authenticate", "authenticate"},
    [MW_REQUEST_AUTHORIZE] = {"authorize", "authorize"},
    [MW_REQUEST_OPEN] = {"open", "on_open"},
    [MW_REQUEST_JOIN] = {"join", "on_join"},
    [MW_REQUEST_LEAVE] = {"leave", "on_leave"},
    [MW_REQUEST_CLOSE] = {"close", "on_close"},
    [MW_REQUEST_HTTP] = {"http", "handler"},
    [MW_REQUEST_MESSAGE] = {"message", "on"},
    [MW_REQUEST_CONNECT] = {"connect", "on_connect"},
    [MW_REQUEST_DISCONNECT] = {"disconnect", "on_disconnect"},
    [MW_REQUEST_SLOW] = {"slow", "on_slow"},
    [MW_REQUEST_STREAM] = {"stream", "stream handler"},
    [MW_REQUEST_PRESENCE] = {"presence", "presence"},
    [MW_REQUEST_WEBSOCKET] = {"websocket", "on_open"},
    [MW_REQUEST_SOCKET_MESSAGE] = {"socket_message", "on_message"},
    [MW_REQUEST_SOCKET_CLOSE] = {"socket_close", "on_close"},
};

/* ---- Answering ------------------------------------------------------------------------------- */

static struct mw_request *take_request(struct asked *asked) {
  struct mw_request *request = asked->request;
  asked->request = NULL;
  if (request) mw_request_set_context(request, NULL);
  return request;
}

static void refuse_internal(struct asked *asked) {
  struct mw_request *request = take_request(asked);
  if (request) mw_request_fail(request);
}

static void accept_request(struct asked *asked, struct mw_bytes data) {
  struct mw_request *request = take_request(asked);
  if (!request) return;
  int status = mw_request_accept(request, data.ptr, data.len);
  if (status == 0 || status == MW_ECLOSED) return;
  char text[120];
  const char *why = status == MW_ETOOLARGE ? "larger than limits.message_size" : mw_status_text(status);
  int len = snprintf(text, sizeof text, "the result cannot be sent: %s", why);
  fault_log_text(&asked->task, asked->what, asked->task.defined,
                 (struct mw_bytes){text, len < (int)sizeof text ? (size_t)len : sizeof text - 1});
}

/* Paths come from outside, and must not forge log lines. */
static void make_printable(char *text) {
  for (char *c = text; *c; c++) {
    if ((unsigned char)*c < ' ' || *c == 127) *c = '?';
  }
}

static int cut(struct mw_bytes text, int most) { return text.len < (size_t)most ? (int)text.len : most; }

/* Writes the name of the handler for the log. That of a raw socket has its path, which is looked up
 * only if needed. */
static const char *what_of(lua_State *L, const struct asked *asked, char text[WHAT_MAX]) {
  snprintf(text, WHAT_MAX, "%s", asked->what);
  if (asked->type != MW_REQUEST_SOCKET_MESSAGE && asked->type != MW_REQUEST_SOCKET_CLOSE) return text;
  if (!asked->request || !socket_push_path(L, asked->request)) return text;
  struct mw_bytes path = bytes_check(L, -1);
  struct mw_bytes id = mw_client_id(mw_request_client(asked->request));
  snprintf(text, WHAT_MAX, "%s of %.*s, client %.*s", types[asked->type].words, cut(path, 80), path.ptr, cut(id, 60), id.ptr);
  make_printable(text);
  lua_pop(L, 1);
  return text;
}

/* Logs a fault in the handler's results: the text at `index` + 1, with the place at `index` if
 * there is one. */
static void log_fault(lua_State *L, int index, const struct asked *asked) {
  char what[WHAT_MAX];
  const char *place = lua_tostring(L, index);
  if (!place) place = asked->task.defined;
  what_of(L, asked, what);
  struct mw_bytes text = bytes_check(L, index + 1);
  fault_log_text(&asked->task, what, place, text);
}

/* Logs a refusal by a hook that cannot refuse. */
static void log_vain_refusal(lua_State *L, int first, const struct asked *asked) {
  char what[WHAT_MAX];
  const char *place = asked->task.place[0] ? asked->task.place : asked->task.defined;
  what_of(L, asked, what);
  lua_pushfstring(L, "refused, but this handler cannot refuse: %s (%s)", lua_tostring(L, first + 2), lua_tostring(L, first + 1));
  fault_log_text(&asked->task, what, place, bytes_check(L, -1));
}

static bool can_refuse(const struct asked *asked) {
  switch (asked->type) {
    case MW_REQUEST_LEAVE:
    case MW_REQUEST_CLOSE:
    case MW_REQUEST_DISCONNECT:
    case MW_REQUEST_SLOW:
    case MW_REQUEST_SOCKET_CLOSE: return false;
    default: return true;
  }
}

/* Answers with the results from TASK_RESULT on. Returns false if they have no answer. */
static bool request_answer(lua_State *L, struct asked *asked) {
  static const char *const ways[] = {"accept", "refuse", "respond", "stream", "fault", NULL};
  int way = luaL_checkoption(L, TASK_RESULT, NULL, ways), first = TASK_RESULT + 1;
  if (way == 0) {
    struct mw_bytes data = {NULL, 0};
    if (!lua_isnoneornil(L, first)) {
      data = json_encode(L, first, asked->type == MW_REQUEST_AUTHENTICATE ? "user" : "result");
      if (!data.ptr) lua_error(L); /* the log line names the handler */
    }
    accept_request(asked, data);
  } else if (way == 1) {
    int status = (int)luaL_checkinteger(L, first);
    const char *code = luaL_checkstring(L, first + 1), *reason = luaL_checkstring(L, first + 2);
    if (!can_refuse(asked)) log_vain_refusal(L, first, asked);
    struct mw_request *request = take_request(asked);
    if (request) mw_request_refuse(request, status, code, reason);
    if (!request && asked->socket) socket_refuse(asked->socket, reason);
  } else if (way == 2) {
    if (asked->request) http_respond(L, first, &asked->request, &asked->task, asked->what);
  } else if (way == 4) {
    log_fault(L, first, asked);
  }
  return way != 4;
}

/* Calls the handler table to find whether the error at TASK_RESULT is a refusal, and replaces it by
 * the answer. */
static bool turn_to_refusal(lua_State *L, struct asked *asked) {
  if (!lua_istable(L, TASK_RESULT)) return false;
  lua_settop(L, TASK_RESULT);
  host_push_handler(L, asked->host, "refusal");
  lua_insert(L, TASK_RESULT);
  lua_pushstring(L, types[asked->type].handler);
  lua_call(L, 2, 4);
  return true;
}

/* The handler raised or was ended, so it has not stored its changes of client.data. */
static void settle_data(lua_State *L, struct asked *asked) {
  const struct mw_client *client = asked->request ? mw_request_client(asked->request) : NULL;
  if (!client) return;
  if (!L) {
    client_forget_changes(door_state(asked->host->group.door), client);
  } else if (!client_store_changes(L, client)) {
    char what[WHAT_MAX];
    fault_log_text(&asked->task, what_of(L, asked, what), asked->task.defined, bytes_check(L, -1));
  }
  if (L) lua_settop(L, TASK_RESULT);
}

static void finish_asked(lua_State *L, struct task *task, bool ok) {
  struct asked *asked = (struct asked *)task;
  if (!ok) settle_data(L, asked);
  if (asked->type == MW_REQUEST_SOCKET_CLOSE && asked->request) {
    socket_end(door_state(asked->host->group.door), mw_request_socket(asked->request));
  }
  if (L && (ok || turn_to_refusal(L, asked))) {
    ok = request_answer(L, asked);
  } else if (L) {
    char what[WHAT_MAX];
    fault_log(L, task, what_of(L, asked, what));
  }
  if (asked->stream) {
    struct lua_stream *stream = asked->stream;
    asked->stream = NULL;
    stream_handler_done(door_state(asked->host->group.door), stream, ok);
  }
  if (asked->socket) {
    struct lua_socket *socket = asked->socket;
    asked->socket = NULL;
    socket_handler_done(door_state(asked->host->group.door), socket, ok);
  }
  /* Lua's copy of a large message is now garbage, and should be freed before the next message.
   * Collects in proportion to its size: to the end of the cycle in which it was in use, and of the
   * next one. */
  for (int i = 0; L && asked->size > 0 && i < 2; i++) lua_gc(L, LUA_GCSTEP, (int)(asked->size / 1024));
  refuse_internal(asked); /* has no effect after an answer */
}

static void release_asked(lua_State *L, struct task *task) {
  (void)L;
  free(task);
}

/* ---- Asking ---------------------------------------------------------------------------------- */

/* Pushes the number of the kind, the name of the channel, and the client if there is one. */
static void push_channel(lua_State *L, const struct asked *asked) {
  lua_pushinteger(L, mw_request_kind(asked->request));
  bytes_push(L, mw_request_channel(asked->request));
  if (mw_request_client(asked->request)) client_push(L, asked->host, mw_request_client(asked->request));
}

/* Pushes the event, the JSON or nil, and the bytes or nil. */
static void push_message(lua_State *L, const struct mw_message *message) {
  bytes_push(L, message->event);
  if (message->is_binary) {
    lua_pushnil(L);
    bytes_push(L, message->binary);
  } else {
    bytes_push(L, message->data);
    lua_pushnil(L);
  }
}

/* Frees the core's copy as soon as Lua has its own: messages may be large. */
static void push_socket_message(lua_State *L, struct asked *asked) {
  struct mw_request *request = asked->request;
  const struct mw_message *message = mw_request_message(request);
  struct mw_bytes bytes = message->is_binary ? message->binary : message->data;
  lua_pushinteger(L, mw_request_kind(request));
  socket_push(L, request);
  bytes_push(L, bytes);
  lua_pushboolean(L, message->is_binary);
  if (bytes.len >= LARGE) asked->size = bytes.len;
  mw_request_drop_message(request);
}

static int push_asked(lua_State *L, struct task *task) {
  struct asked *asked = (struct asked *)task;
  struct mw_request *request = asked->request;
  int top = lua_gettop(L);
  if (asked->cancelled) task_cancel(task, asked->cancelled);
  host_push_handler(L, asked->host, types[asked->type].handler);
  switch (asked->type) {
    case MW_REQUEST_AUTHENTICATE: http_push(L, asked->host, mw_request_http(request), -1); break;
    case MW_REQUEST_AUTHORIZE:
    case MW_REQUEST_JOIN:
    case MW_REQUEST_LEAVE:
    case MW_REQUEST_SLOW:
    case MW_REQUEST_PRESENCE:
    case MW_REQUEST_OPEN:
    case MW_REQUEST_CLOSE: push_channel(L, asked); break;
    case MW_REQUEST_MESSAGE:
      push_channel(L, asked);
      push_message(L, mw_request_message(request));
      break;
    case MW_REQUEST_CONNECT:
    case MW_REQUEST_DISCONNECT:
      client_push(L, asked->host, mw_request_client(request));
      bytes_push(L, mw_request_reason(request));
      break;
    case MW_REQUEST_HTTP:
    case MW_REQUEST_STREAM:
      lua_pushinteger(L, mw_request_kind(request));
      http_push(L, asked->host, mw_request_http(request), mw_request_kind(request));
      if (asked->type == MW_REQUEST_STREAM) asked->stream = stream_push(L, asked->host, &asked->request, task);
      break;
    case MW_REQUEST_WEBSOCKET:
      lua_pushinteger(L, mw_request_kind(request));
      http_push(L, asked->host, mw_request_http(request), mw_request_kind(request));
      if (mw_request_protocol(request).len > 0) {
        bytes_push(L, mw_request_protocol(request));
        lua_setfield(L, -2, "protocol");
      }
      asked->socket = socket_push_new(L, asked->host, &asked->request, task);
      break;
    case MW_REQUEST_SOCKET_MESSAGE: push_socket_message(L, asked); break;
    case MW_REQUEST_SOCKET_CLOSE:
      lua_pushinteger(L, mw_request_kind(request));
      socket_push(L, request);
      lua_pushinteger(L, mw_request_close_code(request));
      bytes_push(L, mw_request_reason(request));
      break;
  }
  return lua_gettop(L) - top - 1;
}

static void describe_asked(const struct task *task, char *text, size_t size) {
  snprintf(text, size, "%s", ((const struct asked *)task)->what);
}

static const struct task_class asked_class = {push_asked, finish_asked, release_asked, describe_asked};

static void describe(struct asked *asked) {
  const struct mw_http *http = mw_request_http(asked->request);
  const struct mw_message *message = mw_request_message(asked->request);
  struct mw_client *client = mw_request_client(asked->request);
  struct mw_bytes channel = mw_request_channel(asked->request);
  const char *words = types[asked->type].words;
  const size_t size = sizeof asked->what;
  if (http) {
    snprintf(asked->what, size, "%s of %.*s %.*s", words, cut(http->method, 10), http->method.ptr, cut(http->path, 80),
             http->path.ptr);
  } else if (message && channel.len > 0) {
    snprintf(asked->what, size, "%s.%.*s of \"%.*s\"", words, cut(message->event, 64), message->event.ptr, cut(channel, 80),
             channel.ptr);
  } else if (channel.len > 0) {
    snprintf(asked->what, size, "%s of \"%.*s\"", words, cut(channel, 80), channel.ptr);
  } else {
    /* Its id is a secret. */
    struct mw_bytes id = client ? mw_client_user_id(client) : (struct mw_bytes){"", 0};
    snprintf(asked->what, size, "%s of client %.*s", words, cut(id, 80), id.ptr);
  }
  make_printable(asked->what);
}

/* Returns where the script defines the handler, if it is known (places_define). */
static void find_definition(struct asked *asked) {
  const struct mw_message *message = mw_request_message(asked->request);
  bool is_global =
      asked->type == MW_REQUEST_AUTHENTICATE || asked->type == MW_REQUEST_CONNECT || asked->type == MW_REQUEST_DISCONNECT;
  int kind = is_global ? -1 : mw_request_kind(asked->request);
  const char *event = asked->type == MW_REQUEST_MESSAGE ? message->event.ptr : "";
  size_t event_len = asked->type == MW_REQUEST_MESSAGE ? message->event.len : 0;
  const char *place = places_find(&asked->host->places, kind, types[asked->type].handler, (struct mw_bytes){event, event_len});
  if (place) snprintf(asked->task.defined, PLACE_MAX, "%s", place);
}

void request_start_held(struct host *host, struct mw_request *request, uint64_t since_ms, const char *cancelled) {
  struct asked *asked = calloc(1, sizeof *asked);
  if (!asked || host->closed) {
    free(asked);
    mw_request_refuse(request, 503, "unavailable", "unavailable");
    return;
  }
  asked->host = host;
  asked->request = request;
  asked->type = mw_request_type(request);
  describe(asked);
  find_definition(asked);
  asked->since_ms = since_ms;
  asked->cancelled = cancelled;
  mw_request_set_context(request, asked);
  task_start(&asked->task, &asked_class, &host->group);
}

void request_start(void *context, struct mw_request *request) {
  struct host *host = context;
  uint64_t now_ms = host->server ? mw_server_time(host->server) : 0;
  if (!socket_holds(request, now_ms)) request_start_held(host, request, now_ms, NULL);
}

const char *request_cancel_reason(const struct host *host, uint64_t since_ms) {
  return host->server && mw_server_time(host->server) - since_ms >= host->answer_ms ? "timeout" : "closed";
}

void request_cancel(void *context, struct mw_request *request) {
  struct host *host = context;
  struct asked *asked = mw_request_context(request);
  if (!asked) {
    socket_cancel_held(request);
    return;
  }
  task_cancel(&asked->task, request_cancel_reason(host, asked->since_ms));
}
