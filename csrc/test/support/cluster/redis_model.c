#include "test/support/cluster/redis_model.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdlib.h>

#include "base/memory.h"
#include "broker/scripts.h"
#include "test/support.h"

struct redis_model {
  lua_State *lua; /* on its stack, the module */
  size_t (*on_publish)(void *context, struct bytes channel, struct bytes payload);
  void *context;
};

static void check(struct redis_model *model, int status) {
  if (status != LUA_OK) fail_msg("the model of Redis: %s", lua_tostring(model->lua, -1));
}

static struct bytes text_at(lua_State *lua, int index) {
  size_t len;
  const char *text = lua_tolstring(lua, index, &len);
  return bytes_of(text, len);
}

static int on_publish(lua_State *lua) {
  struct redis_model *model = lua_touserdata(lua, lua_upvalueindex(1));
  size_t count = model->on_publish(model->context, text_at(lua, 1), text_at(lua, 2));
  lua_pushinteger(lua, (lua_Integer)count);
  return 1;
}

static void begin_call(struct redis_model *model, const char *name) { lua_getfield(model->lua, 1, name); }

static void call(struct redis_model *model, int argument_count, int result_count) {
  check(model, lua_pcall(model->lua, argument_count, result_count, 0));
}

struct redis_model *redis_model_new(size_t (*publish)(void *context, struct bytes channel, struct bytes payload), void *context) {
  struct redis_model *model = calloc(1, sizeof *model);
  assert_non_null(model);
  *model = (struct redis_model){.lua = luaL_newstate(), .on_publish = publish, .context = context};
  luaL_openlibs(model->lua);
  check(model, luaL_loadfile(model->lua, "csrc/test/support/cluster/redis_model.lua"));
  call(model, 0, 1);
  begin_call(model, "reset");
  lua_pushlightuserdata(model->lua, model);
  lua_pushcclosure(model->lua, on_publish, 1);
  call(model, 1, 0);
  for (size_t i = 0; i < SCRIPT_COUNT; i++) {
    begin_call(model, "load");
    lua_pushinteger(model->lua, (lua_Integer)i);
    lua_pushstring(model->lua, broker_scripts[i].name);
    lua_pushlstring(model->lua, broker_scripts[i].text.ptr, broker_scripts[i].text.len);
    call(model, 3, 0);
  }
  return model;
}

void redis_model_free(struct redis_model *model) {
  lua_close(model->lua);
  free(model);
}

static struct resp_value *value_new(enum resp_type type, size_t more) {
  struct resp_value *value = memory_calloc(1, sizeof *value + more);
  if (!value) value = memory_calloc(1, sizeof *value + more); /* a failure that was meant for a node */
  assert_non_null(value);
  value->type = type;
  return value;
}

static struct resp_value *value_of_text(enum resp_type type, struct bytes text) {
  struct resp_value *value = value_new(type, text.len + 1);
  memcpy((char *)value->items, text.ptr, text.len);
  value->text = bytes_of((char *)value->items, text.len);
  return value;
}

/* Makes a value of what is at the index of the stack. */
static struct resp_value *value_of(lua_State *lua, int index) {
  if (lua_isinteger(lua, index)) {
    struct resp_value *value = value_new(RESP_INTEGER, 0);
    value->integer = lua_tointeger(lua, index);
    return value;
  }
  if (lua_isnumber(lua, index) && lua_type(lua, index) == LUA_TNUMBER) { /* Redis drops the fraction */
    struct resp_value *value = value_new(RESP_INTEGER, 0);
    value->integer = (int64_t)lua_tonumber(lua, index);
    return value;
  }
  if (lua_isstring(lua, index)) return value_of_text(RESP_STRING, text_at(lua, index));
  if (!lua_istable(lua, index)) return value_new(RESP_NIL, 0);
  if (lua_getfield(lua, index, "ok") == LUA_TSTRING) {
    struct resp_value *status = value_of_text(RESP_STATUS, text_at(lua, -1));
    lua_pop(lua, 1);
    return status;
  }
  lua_pop(lua, 1);
  size_t count = lua_rawlen(lua, index);
  struct resp_value *array = value_new(RESP_ARRAY, count * sizeof(struct resp_value *));
  array->count = count;
  for (size_t i = 0; i < count; i++) {
    lua_geti(lua, index, (lua_Integer)i + 1);
    array->items[i] = value_of(lua, lua_gettop(lua));
    lua_pop(lua, 1);
  }
  return array;
}

/* Calls the function, whose first arguments are on the stack, with further ones. */
static struct resp_value *answer(struct redis_model *model, int pushed, const struct bytes *arguments, size_t count) {
  lua_State *lua = model->lua;
  luaL_checkstack(lua, (int)count + 8, NULL);
  for (size_t i = 0; i < count; i++) lua_pushlstring(lua, arguments[i].ptr ? arguments[i].ptr : "", arguments[i].len);
  call(model, pushed + (int)count, 2);
  struct resp_value *value =
      lua_isstring(lua, -1) ? value_of_text(RESP_ERROR, text_at(lua, -1)) : value_of(lua, lua_gettop(lua) - 1);
  lua_pop(lua, 2);
  return value;
}

struct resp_value *redis_model_run(struct redis_model *model, uint64_t now_ms, size_t script, size_t key_count,
                                   const struct bytes *arguments, size_t count) {
  begin_call(model, "run");
  lua_pushinteger(model->lua, (lua_Integer)now_ms);
  lua_pushinteger(model->lua, (lua_Integer)script);
  lua_pushinteger(model->lua, (lua_Integer)key_count);
  return answer(model, 3, arguments, count);
}

struct resp_value *redis_model_command(struct redis_model *model, uint64_t now_ms, const struct bytes *arguments, size_t count) {
  begin_call(model, "command");
  lua_pushinteger(model->lua, (lua_Integer)now_ms);
  return answer(model, 1, arguments, count);
}

void redis_model_fail_over(struct redis_model *model, size_t lost) {
  begin_call(model, "fail_over");
  lua_pushinteger(model->lua, (lua_Integer)lost);
  call(model, 1, 0);
}

void redis_model_fill(struct redis_model *model, bool is_full) {
  begin_call(model, "fill");
  lua_pushboolean(model->lua, is_full);
  call(model, 1, 0);
}

void redis_model_drop(struct redis_model *model, const char *key) {
  begin_call(model, "drop");
  lua_pushstring(model->lua, key);
  call(model, 1, 0);
}

uint64_t redis_model_position(struct redis_model *model, const char *key) {
  begin_call(model, "position");
  lua_pushstring(model->lua, key);
  call(model, 1, 1);
  uint64_t position = (uint64_t)lua_tonumber(model->lua, -1);
  lua_pop(model->lua, 1);
  return position;
}
