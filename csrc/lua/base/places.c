#include "lua/base/places.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct place {
  int kind;
  char handler[24], event[65], where[PLACE_MAX];
};

void places_free(struct places *places) {
  free(places->items);
  *places = (struct places){NULL, 0};
}

int places_define(lua_State *L, struct places *places, int index) {
  size_t count = places->count;
  if ((count & (count - 1)) == 0) {
    struct place *items = realloc(places->items, (count > 0 ? count * 2 : 1) * sizeof *items);
    if (!items) return luaL_error(L, "not enough memory");
    places->items = items;
  }
  struct place *place = &places->items[count];
  place->kind = (int)luaL_checkinteger(L, index);
  snprintf(place->handler, sizeof place->handler, "%s", luaL_checkstring(L, index + 1));
  snprintf(place->event, sizeof place->event, "%s", luaL_checkstring(L, index + 2));
  snprintf(place->where, sizeof place->where, "%s", luaL_checkstring(L, index + 3));
  places->count++;
  return 0;
}

const char *places_find(const struct places *places, int kind, const char *handler, struct mw_bytes event) {
  for (size_t i = 0; i < places->count; i++) {
    const struct place *place = &places->items[i];
    if (place->kind != kind || strcmp(place->handler, handler) != 0) continue;
    if (strlen(place->event) == event.len && memcmp(place->event, event.ptr, event.len) == 0) return place->where;
  }
  return NULL;
}
