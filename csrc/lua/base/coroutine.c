#include "lua/base/coroutine.h"

#include "lua/base/misuse.h"

#include <string.h>

/* The key of a table in the registry, by coroutine, with weak keys: the coroutine that it has
 * resumed and that waits; true: it waits itself, or belongs to tasks; false: it has waited
 * before. */
static const char waiting_key;

/* ---- Marks ------------------------------------------------------------------------------------------------------------------ */

/* Pushes the thread's own value. Active threads, and those that have yielded, have room for it. */
static void push_thread(lua_State *L, lua_State *thread) {
  lua_pushthread(thread);
  if (thread != L) lua_xmove(thread, L, 1);
}

/* Pushes the mark of the coroutine at the top, and returns its type. */
static int push_mark(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &waiting_key);
  lua_pushvalue(L, -2);
  int type = lua_rawget(L, -2);
  lua_remove(L, -2);
  return type;
}

/* Replaces the coroutine and its mark, which are at the top, by nothing. Does not allocate if it
 * has a mark already. */
static void set_mark(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &waiting_key);
  lua_insert(L, -3);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

void coroutine_reserve(lua_State *L) {
  lua_pushvalue(L, -1);
  lua_pushboolean(L, true);
  set_mark(L);
}

/* Makes room for a mark, so that a wait cannot fail after it has begun. */
static void prepare_mark(lua_State *L, lua_State *thread) {
  push_thread(L, thread);
  int type = push_mark(L);
  lua_pop(L, 1);
  if (type == LUA_TNIL) {
    lua_pushboolean(L, false);
    set_mark(L);
  } else {
    lua_pop(L, 1);
  }
}

/* Notes that the coroutine at `index` waits, and that `L` has resumed it. */
static void mark_waiting(lua_State *L, int index) {
  lua_pushvalue(L, index);
  push_mark(L);
  if (lua_toboolean(L, -1)) {
    lua_pop(L, 2); /* what it has resumed */
  } else {
    lua_pop(L, 1);
    lua_pushboolean(L, true);
    set_mark(L);
  }
  lua_pushthread(L);
  lua_pushvalue(L, index);
  set_mark(L);
}

/* Notes that they do not wait any longer. */
static void unmark_waiting(lua_State *L, int index, const struct task *task) {
  lua_pushvalue(L, index);
  lua_pushboolean(L, false);
  set_mark(L);
  lua_pushthread(L);
  lua_pushboolean(L, task && task->thread == L);
  set_mark(L);
}

/* Returns whether the coroutine at `index` waits, or is that of a task. Sets *resumed to whether it
 * waits for another one. */
static bool is_waiting(lua_State *L, int index, bool *resumed) {
  lua_pushvalue(L, index);
  *resumed = push_mark(L) == LUA_TTHREAD;
  bool waits = lua_toboolean(L, -1);
  lua_pop(L, 2);
  return waits;
}

/* ---- Resuming --------------------------------------------------------------------------------------------------------------- */

static bool task_waits(const struct task *task) {
  return task && (task->state == TASK_WAITING || task->state == TASK_WOKEN || task->state == TASK_ENDING);
}

static int enter_coroutine(lua_State *L, int index, struct scope *scope, int arg_count) {
  lua_State *thread = lua_tothread(L, index);
  struct door *door = door_get(L);
  struct inner inner = {thread, L, door->inner, scope, false};
  int count;
  door->inner = &inner;
  int status = lua_resume(thread, L, arg_count, &count);
  door->inner = inner.outer;
  if (status == LUA_YIELD && task_waits(door->running)) {
    mark_waiting(L, index);
    return INNER_WAITS;
  }
  if (status != LUA_OK && status != LUA_YIELD) {
    lua_xmove(thread, L, 1);
    return INNER_FAILED;
  }
  if (!lua_checkstack(L, count + 1)) {
    lua_pop(thread, count);
    lua_pushliteral(L, "too many results to resume");
    return INNER_FAILED;
  }
  lua_xmove(thread, L, count);
  return count;
}

int inner_resume(lua_State *L, int index, struct scope *scope, int arg_count) {
  lua_State *thread = lua_tothread(L, index);
  bool resumed;
  if (lua_status(thread) == LUA_YIELD && is_waiting(L, index, &resumed)) {
    lua_pushliteral(L, "cannot resume non-suspended coroutine: it is waiting");
    return INNER_FAILED;
  }
  if (!lua_checkstack(thread, arg_count)) {
    lua_pushliteral(L, "too many arguments to resume");
    return INNER_FAILED;
  }
  lua_xmove(L, thread, arg_count);
  return enter_coroutine(L, index, scope, arg_count);
}

int inner_continue(lua_State *L, int index, struct scope *scope) {
  unmark_waiting(L, index, door_running(door_get(L)));
  return enter_coroutine(L, index, scope, 0);
}

