/* Leases, for app:once. */
#ifndef MOONWIRE_LUA_LEASE_H
#define MOONWIRE_LUA_LEASE_H

#include "lua/base/host.h"

BINDING_BEGIN

/* Methods of a server: lease_holder, take_lease, keep_lease, and end_lease. */
extern const luaL_Reg lease_methods[];

BINDING_END

#endif
