/* The options of moonwire.redis. */
#ifndef MOONWIRE_LUA_BROKER_H
#define MOONWIRE_LUA_BROKER_H

#include "lua/base/binding.h"

BINDING_BEGIN

/* Reads the table at `index`: { url =, sentinels =, username =, password =, prefix =, ca_file =,
 * verify =, publish_seconds =, wait_replicas = }. Pushes one value, which owns the list of sentinels;
 * the strings live as long as the table. Raises if a string has a NUL. */
void broker_read(lua_State *L, int index, struct mw_broker_options *out);
/* core.check_broker(options): returns what is wrong, or nothing. */
int broker_check(lua_State *L);

BINDING_END

#endif
