/* What is logged of an error in the app: its text, its place, its traceback; the same error not too often. */
#ifndef MOONWIRE_LUA_FAULT_H
#define MOONWIRE_LUA_FAULT_H

#include "lua/enter.h"

BINDING_BEGIN

/* The message handler of all tasks. Notes the place in the running task. Of an error it leaves the text and, if the error is new, a
 * traceback of bounded length; a table with a code or a status is a refusal and passes as it is. */
int fault_handle(lua_State *L);
/* Pushes what an error value says: a string as it is, a table's message. May raise, as its __tostring may. */
const char *fault_push_text(lua_State *L, int index);
/* Where the function at `index` is defined, "app.lua:7", or its script's name. */
void fault_write_definition(lua_State *L, int index, char place[PLACE_MAX]);

/* Logs the error value at TASK_RESULT as "what (place): text", and takes it off the stack. May raise. */
void fault_log(lua_State *L, const struct task *task, const char *what);
/* The same for a handler of which nobody waits for a result: logs `nil, message` and `false, reason`. */
void fault_log_results(lua_State *L, const struct task *task, const char *what);
/* "what (place): text" without a traceback; `place` may be NULL. Limited by the place, else by `what`. */
void fault_log_text(const struct task *task, const char *what, const char *place, struct mw_bytes text);

BINDING_END

#endif
