#include "lua/base/door.h"

#include <stdio.h>
#include <string.h>

static const char door_key;

struct door *door_get(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &door_key);
  struct door *door = lua_touserdata(L, -1);
  lua_pop(L, 1);
  if (door) return door;
  door = lua_newuserdatauv(L, sizeof *door, 0);
  memset(door, 0, sizeof *door);
  /* `L` may be a coroutine that does not live as long */
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  door->main = lua_tothread(L, -1);
  lua_pop(L, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &door_key);
  return door;
}

void door_open(struct door *door, lua_State *L) { door->home = L; }
void door_shut(struct door *door) { door->home = NULL; }
bool door_busy(const struct door *door) { return door->home || door->running; }
lua_State *door_state(const struct door *door) { return door->home ? door->home : door->main; }
struct task *door_running(const struct door *door) {
  return door->running;
}
bool door_is_open(const struct door *door) { return door->home && !door->running; }

void door_set_own(struct door *door, const char *directory) { snprintf(door->own, sizeof door->own, "%s", directory); }
bool door_is_own(const struct door *door, const char *source) {
  return door->own[0] && strncmp(source, door->own, strlen(door->own)) == 0;
}
