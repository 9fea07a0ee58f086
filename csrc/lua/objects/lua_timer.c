#include "lua/objects/lua_timer.h"

#include <stdio.h>
#include <string.h>

#include "lua/base/fault.h"
#include "lua/base/handle.h"
#include "lua/base/misuse.h"
#include "lua/objects/lua_wait.h"

static const char timer_class[] = "moonwire.timer";
static const char spawned_class[] = "moonwire.task";

/* The maximum number of tasks of app:spawn. */
enum { SPAWNED_MAX = 10000 };

/* The userdata. Pinned while it is active or its handler runs. The function is its user value. */
struct lua_timer {
  struct task task; /* idle between ticks; a tick during the handler is skipped */
  struct resource resource;
  struct host *host;
  struct mw_timer *timer; /* NULL: ended */
  bool repeats;
};

/* ---- Timers -------------------------------------------------------------------------------------------------------------- */

static void stop_timer(struct lua_timer *self) {
  mw_timer_free(self->timer);
  self->timer = NULL;
  resource_unlink(self->host, &self->resource);
}

static void timer_release_resource(struct resource *resource) {
  struct lua_timer *self = (struct lua_timer *)((char *)resource - offsetof(struct lua_timer, resource));
  stop_timer(self);
  if (self->task.state == TASK_IDLE) handle_unpin(door_state(self->host->group.door), self);
}

static int push_tick(lua_State *L, struct task *task) {
  handle_push(L, task);
  lua_getiuservalue(L, -1, 1);
  lua_remove(L, -2);
  return 0;
}

static void finish_tick(lua_State *L, struct task *task, bool ok) {
  static const char what[] = "a timer's handler";
  if (L && ok) fault_log_results(L, task, what);
  if (L && !ok) fault_log(L, task, what);
}

static void describe_tick(const struct task *task, char *text, size_t size) {
  (void)task;
  snprintf(text, size, "a timer's handler");
}

static void release_tick(lua_State *L, struct task *task) {
  struct lua_timer *self = (struct lua_timer *)task;
  if (!self->timer) handle_unpin(L, self);
}

static const struct task_class tick_class = {push_tick, finish_tick, release_tick, describe_tick};

static void on_timer(void *context) {
  struct lua_timer *self = context;
  if (!self->repeats) stop_timer(self);
  if (self->task.state == TASK_IDLE) task_start(&self->task, &tick_class, &self->host->group);
}

int timer_new(lua_State *L) {
  struct host *host = host_check_running(L, 1);
  lua_Number delay = luaL_checknumber(L, 2), repeat = luaL_checknumber(L, 3);
  luaL_checktype(L, 4, LUA_TFUNCTION);
  struct lua_timer *self = handle_new(L, timer_class, sizeof *self, 1);
  lua_pushvalue(L, 4);
  lua_setiuservalue(L, -2, 1);
  handle_pin(L, -1, self);
  snprintf(self->task.defined, PLACE_MAX, "%s", luaL_optstring(L, 5, ""));
  self->host = host;
  self->repeats = repeat > 0;
  uint64_t repeat_ms = (uint64_t)(repeat * 1000 + 0.5);
  if (self->repeats && repeat_ms == 0) repeat_ms = 1;
  int status = mw_timer_new(&self->timer, host->server, (uint64_t)(delay * 1000 + 0.5), repeat_ms, on_timer, self);
  if (status != 0) {
    self->timer = NULL;
    handle_unpin(L, self);
    return luaL_error(L, "cannot start a timer: %s", mw_status_text(status));
  }
  resource_link(host, &self->resource, timer_release_resource);
  return 1;
}

/* timer:cancel(): no further ticks. A handler that runs continues. */
static int cancel_timer(lua_State *L) {
  struct lua_timer *self = luaL_checkudata(L, 1, timer_class);
  if (!self->timer) return 0;
  stop_timer(self);
  if (self->task.state == TASK_IDLE) handle_unpin(L, self);
  return 0;
}

/* ---- Spawned tasks ------------------------------------------------------------------------------------------------------- */

/* A userdata, pinned until it has ended. Its first user value is the list of the function and its
 * arguments; item 0 is their number. The second is the signal. */
