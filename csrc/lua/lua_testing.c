#include "lua/lua_testing.h"

#include <stdlib.h>
#include <string.h>

#include "lua/base/handle.h"
#include "lua/lua_server.h"

/* Beyond it errors are only counted. */
enum { FAULTS_MAX = 100 };

static const char memory_class[] = "moonwire.memory", faults_class[] = "moonwire.faults";

/* ---- Errors of handlers --------------------------------------------------------------------------------------------------- */

struct kept_fault {
  struct kept_fault *next;
  size_t len;
  char text[];
};

/* A userdata. */
struct kept_faults {
  struct kept_fault *first, **last;
  size_t kept, lost; /* lost: over the limit, or out of memory */
  bool is_closed;    /* the state is being closed: nothing is kept any more */
};

static char *append(char *at, struct mw_bytes bytes) {
  if (bytes.len > 0) memcpy(at, bytes.ptr, bytes.len);
  return at + bytes.len;
}

/* The group is the first member of its host. */
static void keep_fault(struct task_group *group, const struct mw_log_error *error) {
  struct kept_faults *faults = ((struct host *)group)->kept_faults;
  size_t len = error->what.len + error->text.len + (error->traceback.len > 0 ? 1 + error->traceback.len : 0);
  bool is_kept = faults->kept < FAULTS_MAX && !faults->is_closed;
  struct kept_fault *fault = is_kept ? malloc(sizeof *fault + len) : NULL;
  if (!fault) {
    faults->lost++;
    return;
  }
  fault->next = NULL;
  fault->len = len;
  char *at = append(append(fault->text, error->what), error->text);
  if (error->traceback.len > 0) {
    *at++ = '\n';
    append(at, error->traceback);
  }
  *faults->last = fault;
  faults->last = &fault->next;
  faults->kept++;
}

static struct kept_fault *take_fault(struct kept_faults *faults) {
  struct kept_fault *fault = faults->first;
  if (!fault) return NULL;
  faults->first = fault->next;
  if (!faults->first) faults->last = &faults->first;
  faults->kept--;
  return fault;
}

static int close_faults(lua_State *L) {
  struct kept_faults *faults = luaL_checkudata(L, 1, faults_class);
  struct kept_fault *fault;
  while ((fault = take_fault(faults)) != NULL) free(fault);
  faults->is_closed = true;
  return 0;
}

/* server:keep_faults(): from here on errors of handlers do not go to the log. */
static int keep_faults(lua_State *L) {
  struct host *host = host_check_running(L, 1);
  if (host->kept_faults) return 0;
  struct kept_faults *faults = handle_new(L, faults_class, sizeof *faults, 0);
  faults->last = &faults->first;
  lua_setiuservalue(L, 1, 2);
  host->kept_faults = faults;
  host->group.on_fault = keep_fault;
  return 0;
}

/* server:take_faults(): a list of texts, and how many others were lost; nil if there are none. Also
 * after the end. */
static int take_faults(lua_State *L) {
  struct host *host = host_check(L, 1);
  struct kept_faults *faults = host->kept_faults;
  if (!faults || (!faults->first && faults->lost == 0)) return 0;
  lua_newtable(L);
  for (lua_Integer i = 1; faults->first; i++) {
    lua_pushlstring(L, faults->first->text, faults->first->len);
    lua_rawseti(L, -2, i);
    free(take_fault(faults));
  }
  lua_pushinteger(L, (lua_Integer)faults->lost);
  faults->lost = 0;
  return 2;
}

/* ---- Time ----------------------------------------------------------------------------------------------------------------- */

/* server:settle(): "idle", "busy" (it does not come to rest) or "stopped". */
static int settle(lua_State *L) {
  static const char *const words[] = {"idle", "busy", "stopped"};
  struct host *host = server_check_turning(L);
  door_open(host->group.door, L);
  bool idle = mw_server_settle(host->server);
  bool alive = mw_server_step(host->server);
  server_turned(L, host, alive);
  lua_pushstring(L, words[!alive ? 2 : idle ? 0 : 1]);
  return 1;
}

