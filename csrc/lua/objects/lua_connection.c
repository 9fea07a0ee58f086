#include "lua/objects/lua_connection.h"

#include <ctype.h>
#include <string.h>

#include "lua/base/handle.h"
#include "lua/base/host.h"
#include "lua/base/wait.h"

static const char connection_class[] = "moonwire.connection";
/* of UV_EOF, whose number is libuv's */
static const char end_of_file[] = "end of file";

/* The userdata. Belongs to a task, or is parked: then it closes itself as soon as anything comes. */
struct lua_connection {
  struct task_wait wait;
  struct task_owned owned;
  struct resource resource;
  struct host *host;
  struct mw_connection *connection; /* NULL: closed */
  struct mw_timer *expiry;          /* while it is parked */
  bool (*is_ready)(const struct lua_connection *self);
  bool is_parked;
};

/* ---- Lifetime -------------------------------------------------------------------------------- */

static void shut(struct lua_connection *self) {
  task_disown(&self->owned);
  resource_unlink(self->host, &self->resource);
  mw_timer_free(self->expiry);
  mw_connection_close(self->connection);
  self->expiry = NULL;
  self->connection = NULL;
  self->is_parked = false;
}

static void connection_release_resource(struct resource *resource) {
  shut((struct lua_connection *)((char *)resource - offsetof(struct lua_connection, resource)));
}

static void connection_release_owned(struct task_owned *owned) {
  shut((struct lua_connection *)((char *)owned - offsetof(struct lua_connection, owned)));
}

/* The task's coroutine was closed while it waited. */
static void connection_abandon(struct task_wait *wait) { wait->task = NULL; }

static int collect_connection(lua_State *L) {
  struct lua_connection *self = lua_touserdata(L, 1);
  if (self->wait.task) self->wait.task->wait = NULL;
  self->wait.task = NULL;
  if (self->host) shut(self);
  return 0;
}

/* Returns the connection if the running task owns it; raises if another one does. Returns NULL, and
 * pushes nil and "closed", if it is closed. */
static struct lua_connection *check_connection(lua_State *L) {
  struct lua_connection *self = luaL_checkudata(L, 1, connection_class);
  if (!self->connection) {
    lua_pushnil(L);
    lua_pushliteral(L, "closed");
    return NULL;
  }
  if (self->is_parked) luaL_error(L, "the socket is in the pool; connect again to use it");
  if (self->owned.task != door_running(door_get(L))) {
    luaL_error(L, "the socket belongs to another task; connect in the task that uses it");
  }
  return self;
}

/* ---- Waiting --------------------------------------------------------------------------------- */

static bool is_decided(const struct lua_connection *self) {
  return !self->connection || mw_connection_status(self->connection) != MW_PENDING;
}

static bool has_read(const struct lua_connection *self) {
  return !self->connection || mw_connection_received(self->connection).len > 0 || mw_connection_ended(self->connection) != 0;
}

static bool has_sent(const struct lua_connection *self) {
  return !self->connection || mw_connection_unsent(self->connection) == 0;
}

static void connection_on_change(void *context) {
  struct lua_connection *self = context;
  if (self->is_parked) {
    bool is_idle = mw_connection_ended(self->connection) == 0 && mw_connection_received(self->connection).len == 0;
    if (!is_idle) shut(self);
  } else if (self->wait.task && self->is_ready(self)) {
    task_wake(self->wait.task);
  }
}

/* Returns nil and the cause, as OpenResty words it where it has a word. */
static int push_failure(lua_State *L, const struct lua_connection *self, int status) {
  const char *text = self && self->connection ? mw_connection_problem(self->connection) : mw_status_text(status);
  char first = text[0];
  lua_pushnil(L);
  if (strcmp(text, end_of_file) == 0 || strcmp(text, "Broken pipe") == 0) text = "closed";
  if (status == MW_ELIMIT) text = "too many sockets";
  if (isupper((unsigned char)first) && islower((unsigned char)text[1])) {
    lua_pushfstring(L, "%c%s", tolower((unsigned char)first), text + 1);
  } else {
    lua_pushstring(L, text);
  }
  return 2;
}

static int push_true(lua_State *L) {
  lua_pushboolean(L, true);
  return 1;
}

/* The result of what was waited for. connect has the userdata in place 4. */
static int push_outcome(lua_State *L, struct lua_connection *self) {
  struct mw_connection *connection = self->connection;
  if (!connection) return push_failure(L, NULL, MW_ECLOSED);
  int status = mw_connection_status(connection);
  if (self->is_ready == has_read && mw_connection_received(connection).len == 0) status = mw_connection_ended(connection);
  if (self->is_ready == has_sent && status == 0) status = mw_connection_send(connection, "", 0);
  if (status < 0) {
    int count = push_failure(L, self, status);
    if (self->is_ready == is_decided) shut(self);
    return count;
  }
  if (!lua_isuserdata(L, 4)) return push_true(L);
  lua_pushvalue(L, 4);
  return 1;
}

