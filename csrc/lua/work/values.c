#include "lua/work/values.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lua/base/json.h"

/* Each value is a tag, and but for nil a length and bytes. */
enum values_tag { VALUES_NIL = 'n', VALUES_STRING = 's', VALUES_JSON = 'j' };
enum { ROOT_MAX = 40, HEAD_SIZE = 1 + sizeof(size_t) };

/* Pushes what owns the bytes of the value. */
static bool values_encode(lua_State *L, int index, const char *what, int number, struct mw_bytes *bytes, char *tag) {
  *bytes = (struct mw_bytes){"", 0};
  *tag = VALUES_NIL;
  if (lua_isnil(L, index)) {
    lua_pushnil(L);
    return true;
  }
  if (lua_type(L, index) == LUA_TSTRING) {
    *tag = VALUES_STRING;
    lua_pushvalue(L, index);
    bytes->ptr = lua_tolstring(L, -1, &bytes->len);
    return true;
  }
  char root[ROOT_MAX];
  snprintf(root, sizeof root, "%s %d", what, number);
  *tag = VALUES_JSON;
  *bytes = json_encode(L, index, root);
  return bytes->ptr != NULL;
}

bool values_pack(lua_State *L, int first, int count, const char *what, struct values *values) {
  *values = (struct values){NULL, 0};
  if (count == 0) return true;
  luaL_checkstack(L, count + 4, "too many values");
  char *tags = lua_newuserdatauv(L, (size_t)count, 0);
  struct mw_bytes *parts = lua_newuserdatauv(L, (size_t)count * sizeof *parts, 0);
  size_t size = 0;
  for (int i = 0; i < count; i++) {
    if (!values_encode(L, first + i, what, i + 1, &parts[i], &tags[i])) return false;
    size += HEAD_SIZE + parts[i].len;
    if (size > VALUES_BYTES_MAX) {
      lua_pushfstring(L, "%s %d: all together exceed %d bytes", what, i + 1, VALUES_BYTES_MAX);
      return false;
    }
  }
  values->data = malloc(size);
  if (!values->data) return luaL_error(L, "not enough memory");
  values->len = size;
  char *out = values->data;
  for (int i = 0; i < count; i++) {
    *out++ = tags[i];
    memcpy(out, &parts[i].len, sizeof parts[i].len);
    out += sizeof parts[i].len;
    memcpy(out, parts[i].ptr, parts[i].len);
    out += parts[i].len;
  }
  return true;
}

int values_unpack(lua_State *L, struct values values) {
  int count = 0;
  for (const char *in = values.data, *end = in + values.len; in < end; count++) {
    char tag = *in++;
    struct mw_bytes bytes;
    memcpy(&bytes.len, in, sizeof bytes.len);
    bytes.ptr = in + sizeof bytes.len;
    in = bytes.ptr + bytes.len;
    luaL_checkstack(L, 4, "too many values");
    if (tag == VALUES_NIL) {
      lua_pushnil(L);
    } else if (tag == VALUES_STRING) {
      bytes_push(L, bytes);
    } else if (!json_decode(L, bytes)) {
      luaL_error(L, "%s", lua_tostring(L, -1)); /* its depth: cannot be, as it was encoded */
    }
  }
  return count;
}
