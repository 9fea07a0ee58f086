/* Where a script defines its handlers, for the log: "app.lua:7" by kind, handler, and event. */
#ifndef MOONWIRE_LUA_PLACES_H
#define MOONWIRE_LUA_PLACES_H

#include "lua/base/enter.h"

BINDING_BEGIN

struct place;

struct places {
  struct place *items;
  size_t count;
};

void places_free(struct places *places);
/* server:place(kind, handler, event, where), while the app is defined. `kind` is -1 for handlers of
 * the app, and `event` "" except for the handler of an event. */
int places_define(lua_State *L, struct places *places, int index);
/* Returns NULL if the place is unknown. */
const char *places_find(const struct places *places, int kind, const char *handler, struct mw_bytes event);

BINDING_END

#endif
