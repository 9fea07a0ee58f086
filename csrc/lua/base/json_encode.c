#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lua/base/json.h"
#include "lua/base/json_tree.h"

/* A place inside the value: an item or member of `container`, which belongs to the previous step;
 * NULL is the root. */
struct step {
  const struct step *parent;
  json_t *container;
  const void *table; /* the container's Lua table, to find cycles */
  const char *name;  /* of the member; NULL: item `index` */
  lua_Integer index;
};

struct encoder {
  lua_State *L;
  struct json_tree *tree;
  const char *root; /* the name of the root in messages */
  int precision;    /* digits that represent every number so far exactly */
};

static bool encode_value(struct encoder *encoder, int index, const struct step *step, int depth);

static void write_path(luaL_Buffer *out, const struct step *step, const char *root) {
  if (!step) {
    luaL_addstring(out, root);
    return;
  }
  write_path(out, step->parent, root);
  char item[32];
  snprintf(item, sizeof item, step->name ? "." : "[%lld]", (long long)step->index);
  luaL_addstring(out, item);
  if (step->name) luaL_addstring(out, step->name);
}

/* Pushes the message and returns false. */
static bool json_encode_fail(struct encoder *encoder, const struct step *step, const char *fault) {
  luaL_Buffer out;
  luaL_buffinit(encoder->L, &out);
  write_path(&out, step, encoder->root);
  luaL_addstring(&out, ": ");
  luaL_addstring(&out, fault);
  luaL_pushresult(&out);
  return false;
}

/* Inserts a new value before it is filled, so that the root owns everything if Lua raises. */
static bool json_encode_put(struct encoder *encoder, const struct step *step, json_t *value) {
  if (!value) json_raise_memory(encoder->L);
  if (!step) {
    encoder->tree->root = value;
  } else if (step->name) {
    if (json_object_set_new(step->container, step->name, value) != 0) json_raise_memory(encoder->L);
  } else {
    if (json_array_append_new(step->container, value) != 0) json_raise_memory(encoder->L);
  }
  return true;
}

static bool encode_number(struct encoder *encoder, int index, const struct step *step) {
  if (lua_isinteger(encoder->L, index)) return json_encode_put(encoder, step, json_integer(lua_tointeger(encoder->L, index)));
  double number = lua_tonumber(encoder->L, index);
  if (!isfinite(number)) return json_encode_fail(encoder, step, "JSON cannot hold NaN or infinity");
  for (char text[40]; encoder->precision < 17; encoder->precision++) {
    snprintf(text, sizeof text, "%.*g", encoder->precision, number);
    if (strtod(text, NULL) == number) break;
  }
  return json_encode_put(encoder, step, json_real(number));
}

/* The same check as in jansson, which does not distinguish a string that is not UTF-8 from a failed
 * allocation. */
static bool is_utf8(const char *text, size_t len) {
  static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
  for (size_t i = 0; i < len;) {
    unsigned char first = (unsigned char)text[i++];
    size_t more = first < 0x80 ? 0 : first < 0xc0 ? 4 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : first < 0xf8 ? 3 : 4;
    if (more > 3 || more > len - i) return false;
    uint32_t c = more == 0 ? first : first & (0x3fu >> more);
    for (size_t k = 0; k < more; k++) {
      unsigned char next = (unsigned char)text[i++];
      if ((next & 0xc0) != 0x80) return false;
      c = c << 6 | (next & 0x3fu);
    }
    if (c < least[more] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) return false;
  }
  return true;
}

static bool encode_string(struct encoder *encoder, int index, const struct step *step) {
  size_t len;
  const char *text = lua_tolstring(encoder->L, index, &len);
  json_t *string = json_stringn(text, len);
  if (!string && !is_utf8(text, len)) return json_encode_fail(encoder, step, "a string that is not valid UTF-8");
  return json_encode_put(encoder, step, string); /* raises if out of memory */
}

static bool encode_items(struct encoder *encoder, int index, const struct step *step, json_t *array, int depth) {
  lua_State *L = encoder->L;
  struct step item = {step, array, lua_topointer(L, index), NULL, 1};
  for (lua_Integer count = (lua_Integer)lua_rawlen(L, index); item.index <= count; item.index++) {
    lua_rawgeti(L, index, item.index);
    if (!encode_value(encoder, lua_gettop(L), &item, depth)) return false;
    lua_pop(L, 1);
  }
  return true;
}

static bool encode_members(struct encoder *encoder, int index, const struct step *step, json_t *object, int depth) {
  lua_State *L = encoder->L;
  struct step member = {step, object, lua_topointer(L, index), NULL, 0};
  lua_pushnil(L);
  while (lua_next(L, index)) {
    size_t len;
    member.name = lua_tolstring(L, -2, &len); /* a string: the shape was checked */
    if (strlen(member.name) != len) return json_encode_fail(encoder, step, "a name contains a NUL byte");
    json_t *name = json_stringn(member.name, len);
    if (!name && !is_utf8(member.name, len)) return json_encode_fail(encoder, step, "a name is not valid UTF-8");
    if (!name) json_raise_memory(L);
    json_decref(name);
    if (!encode_value(encoder, lua_gettop(L), &member, depth)) return false;
    lua_pop(L, 1);
  }
  return true;
}

