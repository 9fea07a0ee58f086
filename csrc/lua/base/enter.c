#include "lua/base/enter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lua/base/coroutine.h"
#include "lua/base/fault.h"
#include "lua/base/handle.h"

/* ---- Coroutines ------------------------------------------------------------------------------ */

static int make_thread(lua_State *L) {
  struct task *task = lua_touserdata(L, 1);
  lua_State *thread = lua_newthread(L);
  coroutine_reserve(L);
  task->thread_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  task->thread = thread;
  return 0;
}

/* A debug hook belongs to the handler that set it. A new coroutine inherits the hook of its parent
 * state. */
static void reset_hook(lua_State *thread, lua_State *home) {
  lua_sethook(thread, lua_gethook(home), lua_gethookmask(home), lua_gethookcount(home));
}

static bool take_thread(struct door *door, struct task *task) {
  if (door->idle_count > 0) {
    struct idle_thread *idle = &door->idle[--door->idle_count];
    task->thread = idle->thread;
    task->thread_ref = idle->ref;
    if (lua_gethook(task->thread) != lua_gethook(door->home)) reset_hook(task->thread, door->home);
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
  if (door->idle_count < IDLE_THREADS_MAX) {
    door->idle[door->idle_count++] = (struct idle_thread){task->thread, task->thread_ref};
  } else {
    luaL_unref(door_state(door), LUA_REGISTRYINDEX, task->thread_ref);
  }
  task->thread = NULL;
}

/* ---- Entering -------------------------------------------------------------------------------- */

static int finish_handler(lua_State *L, int status, lua_KContext context) {
  struct task *task = (struct task *)context;
  task->class->finish(L, task, status == LUA_OK || status == LUA_YIELD);
  return 0;
}

/* The bottom of every coroutine. Index 1 is the task, then the message handler. */
static int run_handler(lua_State *L) {
  struct task *task = lua_touserdata(L, 1);
  lua_pushcfunction(L, fault_handle);
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

void task_own(struct task *task, struct task_owned *owned) {
  owned->task = task;
  owned->prev = NULL;
  owned->next = task->owned;
  if (task->owned) task->owned->prev = owned;
  task->owned = owned;
}

void task_disown(struct task_owned *owned) {
  if (!owned->task) return;
  if (owned->prev) {
    owned->prev->next = owned->next;
  } else {
    owned->task->owned = owned->next;
  }
  if (owned->next) owned->next->prev = owned->prev;
  owned->task = NULL;
}

static void release_owned(struct task *task) {
  struct task_owned *owned;
  while ((owned = task->owned) != NULL) {
    task_disown(owned);
    owned->release(owned);
  }
}

static void end_task(struct task *task) {
  struct door *door = task->group->door;
  mw_timer_free(task->timer);
  task->timer = NULL;
  if (task->wait) task->wait->abandon(task->wait);
  task->wait = NULL;
  release_owned(task);
  give_thread(door, task);
  unlink_task(task);
  timing_end(&task->group->timings, &task->timing);
  task->state = TASK_IDLE;
  task->class->release(door_state(door), task);
}

static void describe_task(void *context, char *text, size_t size) {
  const struct task *task = context;
  task->class->describe(task, text, size);
  size_t len = strlen(text);
  if (task->defined[0] && len < size) snprintf(text + len, size - len, " (%s)", task->defined);
}

/* Reports an error outside of the protected call: while the results of a handler were read, or at
 * its end. */
void task_log_late_error(void *context, lua_State *thread) {
  static const char no_text[] = "an error that is not a string";
  const struct task *task = context;
  char what[200];
  struct mw_bytes text = {no_text, sizeof no_text - 1};
  if (lua_type(thread, -1) == LUA_TSTRING) text.ptr = lua_tolstring(thread, -1, &text.len);
  task->class->describe(task, what, sizeof what);
  fault_log_text(task, what, task->defined, text);
}

/* Closes the script's coroutines inside of which the task waits. */
static int close_inner(lua_State *L) {
  struct task *task = lua_touserdata(L, 1);
  lua_rawgeti(L, LUA_REGISTRYINDEX, task->thread_ref);
  lua_pushvalue(L, -1);
  inner_close_waiting(L, task_log_late_error, task);
  coroutine_reserve(L);
  return 0;
}

/* Closes the <close> variables of a task that waits or could not begin: the innermost first. */
static void close_thread(struct task *task, lua_State *home) {
  bool waits = lua_status(task->thread) == LUA_YIELD;
  if (waits) {
    lua_pushcfunction(home, close_inner);
    lua_pushlightuserdata(home, task);
    if (lua_pcall(home, 1, 0, 0) != LUA_OK) lua_pop(home, 1);
  }
  bool is_closed = thread_close(task->thread, home) == LUA_OK;
  if (waits && !is_closed) task_log_late_error(task, task->thread); /* a <close> variable raised it */
}

/* Ends a task whose coroutine did not end by itself. */
static void abort_task(struct task *task) {
  struct door *door = task->group->door;
  task->class->finish(NULL, task, false);
  if (task->thread && door_is_open(door)) {
    task->state = TASK_IDLE; /* a <close> variable cannot wait here */
    door->running = task;
    mw_handler_begin(task->group->server, describe_task, task);
    struct inner *outside = door->inner;
    door->inner = NULL;
    close_thread(task, door->home);
    door->inner = outside;
    mw_handler_end(task->group->server);
    door->running = NULL;
    lua_settop(task->thread, 0);
  } else if (task->thread) {
    /* the state is being closed: no handler runs */
    luaL_unref(door->main, LUA_REGISTRYINDEX, task->thread_ref);
    task->thread = NULL;
  }
  end_task(task);
}

static void log_stray_yield(const struct task *task) {
  static const char words[] = "a handler called coroutine.yield outside of its own coroutines";
  char what[200], place[PLACE_MAX] = "";
  lua_Debug where;
  if (lua_getstack(task->thread, 1, &where) && lua_getinfo(task->thread, "Sl", &where)) {
    snprintf(place, sizeof place, "%s:%d", where.short_src, where.currentline);
  }
  task->class->describe(task, what, sizeof what);
  fault_log_text(task, what, place, (struct mw_bytes){words, sizeof words - 1});
}

static void on_queue_timer(void *context);

static void arm_queue(struct task_group *group) {
  if (!group->server || group->queue_timer || !group->queue_first || group->closed) return;
  /* If out of memory, retries after the next task. */
  if (mw_timer_new(&group->queue_timer, group->server, 0, 0, on_queue_timer, group) != 0) group->queue_timer = NULL;
}

static void resume_task(struct task *task, int arg_count) {
  struct task_group *group = task->group;
  struct door *door = group->door;
  mw_timer_free(task->timer);
  task->timer = NULL;
  task->state = TASK_RUNNING;
  door->running = task;
  struct inner *outside = door->inner; /* the host may run the server in a coroutine */
  door->inner = NULL;
  int result_count;
  timing_resume(&group->timings, &task->timing);
  mw_handler_begin(group->server, describe_task, task);
  int status = lua_resume(task->thread, door->home, arg_count, &result_count);
  mw_handler_end(group->server);
  timing_suspend(&group->timings, &task->timing);
  door->inner = outside;
  door->running = NULL;
  if (status == LUA_OK) {
    lua_settop(task->thread, 0);
    end_task(task);
  } else if (status != LUA_YIELD) {
    task_log_late_error(task, task->thread);
    abort_task(task);
  } else if (task->state == TASK_ENDING) {
    abort_task(task);
  } else if (task->state == TASK_RUNNING) {
    log_stray_yield(task);
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
  /* these two cannot fail; all other pushes are inside the protected call */
  lua_pushcfunction(task->thread, run_handler);
  lua_pushlightuserdata(task->thread, task);
  resume_task(task, 1);
}

/* ---- The queue ------------------------------------------------------------------------------- */

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
  /* Tasks that are queued from here on wait for the next turn, so that tasks that start tasks
   * cannot block the loop. */
  struct task *last = group->queue_last;
  bool more = last != NULL;
  while (more) {
    struct task *task = dequeue_task(group);
    more = task != last;
    run_queued(task); /* may free it */
  }
  arm_queue(group);
}

/* ---- Groups and tasks ------------------------------------------------------------------------ */

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
  while (dequeue_task(group)) continue; /* they are all in the list of tasks, too */
  struct task *task;
  while ((task = group->tasks) != NULL) {
    if (door_is_open(group->door) && (task->state == TASK_WAITING || task->state == TASK_WOKEN)) {
      if (!task->cancelled) task->cancelled = "closed";
      resume_task(task, 0); /* ends here, or at its next wait */
    } else {
      abort_task(task);
    }
  }
}

void task_start(struct task *task, const struct task_class *class, struct task_group *group) {
  task->class = class;
  task->group = group;
  task->cancelled = NULL;
  task->ending = NULL;
  task->told = false;
  task->place[0] = '\0';
  task->text_len = 0;
  task->timing = (struct timing){.has_run = false};
  task->wait = NULL;
  task->prev = NULL;
  task->next = group->tasks;
  if (group->tasks) group->tasks->prev = task;
  group->tasks = task;
  if (group->closed) {
    abort_task(task);
  } else if (door_is_open(group->door) && group->server) {
    begin_task(task);
  } else {
    queue_task(task, TASK_QUEUED);
  }
}

void task_cancel(struct task *task, const char *why) {
  if (task->state == TASK_IDLE || task->cancelled) return;
  task->cancelled = why;
  /* Queued even if the door is open, so that the caller does not receive the answer before this
   * returns. */
  if (task->state == TASK_WAITING) queue_task(task, TASK_WOKEN);
}

/* ---- Waiting --------------------------------------------------------------------------------- */

void task_wake(struct task *task) {
  if (task->state != TASK_WAITING) return; /* was cancelled in this turn, and is queued */
  if (door_is_open(task->group->door)) {
    resume_task(task, 0);
  } else {
    queue_task(task, TASK_WOKEN);
  }
}