int inner_close(lua_State *L, lua_State *thread) {
  struct door *door = door_get(L);
  struct inner inner = {thread, L, door->inner, NULL, true};
  door->inner = &inner;
  int status = thread_close(thread, L);
  door->inner = inner.outer;
  return status;
}

/* ---- Waiting ---------------------------------------------------------------------------------------------------------------- */

static lua_State *innermost(const struct door *door, const struct task *task) {
  return door->inner ? door->inner->thread : task->thread;
}

/* Pushes what runs at that level of the stack, such as "function 'table.sort'". */
static const char *push_frame_name(lua_State *L, lua_State *thread, int level) {
  luaL_traceback(L, thread, NULL, level);
  const char *text = lua_tostring(L, -1), *name = strstr(text, ": in ");
  if (!name) return text;
  name += strlen(": in ");
  lua_pushlstring(L, name, strcspn(name, "\n"));
  lua_replace(L, -2);
  return lua_tostring(L, -1);
}

/* Functions of C that can be suspended while they call a function. */
static bool can_be_suspended(const char *name) {
  static const char *const names[] = {"function 'pcall'", "function 'xpcall'", "function 'dofile'", "function 'pairs'"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    if (strcmp(name, names[i]) == 0) return true;
  }
  return false;
}

/* Raises, and names the function on the stack of `thread` that cannot be suspended. */
static int raise_obstacle(lua_State *L, lua_State *thread) {
  lua_Debug info;
  for (int level = 1; lua_getstack(thread, level, &info); level++) {
    lua_getinfo(thread, "Sn", &info);
    if (info.name && strcmp(info.namewhat, "metamethod") == 0 && strstr(info.name, "gc")) {
      return misuse_error(L, "cannot wait here: inside a finalizer (__gc)");
    }
    if (*info.what != 'C') continue;
    const char *name = push_frame_name(L, thread, level);
    if (!can_be_suspended(name)) return misuse_error(L, "cannot wait here: inside %s, which cannot be suspended", name);
    lua_pop(L, 1);
  }
  return misuse_error(L, "cannot wait here");
}

static void raise_closing(lua_State *L) {
  misuse_error(L, "cannot wait here: inside __close of a coroutine that is being closed");
}

static void raise_foreign(lua_State *L) {
  misuse_error(L, "cannot wait inside this coroutine: something resumed it with a coroutine.resume or coroutine.wrap that was "
                  "taken before require \"moonwire\"");
}

void inner_check_wait(lua_State *L, const struct task *task) {
  struct door *door = door_get(L);
  if (task->state != TASK_RUNNING) misuse_error(L, "cannot wait here: inside __close of a handler that is being ended");
  if (innermost(door, task) != L) raise_foreign(L);
  if (!lua_isyieldable(L) && !(door->inner && door->inner->is_closing)) raise_obstacle(L, L);
  for (struct inner *inner = door->inner; inner; inner = inner->outer) {
    lua_State *from = inner->outer ? inner->outer->thread : task->thread;
    if (inner->is_closing) raise_closing(L);
    if (inner->from != from) raise_foreign(L);
    if (inner->outer && inner->outer->is_closing) raise_closing(L);
    if (!lua_isyieldable(from)) raise_obstacle(L, from);
    prepare_mark(L, inner->thread);
  }
}

bool inner_can_wait(lua_State *L, const struct task *task) {
  const struct door *door = door_get(L);
  if (task->state != TASK_RUNNING || innermost(door, task) != L || !lua_isyieldable(L)) return false;
  for (const struct inner *inner = door->inner; inner; inner = inner->outer) {
    const lua_State *from = inner->outer ? inner->outer->thread : task->thread;
    if (inner->is_closing || inner->from != from || !lua_isyieldable(inner->from)) return false;
    prepare_mark(L, inner->thread);
  }
  return true;
}

void inner_close_waiting(lua_State *L, void (*on_error)(void *context, lua_State *thread), void *context) {
  int first = lua_gettop(L);
  while (lua_isthread(L, -1)) {
    luaL_checkstack(L, LUA_MINSTACK, "too many coroutines");
    push_mark(L);
  }
  lua_pop(L, 1);
  for (int index = lua_gettop(L); index > first; index--) {
    lua_State *thread = lua_tothread(L, index);
    if (inner_close(L, thread) != LUA_OK) on_error(context, thread);
    lua_settop(thread, 0);
    lua_pushboolean(L, false);
    set_mark(L);
  }
  lua_settop(L, first - 1);
}

void inner_end(lua_State *L, int index, void (*on_error)(void *context, lua_State *thread), void *context) {
  lua_State *thread = lua_tothread(L, index);
  lua_pushvalue(L, index);
  inner_close_waiting(L, on_error, context);
  unmark_waiting(L, index, door_running(door_get(L)));
  if (inner_close(L, thread) != LUA_OK) on_error(context, thread);
  lua_settop(thread, 0);
}