struct spawned {
  struct task task;
  struct host *host;
  struct signal *signal; /* fired at its end; NULL: none */
};

static int push_spawned(lua_State *L, struct task *task) {
  handle_push(L, task);
  lua_getiuservalue(L, -1, 1);
  lua_remove(L, -2);
  int list = lua_gettop(L);
  lua_rawgeti(L, list, 0);
  int count = (int)lua_tointeger(L, -1);
  lua_pop(L, 1);
  luaL_checkstack(L, count, "too many arguments to a task");
  for (int i = 1; i <= count; i++) lua_rawgeti(L, list, i);
  lua_remove(L, list);
  return count - 1;
}

static void finish_spawned(lua_State *L, struct task *task, bool ok) {
  static const char what[] = "a spawned task";
  if (L && ok) fault_log_results(L, task, what);
  if (L && !ok) fault_log(L, task, what);
}

static void describe_spawned(const struct task *task, char *text, size_t size) {
  (void)task;
  snprintf(text, size, "a spawned task");
}

static void release_spawned(lua_State *L, struct task *task) {
  struct spawned *self = (struct spawned *)task;
  self->host->spawned_count--;
  if (self->signal) signal_fire(self->signal);
  handle_unpin(L, self);
}

static const struct task_class spawned_task = {push_spawned, finish_spawned, release_spawned, describe_spawned};

/* Runs the function at index 2, with the arguments after it, as a task. At its end, the signal at
 * index 1 is fired, if there is one. Leaves the task at index 2, or returns 3: nil, message, and
 * code. */
static int spawn(lua_State *L, struct host *host) {
  luaL_checktype(L, 2, LUA_TFUNCTION);
  if (host->spawned_count >= SPAWNED_MAX) {
    lua_pushnil(L);
    lua_pushfstring(L, "too many tasks: %d are running", (int)SPAWNED_MAX);
    lua_pushliteral(L, "unavailable");
    return 3;
  }
  int count = lua_gettop(L) - 1;
  struct spawned *self = handle_new(L, spawned_class, sizeof *self, 2);
  fault_write_definition(L, lua_isfunction(L, 3) ? 3 : 2,
                         self->task.defined); /* the first argument of options.call is the function */
  self->host = host;
  lua_insert(L, 2);
  lua_createtable(L, count, 1);
  lua_insert(L, 3);
  for (int i = count; i >= 1; i--) lua_rawseti(L, 3, i);
  lua_pushinteger(L, count);
  lua_rawseti(L, 3, 0);
  lua_setiuservalue(L, 2, 1);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, 2, 2);
  handle_pin(L, 2, self);
  self->signal = signal_test(L, 1);
  host->spawned_count++;
  task_start(&self->task, &spawned_task, &host->group);
  return 0;
}

int timer_spawn(lua_State *L) {
  struct host *host = host_check_running(L, 1);
  int failure = spawn(L, host);
  if (failure > 0) return failure;
  lua_pushboolean(L, true);
  return 1;
}

int timer_spawn_child(lua_State *L) {
  struct task *parent = door_running(door_get(L));
  if (!parent) return misuse_error(L, "cannot wait outside of a task; use app:spawn");
  if (!signal_test(L, 1)) {
    lua_pushnil(L);
    lua_insert(L, 1);
  }
  int failure = spawn(L, host_of_task(parent));
  if (failure > 0) return failure;
  lua_pushvalue(L, 2);
  return 1;
}

/* task:cancel(why): "closed" or "timeout". Has no effect if it has ended. */
static int cancel_spawned(lua_State *L) {
  static const char *const reasons[] = {"closed", "timeout", NULL};
  struct spawned *self = luaL_checkudata(L, 1, spawned_class);
  task_cancel(&self->task, reasons[luaL_checkoption(L, 2, NULL, reasons)]);
  return 0;
}

void timer_open(lua_State *L) {
  static const luaL_Reg metamethods[] = {{NULL, NULL}};
  static const luaL_Reg timer_methods[] = {{"cancel", cancel_timer}, {NULL, NULL}};
  static const luaL_Reg spawned_methods[] = {{"cancel", cancel_spawned}, {NULL, NULL}};
  handle_class(L, timer_class, metamethods, timer_methods);
  handle_class(L, spawned_class, metamethods, spawned_methods);
}