enum shape { SHAPE_OBJECT, SHAPE_ARRAY, SHAPE_MIXED, SHAPE_HOLES, SHAPE_KEYS };

/* Returns the shape of a table: an array if it is marked or has items, else an object. */
static enum shape look_at_table(lua_State *L, int index) {
  lua_Integer items = 0, highest = 0;
  bool has_names = false, is_array = false;
  if (lua_getmetatable(L, index)) {
    is_array = luaL_getmetatable(L, json_array_class) != LUA_TNIL && lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
  }
  lua_pushnil(L);
  while (lua_next(L, index)) {
    lua_pop(L, 1);
    if (lua_type(L, -1) == LUA_TSTRING) {
      has_names = true;
    } else if (lua_isinteger(L, -1) && lua_tointeger(L, -1) >= 1) {
      items++;
      if (lua_tointeger(L, -1) > highest) highest = lua_tointeger(L, -1);
    } else {
      lua_pop(L, 1);
      return SHAPE_KEYS;
    }
  }
  if (has_names && (items > 0 || is_array)) return SHAPE_MIXED;
  if (highest != items) return SHAPE_HOLES;
  return items > 0 || is_array ? SHAPE_ARRAY : SHAPE_OBJECT;
}

static bool encode_table(struct encoder *encoder, int index, const struct step *step, int depth) {
  lua_State *L = encoder->L;
  if (depth >= JSON_TREE_DEPTH_MAX) return json_encode_fail(encoder, step, "nested deeper than 64 levels");
  for (const struct step *outer = step; outer; outer = outer->parent) {
    if (outer->table == lua_topointer(L, index)) return json_encode_fail(encoder, step, "the table contains itself");
  }
  luaL_checkstack(L, 10, "too many levels of JSON");
  switch (look_at_table(L, index)) {
    case SHAPE_KEYS:
      return json_encode_fail(encoder, step, "the table has a key that is neither a string nor a positive integer");
    case SHAPE_MIXED: return json_encode_fail(encoder, step, "the table has both items and names");
    case SHAPE_HOLES: return json_encode_fail(encoder, step, "the array has holes");
    case SHAPE_ARRAY: {
      json_t *array = json_array();
      return json_encode_put(encoder, step, array) && encode_items(encoder, index, step, array, depth + 1);
    }
    case SHAPE_OBJECT: break;
  }
  json_t *object = json_object();
  return json_encode_put(encoder, step, object) && encode_members(encoder, index, step, object, depth + 1);
}

static bool encode_value(struct encoder *encoder, int index, const struct step *step, int depth) {
  lua_State *L = encoder->L;
  switch (lua_type(L, index)) {
    case LUA_TNONE:
    case LUA_TNIL: return json_encode_put(encoder, step, json_null());
    case LUA_TBOOLEAN: return json_encode_put(encoder, step, json_boolean(lua_toboolean(L, index)));
    case LUA_TNUMBER: return encode_number(encoder, index, step);
    case LUA_TSTRING: return encode_string(encoder, index, step);
    case LUA_TTABLE: return encode_table(encoder, index, step, depth);
    case LUA_TLIGHTUSERDATA:
      if (!lua_touserdata(L, index)) return json_encode_put(encoder, step, json_null());
      break;
    default: break;
  }
  char fault[64];
  snprintf(fault, sizeof fault, "JSON cannot hold a %s", luaL_typename(L, index));
  return json_encode_fail(encoder, step, fault);
}

struct mw_bytes json_encode(lua_State *L, int index, const char *root) {
  struct mw_bytes none = {NULL, 0}, text;
  index = lua_type(L, index) == LUA_TNONE ? index : lua_absindex(L, index);
  int top = lua_gettop(L);
  luaL_checkstack(L, 10, "too many levels of JSON");
  struct json_tree *tree = json_tree_new(L);
  struct encoder encoder = {L, tree, root, 15};
  if (!encode_value(&encoder, index, NULL, 0)) {
    json_tree_clear(tree);
    lua_replace(L, top + 1);
    lua_settop(L, top + 1);
    return none;
  }
  size_t digits = (size_t)encoder.precision;
  tree->text = json_dumps(tree->root, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS | JSON_REAL_PRECISION(digits));
  if (!tree->text) json_raise_memory(L);
  json_decref(tree->root);
  tree->root = NULL;
  text = (struct mw_bytes){tree->text, strlen(tree->text)};
  return text;
}
