/* The door into Lua when memory runs out, and when peers go at any time: nothing is raised into the
 * core, every request is answered, nothing leaks. */
#define _POSIX_C_SOURCE 200809L

#include "test/support.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lua/base/binding.h"

int luaopen_moonwire_core(lua_State *L);

enum { FAILURES = 250, TURNS = 16, DEPARTURES = 400 };

static const char script[] =
    "package.path = './lua/?.lua;./lua/?/init.lua'\n"
    "local moonwire = require 'moonwire'\n"
    "local app = moonwire.app {}\n"
    "local queue, cache = moonwire.queue(1), moonwire.cache { size = 1 }\n"
    "app:authenticate(function(request) return { id = 'x', query = request.query } end)\n"
    "app:on_connect(function(client) client.data = { client.user_id } end)\n"
    "app:on_disconnect(function(client, reason) client.data = { reason } end)\n"
    "app:channel('room:{room}', {\n"
    "  authorize = function(client) client.data = { a = 1 } moonwire.sleep(0) return true end,\n"
    "  on_open = function() return { count = 0 } end,\n"
    "  on_join = function(client, channel)\n"
    "    channel.state.count = channel.state.count + 1\n"
    "    client.data.b = 2\n"
    "    return { count = channel.state.count }\n"
    "  end,\n"
    "  on_leave = function() end,\n"
    "  on_close = function() end,\n"
    "  relay = { 'typing', update = { keep = true } },\n"
    "  on = { say = function(client, channel, message)\n"
    "    client:send('first', message.data)\n"
    "    moonwire.sleep(0)\n"
    "    channel:publish('said', message.raw, { except = client, binary = true })\n"
    "    for other in app:clients { user_id = 'x' } do other:send('second', 2, { channel = channel.name }) end\n"
    "    if app:client(client.id) then channel:kick(client, 'enough') end\n"
    "    return { client.data, message.data }\n"
    "  end },\n"
    "})\n"
    "app:get('/route/{x}', function(request)\n"
    "  moonwire.sleep(0)\n"
    "  coroutine.wrap(function()\n"
    "    for _ in coroutine.wrap(function() moonwire.sleep(0) coroutine.yield(1) end) do moonwire.sleep(0) end\n"
    "  end)()\n"
    "  moonwire.timeout(0.001, function() moonwire.sleep(1) moonwire.sleep(1) end)\n"
    "  moonwire.timeout(1, function() return moonwire.await(function(resume) app:spawn(resume, 1) end) end)\n"
    "  moonwire.all { function() queue:push(1) end, function() queue:pop(0.01) end, function() moonwire.sleep(0) end }\n"
    "  cache:get(request.params.x, function() moonwire.sleep(0) return 1 end)\n"
    "  return { request.params.x, request.query, request.cookies }\n"
    "end)\n"
    "app:get('/spawn', function() app:spawn(function() moonwire.sleep(0) end) return 'ok' end)\n"
    "app:get('/error', function() error('wanted') end)\n"
    "app:stream('/stream', function(_, stream)\n"
    "  stream:on_close(function() end)\n"
    "  stream:send('a', { 1 })\n"
    "  moonwire.sleep(0)\n"
    "  stream:send('b', 'c')\n"
    "  stream:close()\n"
    "end)\n"
    "app:every(0.001, function() moonwire.sleep(0) end)\n"
    "app:after(0.001, function() end)\n"
    "assert(app:listen '127.0.0.1:0')\n"
    "return app, tonumber(app:address():match(':(%d+)$'))\n";

/* Requests, with frames behind the one that becomes a WebSocket: each is masked with zeros, and so
 * is as it is read. */
#define FRAME(len, text) "\x81" len "\0\0\0\0" text
#define REQUEST(text)                                                                                                            \
  { text, sizeof text - 1 }
static const struct {
  const char *text;
  size_t len;
} requests[] = {
    REQUEST("GET /route/1?a=b HTTP/1.0\r\nCookie: a=b\r\n\r\n"),
    REQUEST("GET /sse?channel=room:1&channel=room:2 HTTP/1.0\r\n\r\n"),
    REQUEST("GET /stream HTTP/1.0\r\n\r\n"),
    REQUEST("GET /spawn HTTP/1.0\r\n\r\n"),
    REQUEST("GET /error HTTP/1.0\r\n\r\n"),
    REQUEST("POST /send HTTP/1.0\r\nContent-Length: 40\r\n\r\n{\"send\":\"room:1\",\"event\":\"say\",\"data\":1}"),
    REQUEST("GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n" FRAME("\x9e", "{\"subscribe\":\"room:1\",\"ref\":1}")
                FRAME("\xb0", "{\"send\":\"room:1\",\"event\":\"say\",\"data\":1,\"ref\":2}")
                    FRAME("\xa2", "{\"send\":\"room:1\",\"event\":\"typing\"}") FRAME("\x98", "{\"unsubscribe\":\"room:1\"}")),
};

/* What fails: two allocations of Lua in a row (one is followed by a collection and tried again), or
 * one of the core. */
static long lua_countdown = -1, core_countdown = -1;

static void *resize(void *context, void *ptr, size_t old_size, size_t size) {
  (void)context;
  if (size == 0) {
    free(ptr);
    return NULL;
  }
  if (lua_countdown >= 0 && (!ptr || size > old_size) && lua_countdown-- < 2) return NULL;
  return realloc(ptr, size);
}

