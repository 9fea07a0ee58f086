#include "lua/objects/lua_lease.h"

#include <stdlib.h>

#include "lua/base/late.h"
#include "lua/objects/lua_publish.h"

/* What was asked for. The task that waits may have ended. */
struct leased {
  struct late late;
  uint64_t left_ms;
};

static void on_leased(void *context, int status, uint64_t left_ms) {
  struct leased *leased = context;
  leased->left_ms = left_ms;
  late_tell(&leased->late, status);
}

static int push_leased(lua_State *L, int status, uint64_t left_ms) {
  if (status < 0) return publish_outcome(L, status, &(struct mw_error){""});
  lua_pushboolean(L, left_ms == 0);
  lua_pushnumber(L, (lua_Number)left_ms / 1000);
  return 2;
}

static int finish_leased(lua_State *L, int lua_status, lua_KContext context) {
  (void)lua_status;
  struct leased *leased = (struct leased *)context;
  const char *cancelled = task_end_wait(&leased->late.wait, leased->late.is_known);
  if (!leased->late.is_known) return publish_cancelled(L, cancelled);
  struct leased known = *leased;
  free(leased);
  return push_leased(L, known.late.status, known.left_ms);
}

static uint64_t check_ms(lua_State *L, int index) {
  lua_Number seconds = luaL_checknumber(L, index);
  return seconds > 0 ? (uint64_t)(seconds * 1000 + 0.5) : 0;
}

static struct mw_lease check_lease(lua_State *L, enum mw_lease_step step) {
  return (struct mw_lease){
      .name = bytes_check(L, 2), .holder = (uint64_t)luaL_checkinteger(L, 3), .step = step, .ms = check_ms(L, 4)};
}

static int ask(lua_State *L, enum mw_lease_step step) {
  struct host *host = host_check_running(L, 1);
  struct mw_lease lease = check_lease(L, step);
  if (!task_can_wait(L)) return publish_outcome(L, MW_ECLOSED, &(struct mw_error){""});
  struct leased *leased = calloc(1, sizeof *leased);
  if (!leased) return luaL_error(L, "not enough memory");
  late_init(&leased->late);
  int status = mw_server_lease(host->server, &lease, on_leased, leased);
  if (status == MW_PENDING) return task_wait(L, &leased->late.wait, finish_leased);
  free(leased);
  return push_leased(L, status, 0);
}

/* server:take_lease(name, holder, seconds): waits, and returns true; false and the seconds for which another
 * holder has it; or as publish_outcome. So does the next one. Only in a task that may wait. */
static int take_lease(lua_State *L) { return ask(L, MW_LEASE_TAKE); }
static int keep_lease(lua_State *L) { return ask(L, MW_LEASE_KEEP); }

/* server:end_lease(name, holder, seconds): no holder can take it for so long. Does not wait. */
static int end_lease(lua_State *L) {
  const struct host *host = host_check(L, 1);
  struct mw_lease lease = check_lease(L, MW_LEASE_END);
  if (host->server) (void)mw_server_lease(host->server, &lease, NULL, NULL);
  return 0;
}

/* server:lease_holder(): another number each time. */
static int lease_holder(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)mw_server_lease_holder(host_check_running(L, 1)->server));
  return 1;
}

const luaL_Reg lease_methods[] = {{"lease_holder", lease_holder},
                                  {"take_lease", take_lease},
                                  {"keep_lease", keep_lease},
                                  {"end_lease", end_lease},
                                  {NULL, NULL}};
