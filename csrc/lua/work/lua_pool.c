#define _XOPEN_SOURCE 700 /* strdup */

#include "lua/work/lua_pool.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lua/base/handle.h"
#include "lua/base/wait.h"
#include "lua/work/worker_state.h"

static const char pool_class[] = "moonwire.work.pool";
static const char call_class[] = "moonwire.work.call";

enum { NAME_MAX_LEN = 80 };

/* ---- The pool ------------------------------------------------------------------------------------------------------------------ */

/* Shared with the threads, which may outlive the app. */
struct pool_setup {
  struct worker_setup worker;
  char name[NAME_MAX_LEN];
};

/* The userdata. Pinned while it has threads. */
struct lua_pool {
  struct resource resource;
  struct host *host;
  struct mw_pool *pool; /* NULL: not started, or the app has ended */
  size_t threads, queue;
  uint64_t timeout_ms;
  char name[NAME_MAX_LEN];
};

static void release_setup(void *context) {
  struct pool_setup *setup = context;
  free(setup->worker.path);
  free(setup->worker.cpath);
  free(setup);
}

/* Returns a copy of package.`name`, or NULL. */
static char *copy_path(lua_State *L, const char *name) {
  lua_getglobal(L, LUA_LOADLIBNAME);
  if (lua_istable(L, -1)) lua_getfield(L, -1, name);
  const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
  char *copy = text ? strdup(text) : NULL;
  lua_settop(L, -2);
  return copy;
}

static void pool_release_resource(struct resource *resource) {
  struct lua_pool *self = (struct lua_pool *)((char *)resource - offsetof(struct lua_pool, resource));
  resource_unlink(self->host, &self->resource);
  mw_pool_free(self->pool);
  self->pool = NULL;
  handle_unpin(door_state(self->host->group.door), self);
}

/* Starts the pool in the server of the task. */
static void pool_start(lua_State *L, struct lua_pool *self, int index) {
  if (self->pool) return;
  self->host = host_of_task(door_running(door_get(L)));
  handle_pin(L, index, self);
  struct pool_setup *setup = calloc(1, sizeof *setup);
  if (!setup) luaL_error(L, "not enough memory");
  int top = lua_gettop(L);
  setup->worker.path = copy_path(L, "path");
  setup->worker.cpath = copy_path(L, "cpath");
  lua_settop(L, top);
  memcpy(setup->name, self->name, sizeof setup->name);
  const struct mw_pool_options options = {.name = setup->name,
                                          .threads = self->threads,
                                          .queue = self->queue,
                                          .open = worker_state_open,
                                          .close = worker_state_close,
                                          .release = release_setup,
                                          .context = setup};
  int status = mw_pool_new(&self->pool, self->host->server, &options);
  if (status == 0) {
    resource_link(self->host, &self->resource, pool_release_resource);
    return;
  }
  self->pool = NULL;
  release_setup(setup);
  handle_unpin(L, self);
  if (status != MW_ECLOSED) luaL_error(L, "cannot start pool '%s': %s", self->name, mw_status_text(status));
}

/* ---- A call -------------------------------------------------------------------------------------------------------------------- */

/* Shared by the task that waits, whose stack has a userdata for it, and the job. */
struct pool_call {
  struct task_wait wait;
  struct mw_pool *pool;
  atomic_int owners;
  bool is_done;
  int status;
  struct work_call work;
  char name[NAME_MAX_LEN];
  char *text; /* of malloc: what `work` points to */
};

static void call_drop(struct pool_call *call) {
  if (atomic_fetch_sub(&call->owners, 1) > 1) return;
  free(call->text);
  free(call->work.arguments.data);
  free(call->work.results.data);
  free(call->work.fault);
  free(call);
}

static void call_run(void *context, void *state) { worker_state_call(state, &((struct pool_call *)context)->work); }

static void call_on_done(void *context, int status) {
  struct pool_call *call = context;
  call->is_done = true;
  call->status = status;
  if (call->wait.task) task_wake(call->wait.task);
}

static void call_release(void *context) { call_drop(context); }

static void call_abandon(struct task_wait *wait) {
  struct pool_call *call = (struct pool_call *)wait;
  wait->task = NULL;
  if (!call->is_done) mw_pool_cancel(call->pool, call);
}

static int collect_call(lua_State *L) {
  struct pool_call **holder = lua_touserdata(L, 1);
  struct pool_call *call = *holder;
  *holder = NULL;
  if (!call) return 0;
  if (call->wait.task) call->wait.task->wait = NULL; /* the Lua state is being closed */
  call->wait.task = NULL;
  call_drop(call);
  return 0;
}

