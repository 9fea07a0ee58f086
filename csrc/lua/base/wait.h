/* How handlers and other tasks wait. */
#ifndef MOONWIRE_LUA_WAIT_H
#define MOONWIRE_LUA_WAIT_H

#include "lua/base/enter.h"

BINDING_BEGIN

/* moonwire.sleep(seconds) */
int task_sleep(lua_State *L);

/* For a function that must wait, such as moonwire.sleep. Returns true if it may; raises if it cannot
 * wait here. Returns false if the task is cancelled: then the function returns *result to Lua. */
bool task_may_wait(lua_State *L, int *result);
/* Returns whether task_wait may be called here: in a task that is not cancelled. */
bool task_can_wait(lua_State *L);
/* Returns whether it is cancelled: what it waits for is not awaited any more. */
bool task_is_cancelled(lua_State *L);
/* Waits until task_wake is called with wait->task, or the task is cancelled; then `finish` is
 * called with `wait` as its context. Returns what the C function returns to Lua. */
int task_wait(lua_State *L, struct task_wait *wait, lua_KFunction finish);
/* The same, for at most that many seconds (negative: no limit): then task_end_wait returns NULL
 * although nothing has come. Raises if out of memory, after it has called wait->abandon. */
int task_wait_for(lua_State *L, struct task_wait *wait, lua_Number seconds, lua_KFunction finish);
/* Returns the optional seconds at `index`, negative if there are none, or raises. */
lua_Number task_check_seconds(lua_State *L, int index);
/* For `finish`: the wait is over. Unless what it waited for has come, returns why the task was
 * cancelled, which `finish` returns to Lua. */
const char *task_end_wait(struct task_wait *wait, bool is_answered);

BINDING_END

#endif
