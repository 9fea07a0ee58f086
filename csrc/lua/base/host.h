/* One server of a Lua state: the userdata of an app that starts or runs. Its methods are in
 * lua_server.c, lua_config.c, and lua_testing.c. */
#ifndef MOONWIRE_LUA_HOST_H
#define MOONWIRE_LUA_HOST_H

#include "lua/base/places.h"

BINDING_BEGIN

/* An object that must be released before the server is freed. Embedded in a userdata. */
struct resource {
  struct resource *prev, *next;
  void (*release)(struct resource *resource); /* must unlink it */
};

struct host {
  struct task_group group; /* first: see host_of_task */
  struct mw_config *config;
  struct mw_server *server; /* NULL before the start and after the end */
  uint64_t answer_ms;
  size_t spawned_count;
  struct resource *resources;
  struct places places;
  bool watches_signals;
  struct published *spare_published; /* of lua_publish.c, for the next publish that may wait; NULL: not made yet */
  struct host_fetcher *fetcher;      /* of lua_fetch.c; NULL: no request yet */
  struct kept_faults *kept_faults;   /* of lua_testing.c, the second user value; NULL unless a test wants them */
  bool closed;                       /* no handler may start */
  bool freed;
};

extern const char host_class[];

struct host *host_check(lua_State *L, int index);
/* Returns the host of a task. */
static inline struct host *host_of_task(const struct task *task) { return (struct host *)task->group; }
/* The same, and raises if it does not run. */
struct host *host_check_running(lua_State *L, int index);
/* Pushes handlers[name]. */
void host_push_handler(lua_State *L, const struct host *host, const char *name);

void resource_link(struct host *host, struct resource *resource, void (*release)(struct resource *resource));
/* Has no effect if it is not linked. */
void resource_unlink(struct host *host, struct resource *resource);

BINDING_END

#endif
