/* Included by every file of the binding: Lua, the library, and differences between releases of
 * Lua. */
#ifndef MOONWIRE_LUA_BINDING_H
#define MOONWIRE_LUA_BINDING_H

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "moonwire.h"

/* Only luaopen_moonwire_core is exported. A pragma, because LuaRocks builds with its own compiler
 * flags. */
#if defined(__GNUC__) || defined(__clang__)
#define BINDING_BEGIN _Pragma("GCC visibility push(hidden)")
#define BINDING_END _Pragma("GCC visibility pop")
#else
#define BINDING_BEGIN
#define BINDING_END
#endif

/* Ends a coroutine that is not running: closes its <close> variables and empties its stack. It can
 * be resumed again. */
static inline int thread_close(lua_State *thread, lua_State *from) {
#if LUA_VERSION_RELEASE_NUM >= 50406
  return lua_closethread(thread, from);
#else
  (void)from;
  return lua_resetthread(thread);
#endif
}

static inline void bytes_push(lua_State *L, struct mw_bytes bytes) {
  lua_pushlstring(L, bytes.len > 0 ? bytes.ptr : "", bytes.len);
}

/* Pushes nil, a message, and a code, and returns their number. */
static inline int failure_push(lua_State *L, const char *message, const char *code) {
  lua_pushnil(L);
  lua_pushstring(L, message);
  lua_pushstring(L, code);
  return 3;
}

/* Calls a function like lua_call, with the garbage collector stopped. For data that the core passes
 * to Lua in parts: a finalizer that publishes, or subscribes a client, would change it. */
static inline void call_uncollected(lua_State *L, int argument_count, int result_count) {
  bool collects = lua_gc(L, LUA_GCISRUNNING);
  lua_gc(L, LUA_GCSTOP);
  int status = lua_pcall(L, argument_count, result_count, 0);
  if (collects) lua_gc(L, LUA_GCRESTART);
  if (status != LUA_OK) lua_error(L);
}

/* Borrows the string at `index`; the value must stay on the stack or in a table. Raises if it is
 * not a string. */
static inline struct mw_bytes bytes_check(lua_State *L, int index) {
  struct mw_bytes bytes;
  bytes.ptr = luaL_checklstring(L, index, &bytes.len);
  return bytes;
}

#endif
