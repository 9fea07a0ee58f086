/* The state of the only way into Lua (lua/base/enter.h): which task runs, and in which of the
 * script's coroutines. */
#ifndef MOONWIRE_LUA_DOOR_H
#define MOONWIRE_LUA_DOOR_H

#include "lua/base/binding.h"

BINDING_BEGIN

struct task;
struct inner;

/* Idle coroutines that are kept. A new one costs three times as much as the entry itself. */
enum { IDLE_THREADS_MAX = 64 };

struct idle_thread {
  lua_State *thread;
  int ref;
};

struct door {
  lua_State *main;
  lua_State *home;      /* the state of the current turn; NULL: none */
  struct task *running; /* the task whose handler runs; NULL: none */
  /* the innermost coroutine that coroutine.resume runs (lua/base/coroutine.h); NULL: none. Of the
   * running task, if there is one */
  struct inner *inner;
  struct idle_thread idle[IDLE_THREADS_MAX];
  size_t idle_count;
  char own[200]; /* the directory of moonwire's files, after an "@" */
};

/* Returns the door of a Lua state, and creates it at the first call. Raises if out of memory. */
struct door *door_get(lua_State *L);
/* Begins a turn on `L`: callbacks may enter. Not within a handler or another turn (door_busy). */
void door_open(struct door *door, lua_State *L);
void door_shut(struct door *door);
/* Returns whether a handler runs, or a turn. */
bool door_busy(const struct door *door);
/* Returns the task whose handler runs, or NULL. */
struct task *door_running(const struct door *door);
/* The directory of moonwire's Lua files, whose lines are not the script's. `source` is that of
 * lua_getinfo. */
void door_set_own(struct door *door, const char *directory);
bool door_is_own(const struct door *door, const char *source);
/* Returns the state for unpinning. */
lua_State *door_state(const struct door *door);

/* Returns whether a task can be entered now. */
bool door_is_open(const struct door *door);

BINDING_END

#endif
