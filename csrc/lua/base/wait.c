#include "lua/base/wait.h"

#include "lua/base/coroutine.h"
#include "lua/base/misuse.h"

static void on_timer(void *context) { task_wake(context); }

/* Returns the task that may wait here, or raises. */
static struct task *check_waiting(lua_State *L) {
  struct task *task = door_running(door_get(L));
  if (!task) misuse_error(L, "cannot wait outside of a task; use app:spawn");
  inner_check_wait(L, task);
  return task;
}

/* Returns why a wait ends before what it waits for has come, and notes that the script is told;
 * NULL: no reason. */
static const char *take_reason(struct task *task) {
  if (task->cancelled) {
    task->told = true;
    return task->cancelled;
  }
  struct scope *scope = inner_due_scope(task->group->door);
  if (!scope) return NULL;
  scope->told = true;
  return "timeout";
}

static int push_wait_result(lua_State *L, struct task *task) {
  const char *reason = take_reason(task);
  if (!reason) {
    lua_pushboolean(L, true);
    return 1;
  }
  lua_pushnil(L);
  lua_pushstring(L, reason);
  return 2;
}

static int finish_sleep(lua_State *L, int status, lua_KContext context) {
  (void)status;
  return push_wait_result(L, (struct task *)context);
}

bool task_may_wait(lua_State *L, int *result) {
  struct task *task = check_waiting(L);
  struct scope *scope = task->cancelled ? NULL : inner_due_scope(task->group->door);
  if (scope ? scope->told : task->told) {
    /* A loop that catches errors would never end. Therefore, the coroutine is closed. */
    task->state = TASK_ENDING;
    task->ending = scope;
    *result = lua_yield(L, 0);
    return false;
  }
  if (!scope && !task->cancelled) return true;
  *result = push_wait_result(L, task);
  return false;
}

/* Wakes the task later. If the server has stopped in this turn, cancels the task, which has not
 * ended yet, and returns MW_ECLOSED: were this an error, a loop that catches errors would never
 * end. */
static int start_timer(struct task *task, lua_Number seconds) {
  int status = mw_timer_new(&task->timer, task->group->server, (uint64_t)(seconds * 1000 + 0.5), 0, on_timer, task);
  if (status != 0) task->timer = NULL;
  if (status == MW_ECLOSED) task->cancelled = "closed";
  return status;
}

int task_sleep(lua_State *L) {
  lua_Number seconds = luaL_checknumber(L, 1);
  luaL_argcheck(L, seconds >= 0 && seconds <= 1e9, 1, "must be from 0 to 1e9 seconds");
  int result;
  if (!task_may_wait(L, &result)) return result;
  struct task *task = door_running(door_get(L));
  int status = start_timer(task, seconds);
  if (status == MW_ECLOSED) return push_wait_result(L, task);
  if (status != 0) return misuse_error(L, "cannot wait: %s", mw_status_text(status));
  task->state = TASK_WAITING;
  return lua_yieldk(L, 0, (lua_KContext)task, finish_sleep);
}

bool task_can_wait(lua_State *L) {
  struct task *task = door_running(door_get(L));
  return task && !task->cancelled && !inner_due_scope(task->group->door) && inner_can_wait(L, task);
}

bool task_is_cancelled(lua_State *L) {
  struct task *task = door_running(door_get(L));
  return task && (task->cancelled || inner_due_scope(task->group->door));
}

int task_wait(lua_State *L, struct task_wait *wait, lua_KFunction finish) {
  struct task *task = check_waiting(L);
  wait->task = task;
  task->wait = wait;
  task->state = TASK_WAITING;
  return lua_yieldk(L, 0, (lua_KContext)wait, finish);
}

const char *task_end_wait(struct task_wait *wait, bool is_answered) {
  struct task *task = wait->task;
  task->wait = NULL;
  wait->task = NULL;
  return is_answered ? NULL : take_reason(task);
}

lua_Number task_check_seconds(lua_State *L, int index) {
  if (lua_isnoneornil(L, index)) return -1;
  lua_Number seconds = luaL_checknumber(L, index);
  luaL_argcheck(L, seconds >= 0 && seconds <= 1e9, index, "must be from 0 to 1e9 seconds");
  return seconds;
}

int task_wait_for(lua_State *L, struct task_wait *wait, lua_Number seconds, lua_KFunction finish) {
  if (seconds < 0) return task_wait(L, wait, finish);
  struct task *task = check_waiting(L);
  int status = start_timer(task, seconds);
  if (status == 0) return task_wait(L, wait, finish);
  if (status != MW_ECLOSED) {
    wait->abandon(wait);
    return misuse_error(L, "cannot wait: %s", mw_status_text(status));
  }
  wait->task = task;
  task->wait = wait;
  return finish(L, LUA_YIELD, (lua_KContext)wait);
}
