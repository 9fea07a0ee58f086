/* What handlers wait for: descriptors, and calls of the script itself. */
#ifndef MOONWIRE_LUA_WAIT_OBJECTS_H
#define MOONWIRE_LUA_WAIT_OBJECTS_H

#include "lua/base/binding.h"

BINDING_BEGIN

/* Defines the classes. Raises if out of memory. */
void wait_open(lua_State *L);
/* core.wait(descriptor, "r" | "w"[, seconds]): returns true, or nil and "timeout" or "closed". */
int wait_for_descriptor(lua_State *L);
/* core.signal(): an object that one task waits for, and another one fires. */
int wait_new_signal(lua_State *L);

BINDING_END

#endif
