/* One server of a Lua state: the userdata behind an app that has begun to start. */
#ifndef MOONWIRE_LUA_HOST_H
#define MOONWIRE_LUA_HOST_H

#include "lua/places.h"

BINDING_BEGIN

/* Something that must be given back before the server is freed. Embedded in a userdata. */
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

/* Defines the class. Raises without memory. */
void host_open(lua_State *L);
/* core.server(settings, handlers): a server that can be defined. The settings were checked in Lua. */
int host_new(lua_State *L);
struct host *host_check(lua_State *L, int index);
/* As host_check for one that runs; raises otherwise. */
struct host *host_check_running(lua_State *L, int index);
/* As host_check_running for the one at index 1, whose loop is about to be turned; raises inside a handler. */
struct host *host_check_turning(lua_State *L);
/* The loop was turned and the door is open: shuts it, and ends what has stopped. */
void host_turned(lua_State *L, struct host *host, bool alive);
/* Pushes handlers[name]. */
void host_push_handler(lua_State *L, const struct host *host, const char *name);

void resource_link(struct host *host, struct resource *resource, void (*release)(struct resource *resource));
/* Does nothing if it is not linked. */
void resource_unlink(struct host *host, struct resource *resource);

/* lua_config.c: core.server's options, and the methods that define the app. */
struct mw_config *config_read(lua_State *L, int index, struct host *host);
extern const luaL_Reg config_methods[];

/* lua_request.c: what the core asks. */
void request_start(void *context, struct mw_request *request);
void request_cancel(void *context, struct mw_request *request);
/* One that was held since then, and perhaps cancelled meanwhile: its handler's first wait returns why (NULL: it was not). */
void request_start_held(struct host *host, struct mw_request *request, uint64_t since_ms, const char *cancelled);
/* Why the core cancels what it asked then. */
const char *request_cancel_reason(const struct host *host, uint64_t since_ms);

BINDING_END

#endif
