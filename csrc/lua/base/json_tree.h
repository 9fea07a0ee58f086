/* What encoding and decoding share: the value in jansson's form. */
#ifndef MOONWIRE_LUA_JSON_TREE_H
#define MOONWIRE_LUA_JSON_TREE_H

#include <jansson.h>

#include "lua/base/binding.h"

BINDING_BEGIN

/* The same depth as in the core. */
enum { JSON_TREE_DEPTH_MAX = 64 };

/* The metatable of tables that moonwire.array has marked. */
extern const char json_array_class[];

/* Owns what jansson allocated, while Lua may raise. A userdata. */
struct json_tree {
  json_t *root;
  char *text;
};

/* Pushes an empty tree. */
struct json_tree *json_tree_new(lua_State *L);
void json_tree_clear(struct json_tree *tree);
void json_raise_memory(lua_State *L);

BINDING_END

#endif
