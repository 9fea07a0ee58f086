#include "lua/enter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lua/handle.h"

/* Idle coroutines that are kept: a new one costs three times the entry itself. */
enum { POOL_SIZE = 64 };

struct idle_thread {
  lua_State *thread;
  int ref;
};

struct door {
  lua_State *main;
  lua_State *home;      /* who turns the loop; NULL: nobody */
  struct task *running; /* whose handler runs; NULL: none */
  struct idle_thread idle[POOL_SIZE];
  size_t idle_count;
};

static const char door_key;
static const char cancelled_words[] = "this handler was cancelled";

/* ---- Door ---------------------------------------------------------------------------------------------------------------- */

struct door *door_get(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &door_key);
  struct door *door = lua_touserdata(L, -1);
  lua_pop(L, 1);
  if (door) return door;
  door = lua_newuserdatauv(L, sizeof *door, 0);
  memset(door, 0, sizeof *door);
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD); /* `L` may be a coroutine that dies before us */
  door->main = lua_tothread(L, -1);
  lua_pop(L, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &door_key);
  return door;
}

void door_open(struct door *door, lua_State *L) { door->home = L; }
void door_shut(struct door *door) { door->home = NULL; }
bool door_busy(const struct door *door) { return door->home || door->running; }
lua_State *door_state(const struct door *door) { return door->home ? door->home : door->main; }

static bool is_open(const struct door *door) { return door->home && !door->running; }

/* ---- Coroutines ---------------------------------------------------------------------------------------------------------- */

static int make_thread(lua_State *L) {
  struct task *task = lua_touserdata(L, 1);
  lua_State *thread = lua_newthread(L);
  task->thread_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  task->thread = thread;
  return 0;
}

static bool take_thread(struct door *door, struct task *task) {
  if (door->idle_count > 0) {
    struct idle_thread *idle = &door->idle[--door->idle_count];
    task->thread = idle->thread;
    task->thread_ref = idle->ref;
    return true;
  }
  lua_pushcfunction(door->home, make_thread);
  lua_pushlightuserdata(door->home, task);
  if (lua_pcall(door->home, 1, 0, 0) == LUA_OK) return true;
  lua_pop(door->home, 1);
  return false;
}

static void give_thread(struct door *door, struct task *task) {
  if (!task->thread) return;
  if (door->idle_count < POOL_SIZE) {
    door->idle[door->idle_count++] = (struct idle_thread){task->thread, task->thread_ref};
  } else {
    luaL_unref(door_state(door), LUA_REGISTRYINDEX, task->thread_ref);
  }
  task->thread = NULL;
}

/* ---- Entering ------------------------------------------------------------------------------------------------------------ */

/* Turns an error into text with a traceback. A table with a code or a status is a refusal and passes as it is. */
static int add_traceback(lua_State *L) {
  if (lua_istable(L, 1)) {
    lua_pushliteral(L, "code");
    int code_type = lua_rawget(L, 1);
    lua_pushliteral(L, "status");
    int status_type = lua_rawget(L, 1);
    lua_settop(L, 1);
    if (code_type != LUA_TNIL || status_type != LUA_TNIL) return 1;
  }
  const char *text = luaL_tolstring(L, 1, NULL);
  luaL_traceback(L, L, text, 1);
  return 1;
}

static int finish_handler(lua_State *L, int status, lua_KContext context) {
  struct task *task = (struct task *)context;
  task->class->finish(L, task, status == LUA_OK || status == LUA_YIELD);
  return 0;
}

/* The bottom of every coroutine. Index 1 is the task, then the message handler. */
static int run_handler(lua_State *L) {
  struct task *task = lua_touserdata(L, 1);
  lua_pushcfunction(L, add_traceback);
  lua_replace(L, 1);
  int arg_count = task->class->push(L, task);
  int status = lua_pcallk(L, arg_count, LUA_MULTRET, 1, (lua_KContext)task, finish_handler);
  return finish_handler(L, status, (lua_KContext)task);
}

static void unlink_task(struct task *task) {
  struct task_group *group = task->group;
  if (task->prev) {
    task->prev->next = task->next;
  } else {
    group->tasks = task->next;
  }
  if (task->next) task->next->prev = task->prev;
  task->prev = task->next = NULL;
}

static void end_task(struct task *task) {
  struct door *door = task->group->door;
  mw_timer_free(task->timer);
  task->timer = NULL;
  give_thread(door, task);
  unlink_task(task);
  task->state = TASK_IDLE;
  task->class->release(door_state(door), task);
}

