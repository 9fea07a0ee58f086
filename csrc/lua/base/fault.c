#include "lua/base/fault.h"

#include <stdio.h>
#include <string.h>

/* Frames of a traceback. A stack may have 200,000 of them, and walking it takes seconds. */
enum { FRAMES_MAX = 20, PREFIX_MAX = 320, KEY_MAX = 180 };

/* ---- Place and traceback -------------------------------------------------------------------------------------------------- */

static void write_place(char place[PLACE_MAX], const lua_Debug *info, int line) {
  if (line > 0) {
    snprintf(place, PLACE_MAX, "%s:%d", info->short_src, line);
  } else {
    snprintf(place, PLACE_MAX, "%s", info->short_src);
  }
}

void fault_write_definition(lua_State *L, int index, char place[PLACE_MAX]) {
  lua_Debug info;
  lua_pushvalue(L, index);
  lua_getinfo(L, ">S", &info);
  write_place(place, &info, *info.what == 'm' ? 0 : info.linedefined);
}

/* Finds the innermost line of the script, or a line of moonwire if there is no other. */
static void find_place(lua_State *L, char place[PLACE_MAX]) {
  lua_Debug info;
  place[0] = '\0';
  for (int level = 1; level <= FRAMES_MAX && lua_getstack(L, level, &info); level++) {
    lua_getinfo(L, "Sl", &info);
    if (info.currentline <= 0) continue;
    bool is_own = door_is_own(door_get(L), info.source);
    if (!is_own || !place[0]) write_place(place, &info, info.currentline);
    if (!is_own) return;
  }
}

static void add_frame(lua_State *L, luaL_Buffer *out, lua_Debug *info) {
  lua_getinfo(L, "Slnt", info);
  if (info->currentline > 0) {
    lua_pushfstring(L, "\n\t%s:%d: in ", info->short_src, info->currentline);
  } else {
    lua_pushfstring(L, "\n\t%s: in ", info->short_src);
  }
  luaL_addvalue(out);
  if (*info->namewhat) {
    lua_pushfstring(L, "%s '%s'", info->namewhat, info->name);
  } else if (*info->what == 'm') {
    lua_pushliteral(L, "main chunk");
  } else if (*info->what != 'C') {
    lua_pushfstring(L, "function <%s:%d>", info->short_src, info->linedefined);
  } else {
    lua_pushliteral(L, "?");
  }
  luaL_addvalue(out);
  if (info->istailcall) luaL_addstring(out, "\n\t(...tail calls...)");
}

/* Appends to the string at the top. */
static void add_traceback(lua_State *L) {
  luaL_Buffer out;
  lua_Debug info;
  size_t len;
  const char *text = lua_tolstring(L, -1, &len);
  luaL_buffinit(L, &out);
  luaL_addlstring(&out, text, len);
  luaL_addstring(&out, "\nstack traceback:");
  int level = 1;
  while (level <= FRAMES_MAX && lua_getstack(L, level, &info)) {
    add_frame(L, &out, &info);
    level++;
  }
  if (lua_getstack(L, level, &info)) luaL_addstring(&out, "\n\t... (further levels)");
  luaL_pushresult(&out);
}

/* ---- Text ------------------------------------------------------------------------------------------------------------------- */

/* Pushes a field of the table at `index`, if it is a string or a number. */
static bool push_field(lua_State *L, int index, const char *name) {
  lua_pushstring(L, name);
  lua_rawget(L, index);
  if (lua_isstring(L, -1)) return true;
  lua_pop(L, 1);
  return false;
}

const char *fault_push_text(lua_State *L, int index) {
  index = lua_absindex(L, index);
  if (!lua_istable(L, index) || luaL_getmetafield(L, index, "__tostring") != LUA_TNIL) return luaL_tolstring(L, index, NULL);
  bool has_message = push_field(L, index, "message");
  if (!has_message) {
    lua_rawgeti(L, index, 1);
    has_message = lua_isstring(L, -1);
    if (!has_message) lua_pop(L, 1);
  }
  if (!has_message) lua_pushliteral(L, "raised a table without a message");
  int message = lua_gettop(L);
  if (push_field(L, index, "code") || push_field(L, index, "status")) {
    lua_pushfstring(L, "%s (%s)", luaL_tolstring(L, message, NULL), luaL_tolstring(L, message + 1, NULL));
  }
  return luaL_tolstring(L, -1, NULL);
}

