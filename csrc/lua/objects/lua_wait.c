#include "lua/objects/lua_wait.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "lua/base/handle.h"
#include "lua/base/wait.h"

static const char watch_class[] = "moonwire.watch";
static const char signal_class[] = "moonwire.signal";
static const char signal_wait_class[] = "moonwire.signal_wait";

/* Pushes what a wait returns. `cancelled`: NULL if its time is up. */
static int push_outcome(lua_State *L, bool has_come, const char *cancelled) {
  if (has_come) {
    lua_pushboolean(L, true);
    return 1;
  }
  lua_pushnil(L);
  lua_pushstring(L, cancelled ? cancelled : "timeout");
  return 2;
}

/* The object is collected while a task waits: the Lua state is being closed. */
static void wait_forget(struct task_wait *wait) {
  if (wait->task) wait->task->wait = NULL;
  wait->task = NULL;
}

/* ---- Descriptors -------------------------------------------------------------------------------------------------------------- */

/* The userdata is on the stack of the function that waits. */
struct descriptor_wait {
  struct task_wait wait;
  struct mw_watch *watch;
  bool is_ready;
};

static void stop_watching(struct descriptor_wait *self) {
  mw_watch_free(self->watch);
  self->watch = NULL;
}

static void abandon_watch(struct task_wait *wait) {
  wait->task = NULL;
  stop_watching((struct descriptor_wait *)wait);
}

static int collect_watch(lua_State *L) {
  struct descriptor_wait *self = lua_touserdata(L, 1);
  if (self->wait.task) stop_watching(self); /* otherwise it is done */
  wait_forget(&self->wait);
  return 0;
}

static void on_ready(void *context) {
  struct descriptor_wait *self = context;
  self->is_ready = true;
  stop_watching(self);
  task_wake(self->wait.task);
}

static int finish_watch(lua_State *L, int status, lua_KContext context) {
  (void)status;
  struct descriptor_wait *self = (struct descriptor_wait *)context;
  const char *cancelled = task_end_wait(&self->wait, self->is_ready);
  stop_watching(self);
  return push_outcome(L, self->is_ready, cancelled);
}

/* Returns the descriptor at index 1: a number, or an object with the method getfd, as the sockets of
 * LuaSocket. */
static int check_descriptor(lua_State *L) {
  if (!lua_isnumber(L, 1)) {
    if (luaL_getmetafield(L, 1, "__index") == LUA_TNIL && !lua_istable(L, 1)) {
      luaL_error(L, "moonwire.wait: expected a descriptor, got %s", luaL_typename(L, 1));
    }
    lua_getfield(L, 1, "getfd");
    if (lua_isnil(L, -1)) luaL_error(L, "moonwire.wait: expected a descriptor, or an object with the method getfd");
    lua_pushvalue(L, 1);
    lua_call(L, 1, 1);
    lua_replace(L, 1);
    lua_settop(L, 3);
  }
  int is_integer;
  lua_Integer descriptor = lua_tointegerx(L, 1, &is_integer);
  if (!is_integer || descriptor < 0 || descriptor > INT_MAX) luaL_error(L, "moonwire.wait: the descriptor is not valid");
  return (int)descriptor;
}

static int refuse_descriptor(lua_State *L, int descriptor, int status) {
  switch (status) {
    case -EEXIST: return luaL_error(L, "moonwire.wait: descriptor %d: another task waits for it", descriptor);
    case -EPERM: return luaL_error(L, "moonwire.wait: descriptor %d is a file, which is always ready", descriptor);
    case -EBADF: return luaL_error(L, "moonwire.wait: descriptor %d is not open", descriptor);
    default: return luaL_error(L, "moonwire.wait: descriptor %d: %s", descriptor, mw_status_text(status));
  }
}

int wait_for_descriptor(lua_State *L) {
  static const char *const ways[] = {"r", "w", NULL};
  lua_settop(L, 3);
  int descriptor = check_descriptor(L), result;
  enum mw_readiness readiness = luaL_checkoption(L, 2, NULL, ways) == 1 ? MW_WRITABLE : MW_READABLE;
  lua_Number seconds = task_check_seconds(L, 3);
  if (!task_may_wait(L, &result)) return result;
  struct descriptor_wait *self = handle_new(L, watch_class, sizeof *self, 0);
  self->wait.abandon = abandon_watch;
  int status = mw_watch_new(&self->watch, door_running(door_get(L))->group->server, descriptor, readiness, on_ready, self);
  if (status == MW_ECLOSED) return push_outcome(L, false, "closed");
  if (status != 0) return refuse_descriptor(L, descriptor, status);
  return task_wait_for(L, &self->wait, seconds, finish_watch);
}

