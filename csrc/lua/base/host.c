#include "lua/base/host.h"

#include "lua/base/handle.h"

const char host_class[] = "moonwire.server";

void resource_link(struct host *host, struct resource *resource, void (*release)(struct resource *resource)) {
  resource->release = release;
  resource->prev = NULL;
  resource->next = host->resources;
  if (host->resources) host->resources->prev = resource;
  host->resources = resource;
}

void resource_unlink(struct host *host, struct resource *resource) {
  if (!resource->release) return;
  resource->release = NULL;
  if (resource->prev) {
    resource->prev->next = resource->next;
  } else {
    host->resources = resource->next;
  }
  if (resource->next) resource->next->prev = resource->prev;
}

struct host *host_check(lua_State *L, int index) {
  return luaL_checkudata(L, index, host_class);
}

struct host *host_check_running(lua_State *L, int index) {
  struct host *host = host_check(L, index);
  if (!host->server) luaL_error(L, host->closed ? "the app has stopped" : "the app is not running");
  return host;
}

void host_push_handler(lua_State *L, const struct host *host, const char *name) {
  handle_push(L, host);
  lua_getiuservalue(L, -1, 1);
  lua_getfield(L, -1, name);
  lua_replace(L, -3);
  lua_pop(L, 1);
}