struct scope *inner_due_scope(const struct door *door) {
  struct scope *due = NULL;
  for (const struct inner *inner = door->inner; inner; inner = inner->outer) {
    if (inner->scope && inner->scope->is_due) due = inner->scope;
  }
  return due;
}

/* ---- coroutine.* ------------------------------------------------------------------------------------------------------------ */

static int finish_resume(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  int count = inner_continue(L, 1, NULL);
  if (count == INNER_WAITS) return lua_yieldk(L, 0, 0, finish_resume);
  lua_pushboolean(L, count >= 0);
  int results = count >= 0 ? count : 1;
  lua_insert(L, -(results + 1));
  return results + 1;
}

static int resume(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTHREAD);
  int count = inner_resume(L, 1, NULL, lua_gettop(L) - 1);
  if (count == INNER_WAITS) return lua_yieldk(L, 0, 0, finish_resume);
  lua_pushboolean(L, count >= 0);
  int results = count >= 0 ? count : 1;
  lua_insert(L, -(results + 1));
  return results + 1;
}

/* Raises the error at the top, as the coroutine of coroutine.wrap ended with it. */
static int raise_wrapped(lua_State *L, lua_State *thread) {
  int status = lua_status(thread);
  if (status != LUA_OK && status != LUA_YIELD) {
    lua_xmove(L, thread, 1); /* its <close> variables receive the error, and may replace it */
    status = inner_close(L, thread);
    lua_xmove(thread, L, 1);
  }
  if (status != LUA_ERRMEM && lua_type(L, -1) == LUA_TSTRING) {
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
  }
  return lua_error(L);
}

static int call_wrapped(lua_State *L);

static int answer_wrapped(lua_State *L, int count, lua_KFunction finish) {
  if (count == INNER_WAITS) return lua_yieldk(L, 0, 0, finish);
  return count == INNER_FAILED ? raise_wrapped(L, lua_tothread(L, lua_upvalueindex(1))) : count;
}

static int finish_wrapped(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  return answer_wrapped(L, inner_continue(L, lua_upvalueindex(1), NULL), finish_wrapped);
}

static int call_wrapped(lua_State *L) {
  return answer_wrapped(L, inner_resume(L, lua_upvalueindex(1), NULL, lua_gettop(L)), finish_wrapped);
}

static int wrap(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_State *thread = lua_newthread(L);
  lua_pushvalue(L, 1);
  lua_xmove(L, thread, 1);
  lua_pushcclosure(L, call_wrapped, 1);
  return 1;
}

static const char *status_of(lua_State *L, int index) {
  lua_State *thread = lua_tothread(L, index);
  lua_Debug info;
  bool resumed;
  if (thread == L) return "running";
  switch (lua_status(thread)) {
    case LUA_YIELD:
      if (!is_waiting(L, index, &resumed)) return "suspended";
      return resumed ? "normal" : "running";
    case LUA_OK:
      if (lua_getstack(thread, 0, &info)) return "normal";
      return lua_gettop(thread) == 0 ? "dead" : "suspended";
    default: return "dead";
  }
}

static int push_status(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTHREAD);
  lua_pushstring(L, status_of(L, 1));
  return 1;
}

static int close_coroutine(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTHREAD);
  lua_State *thread = lua_tothread(L, 1);
  const char *status = status_of(L, 1);
  bool waits = lua_status(thread) == LUA_YIELD && strcmp(status, "suspended") != 0;
  if (waits) return luaL_error(L, "cannot close a %s coroutine: it is waiting", status);
  if (strcmp(status, "suspended") != 0 && strcmp(status, "dead") != 0)
    return luaL_error(L, "cannot close a %s coroutine", status);
  bool is_closed = inner_close(L, thread) == LUA_OK;
  lua_pushboolean(L, is_closed);
  if (is_closed) return 1;
  lua_xmove(thread, L, 1);
  return 2;
}

/* Whether coroutine.yield is possible: the coroutine of a handler only waits. */
static int is_yieldable(lua_State *L) {
  lua_State *thread = lua_isthread(L, 1) ? lua_tothread(L, 1) : L;
  const struct task *task = door_running(door_get(L));
  lua_pushboolean(L, lua_isyieldable(thread) && !(task && task->thread == thread));
  return 1;
}

void coroutine_open(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"resume", resume}, {"wrap", wrap}, {"close", close_coroutine}, {"status", push_status}, {"isyieldable", is_yieldable},
      {NULL, NULL}};
  bool is_open = lua_rawgetp(L, LUA_REGISTRYINDEX, &waiting_key) != LUA_TNIL;
  lua_pop(L, 1);
  if (is_open) return;
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "k");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &waiting_key);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  if (lua_getfield(L, -1, LUA_COLIBNAME) == LUA_TTABLE) luaL_setfuncs(L, functions, 0);
  lua_pop(L, 2);
}