static int push_status(lua_State *L, const struct pool_call *call) {
  switch (call->status) {
    case MW_ECLOSED: return failure_push(L, "closed", "closed");
    case MW_ETIMEDOUT: {
      lua_pushnil(L);
      lua_pushfstring(L, "%s did not return in time", call->name);
      lua_pushliteral(L, "timeout");
      return 3;
    }
    default: return failure_push(L, mw_status_text(call->status), "unavailable");
  }
}

static int finish_call(lua_State *L, int lua_status, lua_KContext context) {
  (void)lua_status;
  struct pool_call *call = (struct pool_call *)context;
  const char *cancelled = task_end_wait(&call->wait, call->is_done);
  if (!call->is_done) {
    mw_pool_cancel(call->pool, call);
    return failure_push(L, cancelled, cancelled);
  }
  if (call->status != 0) return push_status(L, call);
  if (call->work.fault) {
    lua_pushstring(L, call->work.fault); /* it says where */
    return lua_error(L);
  }
  return values_unpack(L, call->work.results);
}

/* Copies what the thread needs. Returns false if out of memory. */
static bool call_fill(struct pool_call *call, struct mw_bytes name, struct mw_bytes target, struct mw_bytes function,
                      bool is_code) {
  snprintf(call->name, sizeof call->name, "%.*s", (int)(name.len < NAME_MAX_LEN ? name.len : NAME_MAX_LEN - 1), name.ptr);
  call->text = malloc(target.len + 1 + function.len + 1);
  if (!call->text) return false;
  char *second = call->text + target.len + 1;
  memcpy(call->text, target.ptr, target.len + 1);
  memcpy(second, function.ptr, function.len + 1);
  call->work.function = second;
  call->work.module = is_code ? NULL : call->text;
  if (is_code) call->work.code = (struct mw_bytes){call->text, target.len};
  return true;
}

/* pool:run(name, is_code, target, function, ...) */
static int pool_run(lua_State *L) {
  enum { FIRST = 6 };
  struct lua_pool *self = luaL_checkudata(L, 1, pool_class);
  struct mw_bytes name = bytes_check(L, 2), target = bytes_check(L, 4), function = bytes_check(L, 5);
  bool is_code = lua_toboolean(L, 3);
  int result, count = lua_gettop(L) - FIRST + 1;
  if (!task_may_wait(L, &result)) return result;
  pool_start(L, self, 1);
  if (!self->pool) return failure_push(L, "closed", "closed");
  struct pool_call **holder = handle_new(L, call_class, sizeof *holder, 0);
  struct pool_call *call = calloc(1, sizeof *call);
  if (!call) return luaL_error(L, "not enough memory");
  *holder = call;
  atomic_init(&call->owners, 1);
  call->pool = self->pool;
  call->wait.abandon = call_abandon;
  if (!call_fill(call, name, target, function, is_code)) return luaL_error(L, "not enough memory");
  if (!values_pack(L, FIRST, count, "argument", &call->work.arguments)) return luaL_error(L, "%s", lua_tostring(L, -1));
  lua_pushvalue(L, FIRST + count);
  const struct mw_job job = {.name = call->name,
                             .timeout_ms = self->timeout_ms,
                             .run = call_run,
                             .on_done = call_on_done,
                             .release = call_release,
                             .context = call};
  atomic_store(&call->owners, 2);
  int status = mw_pool_run(self->pool, &job);
  if (status == 0) return task_wait(L, &call->wait, finish_call);
  atomic_store(&call->owners, 1);
  if (status == MW_EUNAVAILABLE) return failure_push(L, "too many calls wait for a thread; retry", "unavailable");
  return failure_push(L, mw_status_text(status), "unavailable");
}

int pool_define(lua_State *L) {
  struct mw_bytes name = bytes_check(L, 1);
  lua_Integer threads = luaL_checkinteger(L, 2), queue = luaL_checkinteger(L, 3);
  lua_Number seconds = luaL_checknumber(L, 4);
  struct lua_pool *self = handle_new(L, pool_class, sizeof *self, 0);
  snprintf(self->name, sizeof self->name, "%s", name.ptr);
  self->threads = (size_t)threads;
  self->queue = (size_t)queue;
  self->timeout_ms = (uint64_t)(seconds * 1000 + 0.5);
  return 1;
}

void pool_open(lua_State *L) {
  static const luaL_Reg pool_methods[] = {{"run", pool_run}, {NULL, NULL}};
  static const luaL_Reg pool_metamethods[] = {{NULL, NULL}};
  static const luaL_Reg call_metamethods[] = {{"__gc", collect_call}, {NULL, NULL}};
  handle_class(L, pool_class, pool_metamethods, pool_methods);
  handle_class(L, call_class, call_metamethods, NULL);
}
