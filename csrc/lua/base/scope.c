#include "lua/base/scope.h"

#include "lua/base/coroutine.h"
#include "lua/base/handle.h"
#include "lua/base/host.h"
#include "lua/base/misuse.h"
#include "lua/base/wait.h"

static const char scope_class[] = "moonwire.scope";

/* The function runs in a coroutine, so that it can be ended. On the stack of scope_timeout. */
enum { THREAD = 1, SCOPE = 2 };

struct timed_scope {
  struct scope scope;
  struct resource resource;
  struct host *host;
  struct mw_timer *timer; /* NULL: its time is up, or it has ended */
};

static void stop_scope(struct timed_scope *self) {
  mw_timer_free(self->timer);
  self->timer = NULL;
  self->scope.task = NULL;
  resource_unlink(self->host, &self->resource);
}

static void scope_release_resource(struct resource *resource) {
  stop_scope((struct timed_scope *)((char *)resource - offsetof(struct timed_scope, resource)));
}

/* However the function ends; and with a coroutine that is never resumed. */
static int close_scope(lua_State *L) {
  struct timed_scope *self = lua_touserdata(L, 1);
  if (self->resource.release) stop_scope(self);
  return 0;
}

static void on_due(void *context) {
  struct timed_scope *self = context;
  struct task *task = self->scope.task;
  stop_scope(self);
  self->scope.is_due = true;
  if (task) task_wake(task);
}

static int answer_scope(lua_State *L, int count);

static int finish_wait(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  struct timed_scope *self = lua_touserdata(L, SCOPE);
  self->scope.task = NULL;
  return answer_scope(L, inner_continue(L, THREAD, &self->scope));
}

/* The function has yielded, in a coroutine of the script, which was resumed now. */
static int finish_yield(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  struct timed_scope *self = lua_touserdata(L, SCOPE);
  return answer_scope(L, inner_resume(L, THREAD, &self->scope, lua_gettop(L) - SCOPE));
}

static int end_scope(lua_State *L, struct task *task) {
  task->state = TASK_RUNNING;
  task->ending = NULL;
  inner_end(L, THREAD, task_log_late_error, task);
  lua_pushnil(L);
  lua_pushliteral(L, "timeout");
  return 2;
}

static int answer_scope(lua_State *L, int count) {
  struct timed_scope *self = lua_touserdata(L, SCOPE);
  lua_State *thread = lua_tothread(L, THREAD);
  if (count == INNER_WAITS) {
    struct task *task = door_running(door_get(L));
    if (task->state == TASK_ENDING && task->ending == &self->scope) return end_scope(L, task);
    if (!self->scope.is_due) self->scope.task = task;
    return lua_yieldk(L, 0, 0, finish_wait);
  }
  if (count == INNER_FAILED) {
    lua_xmove(L, thread, 1); /* its <close> variables receive the error, and may replace it */
    inner_close(L, thread);
    lua_xmove(thread, L, 1);
    return lua_error(L);
  }
  return lua_status(thread) == LUA_YIELD ? lua_yieldk(L, count, 0, finish_yield) : count;
}

int scope_timeout(lua_State *L) {
  luaL_argexpected(L, !lua_isnoneornil(L, 1), 1, "number");
  lua_Number seconds = task_check_seconds(L, 1);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  struct task *task = door_running(door_get(L));
  if (!task) return misuse_error(L, "cannot wait outside of a task; use app:spawn");
  int arg_count = lua_gettop(L) - 2;
  lua_State *thread = lua_newthread(L);
  lua_replace(L, THREAD);
  struct timed_scope *self = handle_new(L, scope_class, sizeof *self, 0);
  lua_insert(L, SCOPE);
  lua_pushvalue(L, SCOPE + 1);
  lua_remove(L, SCOPE + 1);
  lua_xmove(L, thread, 1);
  self->host = host_of_task(task);
  int status = mw_timer_new(&self->timer, self->host->server, (uint64_t)(seconds * 1000 + 0.5), 0, on_due, self);
  if (status != 0) self->timer = NULL;
  if (status == MW_ENOMEM) return misuse_error(L, "cannot wait: %s", mw_status_text(status));
  resource_link(self->host, &self->resource, scope_release_resource);
  lua_toclose(L, SCOPE);
  return answer_scope(L, inner_resume(L, THREAD, &self->scope, arg_count));
}

void scope_open(lua_State *L) {
  static const luaL_Reg metamethods[] = {{"__gc", close_scope}, {"__close", close_scope}, {NULL, NULL}};
  handle_class(L, scope_class, metamethods, NULL);
}