/* server:advance(seconds): without the steps that follow. */
static int advance(lua_State *L) {
  struct host *host = server_check_turning(L);
  lua_Number seconds = luaL_checknumber(L, 2);
  luaL_argcheck(L, seconds >= 0 && seconds <= 1e9, 2, "must be from 0 to 1e9 seconds");
  door_open(host->group.door, L);
  mw_server_advance(host->server, (uint64_t)(seconds * 1000 + 0.5));
  door_shut(host->group.door);
  return 0;
}

/* server:test_broker(): publishes, joins, and reads of history by clients wait, as for a broker. */
static int test_broker(lua_State *L) {
  int status = mw_server_test_broker(host_check_running(L, 1)->server);
  if (status < 0) return luaL_error(L, "%s", mw_status_text(status));
  return 0;
}

/* server:time(): seconds since 1970. */
static int server_time(lua_State *L) {
  lua_pushnumber(L, (lua_Number)mw_server_time(host_check_running(L, 1)->server) / 1000.0);
  return 1;
}

int testing_live(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)mw_live(luaL_checkstring(L, 1)));
  return 1;
}

/* ---- Connections ---------------------------------------------------------------------------------------------------------- */

struct lua_memory {
  struct mw_memory *memory; /* NULL: closed */
};

static struct lua_memory *memory_check(lua_State *L) { return luaL_checkudata(L, 1, memory_class); }

/* server:connect_memory(): a connection, or nil and why not. */
static int connect_memory(lua_State *L) {
  struct host *host = host_check_running(L, 1);
  struct lua_memory *self = handle_new(L, memory_class, sizeof *self, 0);
  int status = mw_connect_memory(host->server, &self->memory);
  if (status == 0) return 1;
  self->memory = NULL;
  lua_pushnil(L);
  lua_pushstring(L, mw_status_text(status));
  return 2;
}

/* memory:write(bytes): true, or nil and why not. */
static int memory_write(lua_State *L) {
  struct lua_memory *self = memory_check(L);
  struct mw_bytes bytes = bytes_check(L, 2);
  int status = self->memory ? mw_memory_write(self->memory, bytes.ptr, bytes.len) : MW_ECLOSED;
  lua_pushboolean(L, true);
  if (status == 0) return 1;
  lua_pushnil(L);
  lua_pushstring(L, mw_status_text(status));
  return 2;
}

/* memory:read(): what the server has written, or nil. */
static int memory_read(lua_State *L) {
  struct lua_memory *self = memory_check(L);
  char chunk[8192];
  size_t len = self->memory ? mw_memory_read(self->memory, chunk, sizeof chunk) : 0;
  if (len == 0) return 0;
  lua_pushlstring(L, chunk, len);
  return 1;
}

/* memory:ended(): the server writes nothing more, and all of it was read. */
static int memory_ended(lua_State *L) {
  struct lua_memory *self = memory_check(L);
  lua_pushboolean(L, !self->memory || mw_memory_ended(self->memory));
  return 1;
}

/* memory:close(): ends the connection, as the peer. */
static int memory_close(lua_State *L) {
  struct lua_memory *self = memory_check(L);
  mw_memory_close(self->memory);
  self->memory = NULL;
  return 0;
}

void testing_open(lua_State *L) {
  static const luaL_Reg of_faults[] = {{"__gc", close_faults}, {NULL, NULL}};
  static const luaL_Reg of_server[] = {
      {"keep_faults", keep_faults}, {"take_faults", take_faults},       {"settle", settle},           {"advance", advance},
      {"time", server_time},        {"connect_memory", connect_memory}, {"test_broker", test_broker}, {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__gc", memory_close}, {NULL, NULL}};
  static const luaL_Reg methods[] = {
      {"write", memory_write}, {"read", memory_read}, {"ended", memory_ended}, {"close", memory_close}, {NULL, NULL}};
  handle_class(L, memory_class, metamethods, methods);
  handle_class(L, faults_class, of_faults, NULL);
  luaL_getmetatable(L, host_class);
  lua_getfield(L, -1, "__index");
  luaL_setfuncs(L, of_server, 0);
  lua_pop(L, 2);
}
