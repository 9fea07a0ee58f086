#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lua/base/json.h"
#include "lua/base/json_tree.h"

static bool push_decoded(lua_State *L, json_t *value, int depth);

static bool push_array(lua_State *L, json_t *array, int depth) {
  size_t count = json_array_size(array);
  lua_createtable(L, count < INT32_MAX ? (int)count : 0, 0);
  luaL_setmetatable(L, json_array_class);
  for (size_t i = 0; i < count; i++) {
    if (!push_decoded(L, json_array_get(array, i), depth)) return false;
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return true;
}

static bool push_object(lua_State *L, json_t *object, int depth) {
  const char *name;
  json_t *value;
  lua_newtable(L);
  json_object_foreach(object, name, value) {
    lua_pushstring(L, name);
    if (!push_decoded(L, value, depth)) return false;
    lua_rawset(L, -3);
  }
  return true;
}

/* Returns false if the value is nested too deep. The stack then holds parts of it. */
static bool push_decoded(lua_State *L, json_t *value, int depth) {
  switch (json_typeof(value)) {
    case JSON_NULL: lua_pushlightuserdata(L, NULL); return true;
    case JSON_TRUE:
    case JSON_FALSE: lua_pushboolean(L, json_is_true(value)); return true;
    case JSON_INTEGER: lua_pushinteger(L, json_integer_value(value)); return true;
    case JSON_REAL: lua_pushnumber(L, json_real_value(value)); return true;
    case JSON_STRING: lua_pushlstring(L, json_string_value(value), json_string_length(value)); return true;
    case JSON_ARRAY:
    case JSON_OBJECT: break;
  }
  if (depth >= JSON_TREE_DEPTH_MAX) return false;
  luaL_checkstack(L, 6, "too many levels of JSON");
  return json_is_array(value) ? push_array(L, value, depth + 1) : push_object(L, value, depth + 1);
}

/* Returns whether the digits exceed a 64-bit integer. */
static bool is_large_integer(const char *digits, size_t len) {
  char copy[24];
  if (len > 20) return true; /* no leading zero */
  memcpy(copy, digits, len);
  copy[len] = '\0';
  errno = 0;
  strtoll(copy, NULL, 10);
  return errno == ERANGE;
}

/* Writes the text to `out`, with "e0" after each integer of more than 64 bits, which makes it a
 * float. Returns the length. The text need not be valid. */
static size_t mark_large_integers(struct mw_bytes text, char *out) {
  size_t len = 0;
  for (size_t i = 0; i < text.len;) {
    size_t start = i, end = text.len;
    if (text.ptr[i] == '"') {
      for (i++; i < end && text.ptr[i] != '"'; i++) i += text.ptr[i] == '\\' && i + 1 < end;
      if (i < end) i++;
    } else {
      if (text.ptr[i] == '-') i++;
      while (i < end && text.ptr[i] >= '0' && text.ptr[i] <= '9') i++;
    }
    bool is_integer = i - start > 18 && text.ptr[start] != '"' && (i == end || !memchr(".eE", text.ptr[i], 3));
    if (i == start) i++;
    memcpy(out + len, text.ptr + start, i - start);
    len += i - start;
    if (is_integer && is_large_integer(text.ptr + start, i - start)) out[len++] = 'e', out[len++] = '0';
  }
  return len;
}

/* jansson refuses integers of more than 64 bits, and has no option for it. */
static json_t *load(lua_State *L, struct mw_bytes text, json_error_t *error) {
  const size_t flags = JSON_DECODE_ANY | JSON_ALLOW_NUL;
  json_t *root = json_loadb(text.len > 0 ? text.ptr : "", text.len, flags, error);
  if (root || json_error_code(error) != json_error_numeric_overflow) return root;
  char *marked = malloc(text.len + text.len / 9 + 2); /* two for each 19 at least */
  if (!marked) json_raise_memory(L);
  root = json_loadb(marked, mark_large_integers(text, marked), flags, error);
  free(marked);
  return root;
}

static const char *explain(const json_error_t *error) {
  if (json_error_code(error) == json_error_numeric_overflow) return "a number is beyond the range of a float";
  return error->text;
}

bool json_decode(lua_State *L, struct mw_bytes text) {
  int top = lua_gettop(L);
  struct json_tree *tree = json_tree_new(L);
  json_error_t error;
  tree->root = load(L, text, &error);
  bool ok = tree->root && push_decoded(L, tree->root, 0);
  if (!tree->root && (error.text[0] == '\0' || json_error_code(&error) == json_error_out_of_memory)) json_raise_memory(L);
  if (!tree->root) {
    lua_pushfstring(L, "not valid JSON: %s (line %d, column %d)", explain(&error), error.line, error.column);
  } else if (!ok) {
    lua_pushliteral(L, "not valid JSON: nested deeper than 64 levels");
  }
  json_tree_clear(tree);
  lua_replace(L, top + 1);
  lua_settop(L, top + 1);
  return ok;
}