/* Ends a task whose coroutine did not come to its end by itself. */
static void abort_task(struct task *task) {
  struct door *door = task->group->door;
  task->class->finish(NULL, task, false);
  if (task->thread && is_open(door)) {
    task->state = TASK_IDLE; /* a <close> variable cannot wait here */
    door->running = task;
    thread_close(task->thread, door->home);
    door->running = NULL;
    lua_settop(task->thread, 0);
  } else if (task->thread) {
    luaL_unref(door->main, LUA_REGISTRYINDEX, task->thread_ref); /* the state is being closed: nothing runs any more */
    task->thread = NULL;
  }
  end_task(task);
}

static void log_stray_yield(lua_State *thread) {
  char text[256];
  lua_Debug where;
  int len;
  if (lua_getstack(thread, 1, &where) && lua_getinfo(thread, "Sl", &where)) {
    len = snprintf(text, sizeof text, "%s:%d: a handler called coroutine.yield outside of a coroutine of its own",
                   where.short_src, where.currentline);
  } else {
    len = snprintf(text, sizeof text, "a handler called coroutine.yield outside of a coroutine of its own");
  }
  mw_log(MW_LOG_ERROR, text, len < (int)sizeof text ? (size_t)len : sizeof text - 1);
}

static void on_queue_timer(void *context);

static void arm_queue(struct task_group *group) {
  if (!group->server || group->queue_timer || !group->queue_first || group->closed) return;
  /* Without memory it is tried again after the next task. */
  if (mw_timer_new(&group->queue_timer, group->server, 0, 0, on_queue_timer, group) != 0) group->queue_timer = NULL;
}

static void resume_task(struct task *task, int arg_count) {
  struct task_group *group = task->group;
  struct door *door = group->door;
  mw_timer_free(task->timer);
  task->timer = NULL;
  task->state = TASK_RUNNING;
  door->running = task;
  int result_count;
  int status = lua_resume(task->thread, door->home, arg_count, &result_count);
  door->running = NULL;
  if (status == LUA_OK) {
    lua_settop(task->thread, 0);
    end_task(task);
  } else if (status != LUA_YIELD) {
    size_t len;
    const char *text = lua_type(task->thread, -1) == LUA_TSTRING ? lua_tolstring(task->thread, -1, &len) : NULL;
    if (text) mw_log(MW_LOG_ERROR, text, len);
    abort_task(task);
  } else if (task->state == TASK_RUNNING) {
    log_stray_yield(task->thread);
    abort_task(task);
  }
  arm_queue(group);
}

static void begin_task(struct task *task) {
  struct door *door = task->group->door;
  if (!take_thread(door, task)) {
    abort_task(task);
    return;
  }
  lua_pushcfunction(task->thread, run_handler); /* these two cannot fail; all other pushes are inside the protected call */
  lua_pushlightuserdata(task->thread, task);
  resume_task(task, 1);
}

/* ---- The queue ----------------------------------------------------------------------------------------------------------- */

static void queue_task(struct task *task, enum task_state state) {
  struct task_group *group = task->group;
  task->state = state;
  task->queue_next = NULL;
  if (group->queue_last) {
    group->queue_last->queue_next = task;
  } else {
    group->queue_first = task;
  }
  group->queue_last = task;
  arm_queue(group);
}

static struct task *dequeue_task(struct task_group *group) {
  struct task *task = group->queue_first;
  if (!task) return NULL;
  group->queue_first = task->queue_next;
  if (!group->queue_first) group->queue_last = NULL;
  return task;
}

static void run_queued(struct task *task) {
  if (task->state == TASK_QUEUED) {
    begin_task(task);
  } else {
    resume_task(task, 0);
  }
}

static void on_queue_timer(void *context) {
  struct task_group *group = context;
  mw_timer_free(group->queue_timer);
  group->queue_timer = NULL;
  /* What is queued from here on waits for the next turn, so that tasks which start tasks cannot hold up the loop. */
  struct task *last = group->queue_last;
  bool more = last != NULL;
  while (more) {
    struct task *task = dequeue_task(group);
    more = task != last;
    run_queued(task); /* may free it */
  }
  arm_queue(group);
}

/* ---- Groups and tasks ---------------------------------------------------------------------------------------------------- */

void group_init(struct task_group *group, struct door *door) {
  memset(group, 0, sizeof *group);
  group->door = door;
}

