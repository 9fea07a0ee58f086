/* app:every, app:after and app:spawn. */
#ifndef MOONWIRE_LUA_TIMER_H
#define MOONWIRE_LUA_TIMER_H

#include "lua/base/host.h"

BINDING_BEGIN

void timer_open(lua_State *L);
/* server:timer(delay, repeat, fn): calls fn after `delay` seconds, then every `repeat` (0: once).
 * Returns an object with cancel. */
int timer_new(lua_State *L);
/* server:spawn(fn, ...): runs fn as a task. Returns true; or nil, message, code if there are too
 * many. */
int timer_spawn(lua_State *L);
/* core.child(fn, ...): the same, for the app of the running task. Returns an object with the method
 * cancel("closed" | "timeout"). */
int timer_spawn_child(lua_State *L);

BINDING_END

#endif