/* ---- Signals ------------------------------------------------------------------------------------------------------------------ */

struct signal {
  int left; /* how often it must still be fired */
  struct signal_wait *waits;
};

/* The userdata is on the stack of the function that waits, and so is its signal. */
struct signal_wait {
  struct task_wait wait;
  struct signal *signal;
  struct signal_wait *next, **link; /* link is NULL: not in the list of the signal */
};

static void leave_signal(struct signal_wait *self) {
  if (!self->link) return;
  *self->link = self->next;
  if (self->next) self->next->link = self->link;
  self->link = NULL;
}

static void abandon_signal(struct task_wait *wait) {
  wait->task = NULL;
  leave_signal((struct signal_wait *)wait);
}

static int collect_signal(lua_State *L) {
  struct signal *self = lua_touserdata(L, 1);
  while (self->waits) leave_signal(self->waits);
  return 0;
}

static int collect_signal_wait(lua_State *L) {
  struct signal_wait *self = lua_touserdata(L, 1);
  leave_signal(self);
  wait_forget(&self->wait);
  return 0;
}

static int finish_signal(lua_State *L, int status, lua_KContext context) {
  (void)status;
  struct signal_wait *self = (struct signal_wait *)context;
  bool is_fired = self->signal->left == 0;
  leave_signal(self);
  return push_outcome(L, is_fired, task_end_wait(&self->wait, is_fired));
}

/* signal:wait([seconds]): returns true once it is fired, or nil and "timeout" or "closed". */
static int wait_for_signal(lua_State *L) {
  struct signal *signal = luaL_checkudata(L, 1, signal_class);
  lua_Number seconds = task_check_seconds(L, 2);
  int result;
  if (signal->left == 0) return push_outcome(L, true, NULL);
  if (!task_may_wait(L, &result)) return result;
  struct signal_wait *self = handle_new(L, signal_wait_class, sizeof *self, 0);
  self->wait.abandon = abandon_signal;
  self->signal = signal;
  struct signal_wait **link = &signal->waits;
  while (*link) link = &(*link)->next;
  self->link = link;
  *link = self;
  return task_wait_for(L, &self->wait, seconds, finish_signal);
}

bool signal_fire(struct signal *self) {
  if (self->left == 0) return false;
  if (--self->left > 0) return true;
  struct signal_wait *first;
  while ((first = self->waits) != NULL) {
    leave_signal(first);
    task_wake(first->wait.task); /* may run it */
  }
  return true;
}

struct signal *signal_test(lua_State *L, int index) {
  return luaL_testudata(L, index, signal_class);
}

/* signal:fire(): returns false if it had been fired as often as it must be. */
static int fire_signal(lua_State *L) {
  lua_pushboolean(L, signal_fire(luaL_checkudata(L, 1, signal_class)));
  return 1;
}

int wait_new_signal(lua_State *L) {
  lua_Integer count = luaL_optinteger(L, 1, 1);
  luaL_argcheck(L, count > 0 && count <= INT_MAX, 1, "must be positive");
  struct signal *self = handle_new(L, signal_class, sizeof *self, 0);
  self->left = (int)count;
  return 1;
}

void wait_open(lua_State *L) {
  static const luaL_Reg watch_metamethods[] = {{"__gc", collect_watch}, {NULL, NULL}};
  static const luaL_Reg signal_metamethods[] = {{"__gc", collect_signal}, {NULL, NULL}};
  static const luaL_Reg signal_wait_metamethods[] = {{"__gc", collect_signal_wait}, {NULL, NULL}};
  static const luaL_Reg signal_methods[] = {{"wait", wait_for_signal}, {"fire", fire_signal}, {NULL, NULL}};
  handle_class(L, watch_class, watch_metamethods, NULL);
  handle_class(L, signal_class, signal_metamethods, signal_methods);
  handle_class(L, signal_wait_class, signal_wait_metamethods, NULL);
}
