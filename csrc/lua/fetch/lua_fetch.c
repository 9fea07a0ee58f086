#include "lua/fetch/lua_fetch.h"

#include <stdlib.h>
#include <string.h>

#include "lua/base/handle.h"
#include "lua/base/wait.h"
#include "lua/fetch/fetcher.h"

static const char fetch_class[] = "moonwire.fetch";

/* Of a host. Freed with it, after all requests have been closed. */
struct host_fetcher {
  struct resource resource;
  struct host *host;
  struct fetcher *fetcher;
};

/* The userdata. */
struct lua_fetch {
  struct task_wait wait; /* for a head, or a part of the body */
  struct task_owned owned;
  struct transfer transfer;
  struct resource resource;
  struct host *host; /* NULL: closed */
  bool awaits_body;
};

/* ---- Beginning and end ------------------------------------------------------------------------------------------------------- */

static void fetch_on_progress(struct transfer *transfer) {
  struct lua_fetch *self = (struct lua_fetch *)((char *)transfer - offsetof(struct lua_fetch, transfer));
  bool has_come = self->awaits_body ? transfer_has_body(transfer) : transfer_has_head(transfer);
  if (has_come && self->wait.task) task_wake(self->wait.task);
}

static void fetch_close(struct lua_fetch *self) {
  if (!self->host) return;
  task_disown(&self->owned);
  fetcher_remove(self->host->fetcher->fetcher, &self->transfer);
  resource_unlink(self->host, &self->resource);
  transfer_free(&self->transfer);
  transfer_end(&self->transfer, CURLE_ABORTED_BY_CALLBACK);
  self->host = NULL;
}

static void fetch_release_resource(struct resource *resource) {
  fetch_close((struct lua_fetch *)((char *)resource - offsetof(struct lua_fetch, resource)));
}

static void fetch_release_owned(struct task_owned *owned) {
  fetch_close((struct lua_fetch *)((char *)owned - offsetof(struct lua_fetch, owned)));
}

/* Requests are linked later, and so released earlier. */
static void fetcher_release_resource(struct resource *resource) {
  struct host_fetcher *self = (struct host_fetcher *)((char *)resource - offsetof(struct host_fetcher, resource));
  resource_unlink(self->host, &self->resource);
  self->host->fetcher = NULL;
  fetcher_free(self->fetcher);
  free(self);
}

static void host_start_fetcher(lua_State *L, struct host *host) {
  if (host->fetcher) return;
  struct host_fetcher *self = calloc(1, sizeof *self);
  struct fetcher *fetcher = self ? fetcher_new(host->server, fetch_on_progress) : NULL;
  if (!fetcher) {
    free(self);
    luaL_error(L, "not enough memory");
    return;
  }
  self->host = host;
  self->fetcher = fetcher;
  host->fetcher = self;
  resource_link(host, &self->resource, fetcher_release_resource);
}

static int fetch_collect(lua_State *L) {
  struct lua_fetch *self = luaL_checkudata(L, 1, fetch_class);
  if (self->wait.task) self->wait.task->wait = NULL; /* the Lua state is being closed */
  self->wait.task = NULL;
  fetch_close(self);
  return 0;
}

static int push_problem(lua_State *L, struct lua_fetch *self) {
  const char *code, *message = transfer_problem(&self->transfer, &code);
  if (!self->host) return failure_push(L, "the request is closed", "closed");
  return failure_push(L, message, code);
}

/* ---- Options ------------------------------------------------------------------------------------------------------------------ */

static const char *string_field(lua_State *L, const char *name) {
  lua_getfield(L, 1, name);
  const char *text = lua_tostring(L, -1); /* stays in the table */
  lua_pop(L, 1);
  return text;
}

static lua_Integer integer_field(lua_State *L, const char *name) {
  lua_getfield(L, 1, name);
  lua_Integer value = lua_tointeger(L, -1);
  lua_pop(L, 1);
  return value;
}

static void read_options(lua_State *L, struct transfer_options *options) {
  *options = (struct transfer_options){.url = string_field(L, "url"),
                                       .method = string_field(L, "method"),
                                       .unix_socket = string_field(L, "unix_socket"),
                                       .ca_file = string_field(L, "ca_file"),
                                       .timeout_ms = (uint64_t)integer_field(L, "timeout_ms"),
                                       .connect_ms = (uint64_t)integer_field(L, "connect_ms"),
                                       .redirects = (long)integer_field(L, "redirects")};
  lua_getfield(L, 1, "unverified");
  options->is_unverified = lua_toboolean(L, -1);
  lua_getfield(L, 1, "body");
  if (!lua_isnil(L, -1)) options->body.ptr = lua_tolstring(L, -1, &options->body.len);
  lua_pop(L, 2);
}

static CURLcode add_fields(lua_State *L, struct transfer *transfer) {
  CURLcode code = CURLE_OK;
  lua_getfield(L, 1, "fields");
  for (lua_Integer i = 1; code == CURLE_OK && lua_rawgeti(L, -1, i) == LUA_TSTRING; i++) {
    code = transfer_add_field(transfer, lua_tostring(L, -1));
    lua_pop(L, 1);
  }
  lua_settop(L, 2);
  return code;
}