static void *resize_core(void *context, void *ptr, size_t size) {
  (void)context;
  if (size == 0) {
    free(ptr);
    return NULL;
  }
  if (core_countdown >= 0 && core_countdown-- == 0) return NULL;
  return realloc(ptr, size);
}

static void ignore_log(void *context, enum mw_log_level level, const char *text, size_t text_len) {
  (void)context;
  (void)level;
  (void)text;
  (void)text_len;
}

static int panic(lua_State *L) {
  fprintf(stderr, "raised outside of a protected call: %s\n", lua_tostring(L, -1));
  abort();
}

/* The app is at index 1. */
static bool turn(lua_State *L, int count) {
  bool alive = true;
  for (int i = 0; i < count && alive; i++) {
    lua_settop(L, 1);
    lua_getfield(L, 1, "step");
    lua_pushvalue(L, 1);
    if (lua_pcall(L, 1, 1, 0) == LUA_OK) alive = lua_toboolean(L, -1);
  }
  lua_settop(L, 1);
  return alive;
}

static int connect_to(int port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  assert_true(fd >= 0);
  assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
  return fd;
}

/* Something must come back: an answer, a stream, or the end. */
static void assert_answered(lua_State *L, int fd, size_t request, long lua_failure, long core_failure) {
  char byte;
  for (int i = 0; i < 30000; i++) {
    ssize_t got = recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK);
    if (got >= 0) return;
    turn(L, 1);
    nanosleep(&(struct timespec){0, 1000000}, NULL);
  }
  fail_msg("request %zu was not answered (failures: %ld of Lua, %ld of the core)", request, lua_failure, core_failure);
}

static int ask(lua_State *L, int port, size_t i) {
  int fd = connect_to(port);
  turn(L, 1);
  assert_int_equal(write(fd, requests[i].text, requests[i].len), requests[i].len);
  return fd;
}

static void ask_while_failing(lua_State *L, int port, size_t i, long lua_failure, long core_failure) {
  int fd = ask(L, port, i);
  lua_countdown = lua_failure;
  core_countdown = core_failure;
  turn(L, TURNS);
  lua_countdown = core_countdown = -1;
  assert_answered(L, fd, i, lua_failure, core_failure);
  close(fd);
  turn(L, 2);
}

static lua_State *start(int *port) {
  mw_log_to(MW_LOG_ERROR, ignore_log, NULL);
#if LUA_VERSION_NUM >= 505
  lua_State *L = lua_newstate(resize, NULL, 0);
#else
  lua_State *L = lua_newstate(resize, NULL);
#endif
  lua_atpanic(L, panic);
  luaL_openlibs(L);
  luaL_requiref(L, "moonwire.core", luaopen_moonwire_core, 0);
  lua_settop(L, 0);
  if (luaL_dostring(L, script) != LUA_OK) fail_msg("%s", lua_tostring(L, -1));
  *port = (int)lua_tointeger(L, 2);
  lua_settop(L, 1);
  return L;
}

static void stop(lua_State *L) {
  lua_getfield(L, 1, "stop");
  lua_pushvalue(L, 1);
  lua_call(L, 1, 0);
  for (int i = 0; i < 30000 && turn(L, 1); i++) nanosleep(&(struct timespec){0, 1000000}, NULL);
  assert_false(turn(L, 1));
  lua_close(L);
  mw_log_to(MW_LOG_INFO, NULL, NULL);
}

static void run_failing(bool fail_lua) {
  int port;
  lua_State *L = start(&port);
  for (long failure = 1; failure <= FAILURES; failure++) {
    for (size_t i = 0; i < COUNT_OF(requests); i++) {
      ask_while_failing(L, port, i, fail_lua ? failure : -1, fail_lua ? -1 : failure);
    }
  }
  stop(L);
}

static void test_lua_without_memory(void **state) {
  (void)state;
  run_failing(true);
}

static void test_core_without_memory(void **state) {
  (void)state;
  run_failing(false);
}

/* Also a test of SIGPIPE, which would end the process. */
static void test_peers_that_go(void **state) {
  (void)state;
  int port;
  lua_State *L = start(&port);
  for (int i = 0; i < DEPARTURES; i++) {
    for (size_t request = 0; request < COUNT_OF(requests); request++) {
      int fd = ask(L, port, request);
      turn(L, (int)((size_t)i + request) % 8);
      close(fd);
    }
  }
  for (int i = 0; i < 30000 && mw_live("session") > 0; i++) {
    turn(L, 1);
    nanosleep(&(struct timespec){0, 1000000}, NULL);
  }
  assert_int_equal(mw_live("session"), 0);
  for (int i = 0; i < 3000 && mw_live("client") > 0; i++) {
    turn(L, 1); /* on_disconnect is told last */
    lua_gc(L, LUA_GCCOLLECT);
    nanosleep(&(struct timespec){0, 1000000}, NULL);
  }
  assert_int_equal(mw_live("client"), 0);
  stop(L);
}

int main(void) {
  mw_set_allocator(resize_core, NULL);
  const struct CMUnitTest tests[] = {TEST(test_lua_without_memory), TEST(test_core_without_memory), TEST(test_peers_that_go)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