static int finish_connection(lua_State *L, int lua_status, lua_KContext context) {
  (void)lua_status;
  struct lua_connection *self = (struct lua_connection *)context;
  bool is_ready = self->is_ready(self);
  const char *cancelled = task_end_wait(&self->wait, is_ready);
  if (is_ready) return push_outcome(L, self);
  if (self->is_ready == is_decided) shut(self);
  lua_pushnil(L);
  lua_pushstring(L, cancelled ? cancelled : "timeout");
  return 2;
}

/* Waits until is_ready, for at most the seconds in argument `index`; nil: without limit. */
static int wait_until(lua_State *L, struct lua_connection *self, bool (*is_ready)(const struct lua_connection *self), int index) {
  self->is_ready = is_ready;
  if (is_ready(self)) return push_outcome(L, self);
  self->wait.abandon = connection_abandon;
  return task_wait_for(L, &self->wait, task_check_seconds(L, index), finish_connection);
}

/* ---- Functions ------------------------------------------------------------------------------- */

int connection_connect(lua_State *L) {
  struct mw_connect_options options = {.host = bytes_check(L, 1), .on_change = connection_on_change};
  lua_Integer port = luaL_optinteger(L, 2, 0);
  luaL_argcheck(L, lua_isnoneornil(L, 2) || (port >= 1 && port <= 65535), 2, "must be from 1 to 65535");
  options.port = (uint16_t)port;
  lua_settop(L, 3);
  int result;
  if (!task_may_wait(L, &result)) return result;
  struct lua_connection *self = handle_new(L, connection_class, sizeof *self, 0); /* place 4 */
  struct task *task = door_running(door_get(L));
  self->host = host_of_task(task);
  options.context = self;
  int status = mw_connect(&self->connection, self->host->server, &options);
  if (status < 0) {
    self->connection = NULL;
    return push_failure(L, NULL, status);
  }
  self->owned.release = connection_release_owned;
  task_own(task, &self->owned);
  resource_link(self->host, &self->resource, connection_release_resource);
  return wait_until(L, self, is_decided, 3);
}

/* connection:encrypt(name, seconds, file of certificates or nil, is unverified): TLS. Returns true;
 * or nil and a message, and then it is closed. */
static int encrypt_connection(lua_State *L) {
  struct lua_connection *self = check_connection(L);
  if (!self) return 2;
  struct mw_tls_options options = {.ca_file = luaL_optstring(L, 4, NULL), .is_unverified = lua_toboolean(L, 5)};
  options.name.ptr = luaL_optlstring(L, 2, "", &options.name.len);
  int result;
  if (!task_may_wait(L, &result)) return result;
  int status = mw_connection_encrypt(self->connection, &options);
  if (status < 0) {
    int count = push_failure(L, self, status);
    shut(self);
    return count;
  }
  lua_pushnil(L);
  lua_replace(L, 4); /* push_outcome returns true */
  return wait_until(L, self, is_decided, 3);
}

/* connection:send(text, seconds): returns true when all of it is with the system; or nil and a
 * message. What is unsent after a time-out is still sent. */
static int send_connection(lua_State *L) {
  struct lua_connection *self = check_connection(L);
  if (!self) return 2;
  struct mw_bytes text = bytes_check(L, 2);
  lua_settop(L, 3);
  int result;
  if (!task_may_wait(L, &result)) return result;
  int status = mw_connection_send(self->connection, text.ptr, text.len);
  if (status == MW_ETOOLARGE) return push_failure(L, NULL, status);
  if (status < 0) return push_failure(L, self, status);
  return wait_until(L, self, has_sent, 3);
}

/* connection:fill(seconds): returns true when there is something to take; or nil and a message. */
static int fill_connection(lua_State *L) {
  struct lua_connection *self = check_connection(L);
  if (!self) return 2;
  lua_settop(L, 2);
  int result;
  if (!task_may_wait(L, &result)) return result;
  return wait_until(L, self, has_read, 2);
}

/* connection:take(most): returns up to so many bytes of what was received, "" if there are none. */
static int take_connection(lua_State *L) {
  struct lua_connection *self = check_connection(L);
  if (!self) return 2;
  lua_Integer most = luaL_checkinteger(L, 2);
  struct mw_bytes received = mw_connection_received(self->connection);
  if (most < 0) most = 0;
  if ((lua_Unsigned)most < received.len) received.len = (size_t)most;
  bytes_push(L, received);
  mw_connection_consume(self->connection, received.len);
  return 1;
}

/* connection:line(): returns what was received up to a newline, without it; and whether there is
 * one. */
