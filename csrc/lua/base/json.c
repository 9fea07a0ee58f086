#include "lua/base/json.h"

#include <stdlib.h>

#include "lua/base/handle.h"
#include "lua/base/json_tree.h"

static const char json_tree_class[] = "moonwire.json";
const char json_array_class[] = "moonwire.array";

/* ---- The tree ------------------------------------------------------------------------------------------------------------- */

struct json_tree *json_tree_new(lua_State *L) {
  return handle_new(L, json_tree_class, sizeof(struct json_tree), 0);
}

void json_tree_clear(struct json_tree *tree) {
  json_decref(tree->root);
  free(tree->text);
  *tree = (struct json_tree){NULL, NULL};
}

static int collect_tree(lua_State *L) {
  json_tree_clear(lua_touserdata(L, 1));
  return 0;
}

void json_free(lua_State *L, int index) { json_tree_clear(lua_touserdata(L, index)); }

void json_raise_memory(lua_State *L) { luaL_error(L, "not enough memory"); }

/* ---- The module ---------------------------------------------------------------------------------------------------------- */

/* json.encode(value): returns the text. Raises with the path of what JSON cannot hold. */
static int encode(lua_State *L) {
  luaL_checkany(L, 1);
  struct mw_bytes text = json_encode(L, 1, "value");
  if (!text.ptr) return luaL_error(L, "%s", lua_tostring(L, -1));
  bytes_push(L, text);
  json_free(L, -2);
  return 1;
}

/* json.decode(text): returns the value, or nil and a message. */
static int decode(lua_State *L) {
  if (json_decode(L, bytes_check(L, 1))) return 1;
  lua_pushnil(L);
  lua_insert(L, -2);
  return 2;
}

/* moonwire.array(table): marks it as an array, even if empty, and returns it. */
static int make_array(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_argcheck(L, !lua_getmetatable(L, 1) || (luaL_getmetatable(L, json_array_class), lua_rawequal(L, -1, -2)), 1,
                "a table with its own metatable cannot be an array");
  lua_settop(L, 1);
  luaL_setmetatable(L, json_array_class);
  return 1;
}

void json_push_module(lua_State *L) {
  static const luaL_Reg tree_metamethods[] = {{"__gc", collect_tree}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"encode", encode}, {"decode", decode}, {"array", make_array}, {NULL, NULL}};
  handle_class(L, json_tree_class, tree_metamethods, NULL);
  luaL_newmetatable(L, json_array_class);
  lua_pop(L, 1);
  luaL_newlib(L, functions);
  lua_pushlightuserdata(L, NULL);
  lua_setfield(L, -2, "null");
}