static bool is_refusal(lua_State *L) {
  if (!lua_istable(L, 1)) return false;
  lua_pushliteral(L, "code");
  int code_type = lua_rawget(L, 1);
  lua_pushliteral(L, "status");
  int status_type = lua_rawget(L, 1);
  lua_settop(L, 1);
  return code_type != LUA_TNIL || status_type != LUA_TNIL;
}

/* The unit of the rate limit: the kind of handler (the text before " of ") and the place. A peer
 * may choose the rest. */
static struct mw_bytes write_key(char key[KEY_MAX], const char *what, const char *place) {
  const char *of = strstr(what, " of ");
  int what_len = of ? (int)(of - what) : (int)strlen(what);
  int len = snprintf(key, KEY_MAX, "%.*s %s", what_len, what, place ? place : "");
  return (struct mw_bytes){key, len < KEY_MAX ? (size_t)len : KEY_MAX - 1};
}

/* Returns whether the traceback of this error will be logged. */
static bool is_new(const struct task *task, const char *text, size_t len) {
  char what[PREFIX_MAX], key[KEY_MAX];
  if (!task || task->group->on_fault) return true;
  task->class->describe(task, what, sizeof what);
  struct mw_bytes name = write_key(key, what, task->place);
  return mw_log_error_is_new(name.ptr, name.len, text, len);
}

int fault_handle(lua_State *L) {
  struct task *task = door_running(door_get(L));
  char none[PLACE_MAX];
  char *place = task ? task->place : none;
  find_place(L, place);
  if (is_refusal(L)) return 1;
  size_t len;
  fault_push_text(L, 1);
  const char *text = lua_tolstring(L, -1, &len);
  if (task) task->text_len = len;
  if (is_new(task, text, len)) add_traceback(L);
  return 1;
}

/* ---- The log ---------------------------------------------------------------------------------------------------------------- */

/* Writes "what (place): ", without the place if the text begins with it. */
static struct mw_bytes write_prefix(char prefix[PREFIX_MAX], const char *what, const char *place, struct mw_bytes text) {
  size_t place_len = place ? strlen(place) : 0;
  bool is_said = place_len == 0 || (text.len >= place_len && memcmp(text.ptr, place, place_len) == 0);
  int len = is_said ? snprintf(prefix, PREFIX_MAX, "%s: ", what) : snprintf(prefix, PREFIX_MAX, "%s (%s): ", what, place);
  return (struct mw_bytes){prefix, len < PREFIX_MAX ? (size_t)len : PREFIX_MAX - 1};
}

/* Writes to the log, or passes to the test that collects faults. */
static void report(const struct task *task, const struct mw_log_error *error) {
  if (task->group->on_fault && error->level == MW_LOG_ERROR) {
    task->group->on_fault(task->group, error);
  } else {
    mw_log_error(error);
  }
}

void fault_log_text(const struct task *task, const char *what, const char *place, struct mw_bytes text) {
  char prefix[PREFIX_MAX], key[KEY_MAX];
  struct mw_log_error error = {.level = MW_LOG_ERROR, .place = write_key(key, what, place), .text = text};
  error.what = write_prefix(prefix, what, place, text);
  report(task, &error);
}

void fault_log(lua_State *L, const struct task *task, const char *what) {
  char prefix[PREFIX_MAX], key[KEY_MAX];
  struct mw_bytes text, rest = {"", 0};
  fault_push_text(L, TASK_RESULT);
  text.ptr = lua_tolstring(L, -1, &text.len);
  if (task->text_len > 0 && task->text_len < text.len && text.ptr[task->text_len] == '\n') {
    rest = (struct mw_bytes){text.ptr + task->text_len + 1, text.len - task->text_len - 1};
    text.len = task->text_len;
  }
  const char *place = task->place[0] ? task->place : task->defined;
  struct mw_log_error error = {MW_LOG_ERROR, write_key(key, what, place), {"", 0}, text, rest};
  error.what = write_prefix(prefix, what, place, text);
  report(task, &error);
  lua_settop(L, TASK_RESULT - 1);
}

void fault_log_results(lua_State *L, const struct task *task, const char *what) {
  if (lua_gettop(L) < TASK_RESULT + 1 || lua_toboolean(L, TASK_RESULT) || lua_isnil(L, TASK_RESULT + 1)) return;
  const char *way = lua_isnil(L, TASK_RESULT) ? "failed" : "returned false";
  struct mw_bytes text;
  lua_pushfstring(L, "%s: %s", way, fault_push_text(L, TASK_RESULT + 1));
  text.ptr = lua_tolstring(L, -1, &text.len);
  fault_log_text(task, what, task->defined, text);
}
