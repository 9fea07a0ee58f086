#include "lua/request/lua_follow.h"

#include "lua/base/fault.h"
#include "lua/base/handle.h"
#include "lua/base/wait.h"
#include "lua/request/lua_stream.h"

static const char follow_class[] = "moonwire.follow";

/* The userdata is on the stack of the function that waits. */
struct lua_follow {
  struct task_wait wait;
  struct resource resource;
  struct host *host;
  struct mw_follow *follow; /* NULL: it was released */
  bool is_done;
  int status;
};

static void release_follow(struct lua_follow *self) {
  if (!self->follow) return;
  resource_unlink(self->host, &self->resource);
  mw_follow_unref(self->follow);
  self->follow = NULL;
}

static void follow_release_resource(struct resource *resource) {
  release_follow((struct lua_follow *)((char *)resource - offsetof(struct lua_follow, resource)));
}

static void abandon_follow(struct task_wait *wait) {
  wait->task = NULL;
  release_follow((struct lua_follow *)wait);
}

static int collect_follow(lua_State *L) {
  struct lua_follow *self = lua_touserdata(L, 1);
  if (self->wait.task) self->wait.task->wait = NULL;
  self->wait.task = NULL;
  release_follow(self);
  return 0;
}

static void on_followed(void *context, int status) {
  struct lua_follow *self = context;
  self->is_done = true;
  self->status = status;
  if (self->wait.task) task_wake(self->wait.task);
}

static int push_followed(lua_State *L, int status) {
  if (status == 0) {
    lua_pushboolean(L, true);
    return 1;
  }
  if (status == MW_ECLOSED) return failure_push(L, "closed", "closed");
  return failure_push(L, mw_status_text(status), "unavailable");
}

static int finish_follow(lua_State *L, int status, lua_KContext context) {
  (void)status;
  struct lua_follow *self = (struct lua_follow *)context;
  const char *cancelled = task_end_wait(&self->wait, self->is_done);
  release_follow(self);
  return self->is_done ? push_followed(L, self->status) : failure_push(L, cancelled ? cancelled : "closed", cancelled);
}

int follow_start(lua_State *L) {
  struct host *host;
  int result;
  lua_settop(L, 4);
  struct mw_follow_options options = {.channel = bytes_check(L, 2), .until_final = lua_toboolean(L, 4)};
  if (!lua_isnil(L, 3)) options.since = bytes_check(L, 3);
  if (!task_may_wait(L, &result)) return result;
  struct lua_follow *self = handle_new(L, follow_class, sizeof *self, 0);
  self->wait.abandon = abandon_follow;
  struct mw_stream *stream = stream_begun(L, 1, &host);
  if (!stream) return push_followed(L, MW_ECLOSED);
  int status = mw_stream_follow(stream, &options, &self->follow, on_followed, self);
  if (status == MW_EINVAL) return failure_push(L, "the name of the channel is malformed", "misuse");
  if (status == MW_ENOTFOUND) return failure_push(L, "no pattern matches the channel", "misuse");
  if (status == MW_ELIMIT) return failure_push(L, "the stream follows a channel already", "misuse");
  if (status < 0) return push_followed(L, status);
  self->host = host;
  resource_link(host, &self->resource, follow_release_resource);
  return task_wait(L, &self->wait, finish_follow);
}

void follow_open(lua_State *L) {
  static const luaL_Reg metamethods[] = {{"__gc", collect_follow}, {NULL, NULL}};
  handle_class(L, follow_class, metamethods, NULL);
}
