/* The one door into Lua.
 *
 * Every entry is a task: a handler that runs in a pooled coroutine and may wait. The core calls back in the middle of its own
 * work, so nothing raised in Lua may pass through it: a task is resumed on a C trampoline which pushes the arguments and calls
 * the handler by lua_pcallk; errors are caught inside the coroutine, with a traceback, and the coroutine serves again.
 *
 * Tasks never nest. Whatever is started while a handler runs, or while nobody turns the loop, is queued and begins in a turn of
 * its own. */
#ifndef MOONWIRE_LUA_ENTER_H
#define MOONWIRE_LUA_ENTER_H

#include "lua/binding.h"

BINDING_BEGIN

struct task;

/* "app.lua:7": Lua cuts a script's name at 60 bytes. */
enum { PLACE_MAX = 80 };

struct task_class {
  /* Pushes the handler and its arguments and returns how many arguments. Runs inside the protected call: may raise. */
  int (*push)(lua_State *L, struct task *task);
  /* The handler ended: its results are on the stack from TASK_RESULT on (ok), or the error value is there (not ok): text with a
   * traceback, or a table with a code, which is a refusal. May raise; is then called again without L, as it is when Lua could not
   * even begin. Must not wait. */
  void (*finish)(lua_State *L, struct task *task, bool ok);
  /* The task is over and of no more use to the door: frees what the caller had allocated. `L` is for unpinning only. */
  void (*release)(lua_State *L, struct task *task);
  /* Writes what runs, terminated, for the log. Called on another thread while it runs: reads what does not change. */
  void (*describe)(const struct task *task, char *text, size_t size);
};

enum { TASK_RESULT = 2 };

/* TASK_ENDING: it was cancelled, and waits again. */
enum task_state { TASK_IDLE, TASK_QUEUED, TASK_RUNNING, TASK_WAITING, TASK_WOKEN, TASK_ENDING };

/* Embedded first in what starts it; zeroed before. */
struct task {
  const struct task_class *class;
  struct task_group *group;
  struct task *prev, *next; /* in the group */
  struct task *queue_next;
  enum task_state state;
  lua_State *thread; /* NULL before it begins */
  int thread_ref;
  struct mw_timer *timer;  /* wakes it */
  const char *cancelled;   /* why its waits end: "closed", "timeout"; a constant */
  bool told;               /* a wait has returned that: the next one ends the handler */
  char defined[PLACE_MAX]; /* where its handler is; the starter's */
  char place[PLACE_MAX];   /* where it raised an error */
  size_t text_len;         /* of that error's text, without the traceback behind it */
};

/* The tasks of one server. */
struct task_group {
  struct door *door;
  struct mw_server *server; /* NULL until it was started: nothing runs before */
  struct task *tasks;
  struct task *queue_first, *queue_last;
  struct mw_timer *queue_timer;
  /* Receives the errors of handlers in place of the log, always with a traceback; NULL: the log does. For tests. */
  void (*on_fault)(struct task_group *group, const struct mw_log_error *error);
  bool closed;
};

/* The door of a Lua state, made at the first call. Raises without memory. */
struct door *door_get(lua_State *L);
/* `L` turns the loop from here on, and callbacks may enter; not within a handler or another turn (door_busy). */
void door_open(struct door *door, lua_State *L);
void door_shut(struct door *door);
/* A handler runs, or somebody turns the loop. */
bool door_busy(const struct door *door);
/* The task whose handler runs, or NULL. */
struct task *door_running(const struct door *door);
/* The directory of moonwire's Lua files, whose lines are not the script's; `source` is as lua_getinfo has it. */
void door_set_own(struct door *door, const char *directory);
bool door_is_own(const struct door *door, const char *source);
/* The state to unpin with. */
lua_State *door_state(const struct door *door);

void group_init(struct task_group *group, struct door *door);
/* The server can take timers now. */
void group_start(struct task_group *group, struct mw_server *server);
/* Ends all tasks: those that wait are told "closed" if the door is open, and dropped otherwise. What is started later is finished
 * without L at once. */
void group_close(struct task_group *group);

void task_start(struct task *task, const struct task_class *class, struct task_group *group);
/* Its present wait, or the next one, returns nil and `why`. The one after that does not return: the coroutine is closed, which runs its
 * <close> variables. A task that is over is left alone. */
void task_cancel(struct task *task, const char *why);

/* moonwire.sleep(seconds) */
int task_sleep(lua_State *L);

BINDING_END

#endif