void group_start(struct task_group *group, struct mw_server *server) {
  group->server = server;
  arm_queue(group);
}

void group_close(struct task_group *group) {
  group->closed = true;
  mw_timer_free(group->queue_timer);
  group->queue_timer = NULL;
  while (dequeue_task(group)) continue; /* they are all in the list of tasks as well */
  struct task *task;
  while ((task = group->tasks) != NULL) {
    if (is_open(group->door) && (task->state == TASK_WAITING || task->state == TASK_WOKEN)) {
      if (!task->cancelled) task->cancelled = "closed";
      resume_task(task, 0); /* its next wait raises: it ends here */
    } else {
      abort_task(task);
    }
  }
}

void task_start(struct task *task, const struct task_class *class, struct task_group *group) {
  task->class = class;
  task->group = group;
  task->cancelled = NULL;
  task->told = false;
  task->prev = NULL;
  task->next = group->tasks;
  if (group->tasks) group->tasks->prev = task;
  group->tasks = task;
  if (group->closed) {
    abort_task(task);
  } else if (is_open(group->door) && group->server) {
    begin_task(task);
  } else {
    queue_task(task, TASK_QUEUED);
  }
}

void task_cancel(struct task *task, const char *why) {
  if (task->state == TASK_IDLE || task->cancelled) return;
  task->cancelled = why;
  /* Queued even if the door is open: whoever cancels need not expect the answer before the call returns. */
  if (task->state == TASK_WAITING) queue_task(task, TASK_WOKEN);
}

/* ---- Waiting ------------------------------------------------------------------------------------------------------------- */

static void on_wake(void *context) {
  struct task *task = context;
  if (task->state != TASK_WAITING) return; /* was cancelled in this turn, and is queued */
  if (is_open(task->group->door)) {
    resume_task(task, 0);
  } else {
    queue_task(task, TASK_WOKEN);
  }
}

/* The task that may wait here; raises otherwise. */
static struct task *check_waiting(lua_State *L) {
  struct task *task = door_get(L)->running;
  if (!task) luaL_error(L, "cannot wait outside of a task; use app:spawn");
  if (task->thread != L) {
    luaL_error(L, "cannot wait inside a coroutine of your own: call the waiting function from the handler itself, "
                  "or start the work by app:spawn");
  }
  if (task->state != TASK_RUNNING || !lua_isyieldable(L)) luaL_error(L, "cannot wait here");
  if (task->told) luaL_error(L, "cannot wait: %s (%s)", cancelled_words, task->cancelled);
  return task;
}

static int push_wait_result(lua_State *L, struct task *task) {
  if (!task->cancelled) {
    lua_pushboolean(L, true);
    return 1;
  }
  task->told = true;
  lua_pushnil(L);
  lua_pushstring(L, task->cancelled);
  return 2;
}

static int finish_sleep(lua_State *L, int status, lua_KContext context) {
  (void)status;
  return push_wait_result(L, (struct task *)context);
}

int task_sleep(lua_State *L) {
  lua_Number seconds = luaL_checknumber(L, 1);
  luaL_argcheck(L, seconds >= 0 && seconds <= 1e9, 1, "must be from 0 to 1e9 seconds");
  struct task *task = check_waiting(L);
  if (task->cancelled) return push_wait_result(L, task);
  int status = mw_timer_new(&task->timer, task->group->server, (uint64_t)(seconds * 1000 + 0.5), 0, on_wake, task);
  if (status != 0) {
    task->timer = NULL;
    return luaL_error(L, "cannot wait: %s", mw_status_text(status));
  }
  task->state = TASK_WAITING;
  return lua_yieldk(L, 0, (lua_KContext)task, finish_sleep);
}

void task_log_error(lua_State *L, const struct task *task, const char *what) {
  if (lua_istable(L, TASK_RESULT)) {
    lua_pushliteral(L, "message");
    lua_rawget(L, TASK_RESULT);
    lua_pushfstring(L, "%s: refused: %s", what, luaL_tolstring(L, -1, NULL));
  } else {
    lua_pushfstring(L, "%s: %s", what, luaL_tolstring(L, TASK_RESULT, NULL));
  }
  size_t len;
  const char *text = lua_tolstring(L, -1, &len);
  /* That a loop which waits ends with its client is no fault. */
  bool is_end = task->told && strstr(text, cancelled_words);
  mw_log(is_end ? MW_LOG_DEBUG : MW_LOG_ERROR, text, len);
  lua_settop(L, TASK_RESULT - 1);
}
