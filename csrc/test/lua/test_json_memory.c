/* JSON when memory runs out: the error says so, and not that the text is at fault. */
#include <jansson.h>
#include <stdlib.h>

#include "lua/base/binding.h"
#include "test/support.h"

int luaopen_moonwire_core(lua_State *L);

static long countdown = -1;

static void *allocate(size_t size) {
  if (countdown >= 0 && countdown-- == 0) return NULL;
  return malloc(size);
}

/* Runs the chunk, failing each allocation of the JSON library in turn until it needs none. */
static void run_failing(lua_State *L, const char *chunk) {
  size_t failures = 0;
  for (long n = 0;; n++) {
    assert_int_equal(luaL_loadstring(L, chunk), LUA_OK);
    countdown = n;
    int status = lua_pcall(L, 0, 0, 0);
    bool has_failed = countdown < 0;
    countdown = -1;
    if (status == LUA_OK && !has_failed) break;
    if (status != LUA_OK) {
      failures++;
      assert_non_null(strstr(lua_tostring(L, -1), "not enough memory"));
    }
    lua_settop(L, 0);
    assert_true(n < 1000);
  }
  assert_true(failures > 3);
}

static const char encoding[] = "core.json.encode { a = ('x'):rep(100), ['\xc3\xa9'] = { 'y', 1, 2.5, '\xf0\x9f\x98\x80' } }";
static const char decoding[] =
    "core.json.decode [[{\"a\":\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\",\"b\":[1,2.5,\"\xc3\xa9\",null]}]]";

static lua_State *open_state(void) {
  json_set_alloc_funcs(allocate, free);
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  luaL_requiref(L, "core", luaopen_moonwire_core, 1);
  lua_settop(L, 0);
  return L;
}

static void a_lack_of_memory_is_called_so(void **state) {
  (void)state;
  lua_State *L = open_state();
  run_failing(L, encoding);
  run_failing(L, decoding);
  lua_close(L);
}

static void what_is_no_utf8_is_still_called_so(void **state) {
  (void)state;
  static const char *const bad[] = {
      "'\\xff'", "'\\xc3'",       "'\\xc0\\x80'",      "'\\xed\\xa0\\x80'", "'\\xf4\\x90\\x80\\x80'",
      "'\\x80'", "'a\\xe2\\x82'", "'\\xe2\\x28\\xa1'", "{ ['\\xff'] = 1 }", "'\\xf8\\x88\\x80\\x80\\x80'"};
  lua_State *L = open_state();
  for (size_t i = 0; i < COUNT_OF(bad); i++) {
    char chunk[80];
    snprintf(chunk, sizeof chunk, "core.json.encode(%s)", bad[i]);
    assert_true(luaL_dostring(L, chunk));
    assert_non_null(strstr(lua_tostring(L, -1), "not valid UTF-8"));
    lua_settop(L, 0);
  }
  lua_close(L);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(a_lack_of_memory_is_called_so),
                                     cmocka_unit_test(what_is_no_utf8_is_still_called_so)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