static int take_line(lua_State *L) {
  struct lua_connection *self = check_connection(L);
  if (!self) return 2;
  struct mw_bytes received = mw_connection_received(self->connection);
  const char *end = received.len > 0 ? memchr(received.ptr, '\n', received.len) : NULL;
  size_t len = end ? (size_t)(end - received.ptr) : received.len;
  bytes_push(L, (struct mw_bytes){received.ptr, len});
  mw_connection_consume(self->connection, len + (end ? 1 : 0));
  lua_pushboolean(L, end != NULL);
  return 2;
}

enum { CERTIFICATE_MAX = 8192 };

/* connection:binding(): returns the hash of the peer's certificate for SCRAM, and the certificate
 * (DER), or nil. */
static int connection_binding(lua_State *L) {
  struct lua_connection *self = check_connection(L);
  if (!self) return 2;
  unsigned char hash[MW_TLS_BINDING_MAX];
  int len = mw_connection_tls_binding(self->connection, hash);
  if (len < 0) return 0;
  lua_pushlstring(L, (const char *)hash, (size_t)len);
  unsigned char certificate[CERTIFICATE_MAX];
  len = mw_connection_tls_certificate(self->connection, certificate, sizeof certificate);
  if (len < 0) return 0;
  lua_pushlstring(L, (const char *)certificate, (size_t)len);
  return 2;
}

/* connection:state(): returns the number of bytes to take, whether it can be used again, and whether
 * the peer has ended its side in order; or nil and "closed". */
static int connection_state(lua_State *L) {
  struct lua_connection *self = check_connection(L);
  if (!self) return 2;
  lua_pushinteger(L, (lua_Integer)mw_connection_received(self->connection).len);
  lua_pushboolean(L, mw_connection_ended(self->connection) == 0 && mw_connection_unsent(self->connection) == 0);
  lua_pushboolean(L, strcmp(mw_status_text(mw_connection_ended(self->connection)), end_of_file) == 0);
  return 3;
}

/* connection:close(): returns true, or nil and "closed". */
static int close_connection(lua_State *L) {
  struct lua_connection *self = check_connection(L);
  if (!self) return 2;
  shut(self);
  return push_true(L);
}

/* ---- The pool -------------------------------------------------------------------------------- */

static void connection_on_expiry(void *context) { shut(context); }

/* connection:park(seconds): no task owns it any more. It is closed after that time, or as soon as
 * the peer sends or ends. Returns true, or nil and a message. A task that was cancelled may have
 * stopped half-way, such as in a transaction: what it has is closed. */
static int park_connection(lua_State *L) {
  struct lua_connection *self = check_connection(L);
  if (!self) return 2;
  lua_Number seconds = luaL_checknumber(L, 2);
  luaL_argcheck(L, seconds >= 0 && seconds <= 1e9, 2, "must be from 0 to 1e9 seconds");
  if (self->owned.task->cancelled) {
    shut(self);
    return push_failure(L, NULL, MW_ECLOSED);
  }
  int status = mw_timer_new(&self->expiry, self->host->server, (uint64_t)(seconds * 1000 + 0.5), 0, connection_on_expiry, self);
  if (status != 0) {
    self->expiry = NULL;
    shut(self);
    return push_failure(L, NULL, status);
  }
  task_disown(&self->owned);
  self->is_parked = true;
  return push_true(L);
}

/* connection:adopt(): the running task owns it from now on. Returns whether it is still open, and of
 * the same server. */
static int adopt_connection(lua_State *L) {
  struct lua_connection *self = luaL_checkudata(L, 1, connection_class);
  struct task *task = door_running(door_get(L));
  bool may = task && self->is_parked && self->connection && self->host == host_of_task(task);
  if (may) {
    mw_timer_free(self->expiry);
    self->expiry = NULL;
    self->is_parked = false;
    task_own(task, &self->owned);
  }
  lua_pushboolean(L, may);
  return 1;
}

/* connection:is_parked(): returns whether it is open, and no task owns it. */
static int connection_is_parked(lua_State *L) {
  struct lua_connection *self = luaL_checkudata(L, 1, connection_class);
  lua_pushboolean(L, self->is_parked);
  return 1;
}

/* connection:discard(): closes one that is parked. */
static int discard_connection(lua_State *L) {
  struct lua_connection *self = luaL_checkudata(L, 1, connection_class);
  if (self->is_parked) shut(self);
  return 0;
}

void connection_class_open(lua_State *L) {
  static const luaL_Reg metamethods[] = {{"__gc", collect_connection}, {NULL, NULL}};
  static const luaL_Reg methods[] = {{"encrypt", encrypt_connection},
                                     {"send", send_connection},
                                     {"fill", fill_connection},
                                     {"take", take_connection},
                                     {"line", take_line},
                                     {"binding", connection_binding},
                                     {"state", connection_state},
                                     {"close", close_connection},
                                     {"park", park_connection},
                                     {"adopt", adopt_connection},
                                     {"is_parked", connection_is_parked},
                                     {"discard", discard_connection},
                                     {NULL, NULL}};
  handle_class(L, connection_class, metamethods, methods);
}
