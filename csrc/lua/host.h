/* One server of a Lua state: the userdata of an app that starts or runs. */
#ifndef MOONWIRE_LUA_HOST_H
#define MOONWIRE_LUA_HOST_H

#include "lua/places.h"

BINDING_BEGIN

/* An object that must be released before the server is freed. Embedded in a userdata. */
struct resource {
  struct resource *prev, *next;
  void (*release)(struct resource *resource); /* must unlink it */
};

struct host {
  struct task_group group;
  struct mw_config *config;
  struct mw_server *server; /* NULL before the start and after the end */
  uint64_t answer_ms;
  size_t spawned_count;
  struct resource *resources;
  struct places places;
  bool watches_signals;
  struct kept_faults *kept_faults; /* of lua_testing.c, the second user value; NULL unless a test wants them */
  bool closed;
};

extern const char host_class[];

/* Defines the class. Raises if out of memory. */
void host_open(lua_State *L);
/* core.server(settings, handlers): creates a server that can be defined. Lua has checked the
 * settings. */
int host_new(lua_State *L);
struct host *host_check(lua_State *L, int index);
/* The same, and raises if it does not run. */
struct host *host_check_running(lua_State *L, int index);
/* The same for index 1, before a turn. Also raises inside a handler. */
struct host *host_check_turning(lua_State *L);
/* After a turn: shuts the door, and ends a server that has stopped. */
void host_turned(lua_State *L, struct host *host, bool alive);
/* Pushes handlers[name]. */
void host_push_handler(lua_State *L, const struct host *host, const char *name);

void resource_link(struct host *host, struct resource *resource, void (*release)(struct resource *resource));
/* Has no effect if it is not linked. */
void resource_unlink(struct host *host, struct resource *resource);

/* lua_config.c: the options of core.server, and the methods that define the app. */
struct mw_config *config_read(lua_State *L, int index, struct host *host);
extern const luaL_Reg config_methods[];

/* lua_request.c: requests of the core. */
void request_start(void *context, struct mw_request *request);
void request_cancel(void *context, struct mw_request *request);
/* Starts a request that was held since then. `cancelled`: the first wait of its handler returns it;
 * NULL: none. */
void request_start_held(struct host *host, struct mw_request *request, uint64_t since_ms, const char *cancelled);
/* Returns the reason for which the core cancels a request of that time. */
const char *request_cancel_reason(const struct host *host, uint64_t since_ms);

BINDING_END

#endif
