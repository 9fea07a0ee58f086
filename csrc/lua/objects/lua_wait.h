/* What handlers wait for: descriptors, and calls of the script itself. */
#ifndef MOONWIRE_LUA_WAIT_OBJECTS_H
#define MOONWIRE_LUA_WAIT_OBJECTS_H

#include "lua/base/binding.h"

BINDING_BEGIN

/* Defines the classes. Raises if out of memory. */
void wait_open(lua_State *L);
/* core.wait(descriptor, "r" | "w"[, seconds]): returns true, or nil and "timeout" or "closed". */
int wait_for_descriptor(lua_State *L);
/* core.signal([count]): an object that tasks wait for, and that is fired once, or `count` times. */
int wait_new_signal(lua_State *L);

struct signal;
/* Returns the signal at `index`, or NULL if another value is there. */
struct signal *signal_test(lua_State *L, int index);
/* Fires it once; the last time wakes those that wait, which may run before this returns. Needs no
 * memory. Returns false if it had been fired as often as it must be. */
bool signal_fire(struct signal *signal);

BINDING_END

#endif
