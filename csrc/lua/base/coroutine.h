/* The coroutines of the script, inside of tasks.
 *
 * coroutine.resume, wrap, close, status, and isyieldable of the Lua state are moonwire's. They tell
 * a yield of the script from a wait of the task: a wait passes outward through all coroutines to
 * the task. While the task waits, they count as running, so nothing can resume or close them. When
 * the task continues, each resumes the next one, and the innermost one returns from its wait. */
#ifndef MOONWIRE_LUA_COROUTINE_H
#define MOONWIRE_LUA_COROUTINE_H

#include "lua/base/enter.h"

BINDING_BEGIN

/* A function with a time of its own (lua/base/scope.h). */
struct scope {
  struct task *task; /* that waits inside of it; NULL: none */
  bool is_due;       /* its time is up: waits inside of it end */
  bool told;         /* a wait has returned it: the next one ends the function */
};

/* A coroutine that runs, on the C stack of the function that resumed it. */
struct inner {
  lua_State *thread, *from; /* from: the coroutine that resumed it */
  struct inner *outer;
  struct scope *scope; /* that it is; NULL: none */
  bool is_closing;     /* its <close> variables are being closed, so nothing in it can wait */
};

/* Results of inner_resume other than the number of values. */
enum { INNER_FAILED = -1, INNER_WAITS = -2 };

/* Replaces the functions in the table `coroutine`. */
void coroutine_open(lua_State *L);

/* Marks the coroutine at the top of the stack as that of tasks: the script can neither resume nor
 * close it. Raises if out of memory. */
void coroutine_reserve(lua_State *L);

/* Resumes the coroutine at `index` (an upvalue is allowed) with the topmost values. Returns the
 * number of values that it yielded or returned, which are at the top. INNER_FAILED: the error is at
 * the top. INNER_WAITS: the task waits; the caller yields no values, and calls inner_continue when
 * it is resumed. `scope` may be NULL. */
int inner_resume(lua_State *L, int index, struct scope *scope, int arg_count);
int inner_continue(lua_State *L, int index, struct scope *scope);
/* Closes the coroutine, which does not run. Returns a status; unless LUA_OK, the error
 * is at the top of `thread`. */
int inner_close(lua_State *L, lua_State *thread);

/* Prepares a wait of the running task in `L`. Raises, and names the place, if some function between
 * the task and `L` cannot be suspended. */
void inner_check_wait(lua_State *L, const struct task *task);
/* Returns whether the running task could wait in `L`. */
bool inner_can_wait(lua_State *L, const struct task *task);

/* Returns the outermost scope whose time is up, of those in which the running task is; NULL: none. */
struct scope *inner_due_scope(const struct door *door);

/* Ends the wait in the coroutine at `index`, and closes it: first those that wait in it, the
 * innermost first. Calls `on_error` as inner_close_waiting does. */
void inner_end(lua_State *L, int index, void (*on_error)(void *context, lua_State *thread), void *context);
/* Closes the coroutines that wait in the coroutine at the top of the stack, and removes it: the
 * innermost first. Calls `on_error` for each whose <close> variable has raised; the error is at the
 * top of `thread`. */
void inner_close_waiting(lua_State *L, void (*on_error)(void *context, lua_State *thread), void *context);

BINDING_END

#endif