int fetch_start(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  int result;
  if (!task_may_wait(L, &result)) return result;
  struct task *task = door_running(door_get(L));
  struct host *host = host_of_task(task);
  host_start_fetcher(L, host);
  struct lua_fetch *self = handle_new(L, fetch_class, sizeof *self, 0);
  struct transfer_options options;
  read_options(L, &options);
  self->host = host;
  resource_link(host, &self->resource, fetch_release_resource);
  self->owned.release = fetch_release_owned;
  task_own(task, &self->owned);
  CURLcode code = transfer_init(&self->transfer, &options);
  if (code == CURLE_OK) code = add_fields(L, &self->transfer);
  if (code == CURLE_OK) {
    int status = fetcher_add(host->fetcher->fetcher, &self->transfer);
    if (status == 0) return 1;
    fetch_close(self);
    return failure_push(L, status == MW_ELIMIT ? "too many requests are under way" : mw_status_text(status), "unavailable");
  }
  transfer_end(&self->transfer, code);
  result = push_problem(L, self);
  fetch_close(self);
  return result;
}

/* ---- Reading ------------------------------------------------------------------------------------------------------------------- */

/* Pushes the fields by name in lower case; several of one name are joined by ", ". */
static void push_fields(lua_State *L, const struct transfer_text *head) {
  lua_newtable(L);
  for (size_t at = 0; at < head->len;) {
    const char *line = head->bytes + at, *end = memchr(line, '\n', head->len - at);
    size_t len = end ? (size_t)(end - line) : head->len - at;
    at += len + 1;
    while (len > 0 && (line[len - 1] == '\r' || line[len - 1] == ' ' || line[len - 1] == '\t')) len--;
    const char *colon = memchr(line, ':', len);
    if (!colon || colon == line) continue;
    luaL_Buffer name;
    luaL_buffinit(L, &name);
    for (const char *c = line; c < colon; c++) luaL_addchar(&name, (char)(*c >= 'A' && *c <= 'Z' ? *c + 32 : *c));
    luaL_pushresult(&name);
    const char *value = colon + 1;
    while (value < line + len && (*value == ' ' || *value == '\t')) value++;
    lua_pushvalue(L, -1);
    if (lua_rawget(L, -3) == LUA_TSTRING) {
      lua_pushliteral(L, ", ");
      lua_pushlstring(L, value, (size_t)(line + len - value));
      lua_concat(L, 3);
    } else {
      lua_pop(L, 1);
      lua_pushlstring(L, value, (size_t)(line + len - value));
    }
    lua_rawset(L, -3);
  }
}

static int push_head(lua_State *L, struct lua_fetch *self) {
  if (!self->transfer.has_head) return push_problem(L, self);
  lua_pushinteger(L, self->transfer.status);
  push_fields(L, &self->transfer.head);
  return 2;
}

static int push_body(lua_State *L, struct lua_fetch *self) {
  struct transfer *transfer = &self->transfer;
  if (transfer->body.len > 0) {
    lua_pushlstring(L, transfer->body.bytes, transfer->body.len);
    transfer_taken(transfer);
    return 1;
  }
  if (transfer->result != CURLE_OK) return push_problem(L, self);
  lua_pushnil(L);
  return 1;
}

static int finish_fetch(lua_State *L, int status, lua_KContext context) {
  (void)status;
  struct lua_fetch *self = (struct lua_fetch *)context;
  bool has_come = self->awaits_body ? transfer_has_body(&self->transfer) : transfer_has_head(&self->transfer);
  const char *cancelled = task_end_wait(&self->wait, has_come);
  if (has_come) return self->awaits_body ? push_body(L, self) : push_head(L, self);
  if (cancelled) return failure_push(L, cancelled, cancelled);
  return failure_push(L, "nothing was received in time", "timeout");
}

static void fetch_abandon(struct task_wait *wait) { wait->task = NULL; }

static int await_part(lua_State *L, bool awaits_body) {
  struct lua_fetch *self = luaL_checkudata(L, 1, fetch_class);
  lua_Number seconds = task_check_seconds(L, 2);
  if (self->wait.task) return luaL_error(L, "another task reads this answer");
  self->awaits_body = awaits_body;
  if (awaits_body && transfer_has_body(&self->transfer)) return push_body(L, self);
  if (!awaits_body && transfer_has_head(&self->transfer)) return push_head(L, self);
  int result;
  if (!task_may_wait(L, &result)) return result;
  self->wait.abandon = fetch_abandon;
  return task_wait_for(L, &self->wait, seconds, finish_fetch);
}

static int fetch_head(lua_State *L) { return await_part(L, false); }
static int fetch_read(lua_State *L) { return await_part(L, true); }

static int fetch_end(lua_State *L) {
  struct lua_fetch *self = luaL_checkudata(L, 1, fetch_class);
  fetch_close(self);
  if (self->wait.task) task_wake(self->wait.task); /* another task reads */
  return 0;
}

void fetch_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"head", fetch_head}, {"read", fetch_read}, {"close", fetch_end}, {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__gc", fetch_collect}, {"__close", fetch_end}, {NULL, NULL}};
  handle_class(L, fetch_class, metamethods, methods);
}
