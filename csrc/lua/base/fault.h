/* Logs errors of the app: text, place, and traceback, with a limit on repetitions. */
#ifndef MOONWIRE_LUA_FAULT_H
#define MOONWIRE_LUA_FAULT_H

#include "lua/base/enter.h"

BINDING_BEGIN

/* The message handler of all tasks. Stores the place in the running task. Leaves the text of the
 * error and, if the error is new, a traceback of bounded length. A table with a code or a status is
 * a refusal, and is not changed. */
int fault_handle(lua_State *L);
/* Pushes the text of an error value: a string, or the message of a table. May raise, as its
 * __tostring may. */
const char *fault_push_text(lua_State *L, int index);
/* Writes where the function at `index` is defined: "app.lua:7", or the name of its script. */
void fault_write_definition(lua_State *L, int index, char place[PLACE_MAX]);

/* Logs the error value at TASK_RESULT as "what (place): text", and removes it from the stack. May
 * raise. */
void fault_log(lua_State *L, const struct task *task, const char *what);
/* The same for a handler whose result is not used: logs `nil, message` and `false, reason`. */
void fault_log_results(lua_State *L, const struct task *task, const char *what);
/* Logs "what (place): text" without a traceback. `place` may be NULL. The rate is limited for each
 * place, else for each `what`. */
void fault_log_text(const struct task *task, const char *what, const char *place, struct mw_bytes text);

BINDING_END

#endif
