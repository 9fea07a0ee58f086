/* Functions with a time of their own, inside of a task. */
#ifndef MOONWIRE_LUA_SCOPE_H
#define MOONWIRE_LUA_SCOPE_H

#include "lua/base/binding.h"

BINDING_BEGIN

/* Defines the class. Raises if out of memory. */
void scope_open(lua_State *L);
/* moonwire.timeout(seconds, fn, ...): returns what fn returns. When the time is up, the wait of fn
 * returns nil and "timeout". If it waits again, it is ended, and the same is returned. */
int scope_timeout(lua_State *L);

BINDING_END

#endif
