/* The only way into Lua.
 *
 * Each entry is a task: a handler that runs in a pooled coroutine and may wait. The core calls back
 * in the middle of its own work, so no error of Lua may pass through it. A task is resumed on a C
 * trampoline, which pushes the arguments and calls the handler with lua_pcallk. Errors are caught
 * inside the coroutine, with a traceback, and the coroutine is used again.
 *
 * Tasks never nest. A task that is started while a handler runs, or outside of a turn, is queued,
 * and starts in a turn of its own. */
#ifndef MOONWIRE_LUA_ENTER_H
#define MOONWIRE_LUA_ENTER_H

#include "lua/base/door.h"
#include "lua/base/timing.h"

BINDING_BEGIN

/* "app.lua:7": Lua cuts a script's name at 60 bytes. */
enum { PLACE_MAX = 80 };

struct task_class {
  /* Pushes the handler and its arguments, and returns the number of arguments. Runs inside the
   * protected call, so it may raise. */
  int (*push)(lua_State *L, struct task *task);
  /* Called when the handler has ended. If ok, its results are on the stack from TASK_RESULT on.
   * Otherwise the error is there: text with a traceback, or a table with a code, which is a
   * refusal. May raise; is then called again without L, as it is if the handler could not start.
   * Must not wait. */
  void (*finish)(lua_State *L, struct task *task, bool ok);
  /* Called when the task has ended. Frees what the caller allocated. `L` is for unpinning only. */
  void (*release)(lua_State *L, struct task *task);
  /* Writes the name of the handler, terminated, for the log. The log's thread may call it while the
   * handler runs, so it may read only data that does not change. */
  void (*describe)(const struct task *task, char *text, size_t size);
};

enum { TASK_RESULT = 2 };

/* TASK_ENDING: it, or a scope of it, was cancelled, and has waited again. */
enum task_state { TASK_IDLE, TASK_QUEUED, TASK_RUNNING, TASK_WAITING, TASK_WOKEN, TASK_ENDING };

/* What a task waits for, other than time. */
struct task_wait {
  struct task *task; /* NULL: no task waits for it */
  /* Called when the task ends before its wait does. */
  void (*abandon)(struct task_wait *wait);
};

/* What a task has opened, such as a connection: released when the task ends, however it ends.
 * Embedded, and zeroed at first. */
struct task_owned {
  struct task *task; /* the owner; NULL: none */
  struct task_owned *prev, *next;
  void (*release)(struct task_owned *owned); /* is not owned any more */
};

/* The first member of the struct that starts it. Zeroed by the caller. */
struct task {
  const struct task_class *class;
  struct task_group *group;
  struct task *prev, *next; /* in the group */
  struct task *queue_next;
  enum task_state state;
  lua_State *thread; /* NULL before it starts */
  int thread_ref;
  struct mw_timer *timer;   /* wakes it */
  struct task_wait *wait;   /* what it waits for; NULL: a timer, or nothing */
  struct task_owned *owned; /* what it has opened */
  const char *cancelled;    /* why its waits end: "closed", "timeout"; a constant */
  struct scope *ending;     /* in TASK_ENDING: the scope that ends; NULL: the task */
  bool told;                /* a wait has returned it: the next one ends the handler */
  char defined[PLACE_MAX];  /* where its handler is; the starter's */
  char place[PLACE_MAX];    /* where it raised an error */
  size_t text_len;          /* of that error's text, without the traceback */
  struct timing timing;
};

/* The tasks of one server. */
struct task_group {
  struct door *door;
  struct mw_server *server; /* NULL until it has started: no task runs before */
  struct task *tasks;
  struct task *queue_first, *queue_last;
  struct mw_timer *queue_timer;
  struct timings timings;
  /* Receives the errors of handlers in place of the log, always with a traceback; NULL: the log
   * does. For tests. */
  void (*on_fault)(struct task_group *group, const struct mw_log_error *error);
  bool closed;
};

void group_init(struct task_group *group, struct door *door);
/* The server accepts timers from now on. */
void group_start(struct task_group *group, struct mw_server *server);
/* Ends all tasks: the waits of those that wait return "closed" if the door is open; otherwise they
 * are dropped. Tasks that are started later are finished immediately, without L. */
void group_close(struct task_group *group);

void task_start(struct task *task, const struct task_class *class, struct task_group *group);
/* Its current wait, or the next one, returns nil and `why`. The one after that does not return:
 * the coroutine is closed, which closes its <close> variables. Has no effect on a task that has
 * ended. */
void task_cancel(struct task *task, const char *why);
/* Gives a thing to a task, and takes it away again (no effect if no task owns it). */
void task_own(struct task *task, struct task_owned *owned);
void task_disown(struct task_owned *owned);
/* Logs the error at the top of `thread`, which was raised while the task was being closed.
 * `context` is the task. */
void task_log_late_error(void *context, lua_State *thread);
/* Resumes a task that waits (lua/base/wait.h). Has no effect on others. */
void task_wake(struct task *task);

BINDING_END

#endif
