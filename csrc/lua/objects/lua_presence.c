#include "lua/objects/lua_presence.h"

#include <stdlib.h>
#include <string.h>

#include "lua/base/json.h"
#include "lua/base/late.h"
#include "lua/objects/lua_publish.h"

#define ADVICE                                                                                                                   \
  "the broker has the members, and this code cannot wait for it: it is not in a handler, or inside a function that "             \
  "cannot be suspended; use app:spawn"

/* ---- What this server knows ------------------------------------------------------------------- */

struct taking {
  struct host *host;
  struct mw_bytes channel;
  struct mw_presence_query query;
};

/* The table of members, and the last one. */
struct putting {
  lua_State *L;
  struct mw_bytes last;
};

/* Adds a member to the table at the top. */
static void put_member(void *context, const struct mw_member *member) {
  struct putting *putting = context;
  lua_State *L = putting->L;
  putting->last = member->user_id;
  bytes_push(L, member->user_id);
  lua_createtable(L, 0, 2);
  /* An info of null is an absent field. */
  if (member->info.len != 4 || memcmp(member->info.ptr, "null", 4) != 0) {
    json_decode(L, member->info);
    lua_setfield(L, -2, "info");
  }
  lua_pushinteger(L, (lua_Integer)member->connections);
  lua_setfield(L, -2, "connections");
  lua_rawset(L, -3);
}

static int take_members(lua_State *L) {
  const struct taking *taking = lua_touserdata(L, 1);
  struct putting putting = {.L = L};
  bool more;
  lua_newtable(L);
  size_t members = mw_channel_presence(taking->host->server, taking->channel.ptr, taking->channel.len, &taking->query, put_member,
                                       &putting, &more);
  lua_pushinteger(L, (lua_Integer)members);
  if (more) {
    bytes_push(L, putting.last);
  } else {
    lua_pushnil(L);
  }
  return 3;
}

static int read_now(lua_State *L) {
  struct taking taking = {.host = host_check_running(L, 1), .channel = bytes_check(L, 2)};
  if (!lua_isnoneornil(L, 3)) taking.query.after = bytes_check(L, 3);
  taking.query.limit = (size_t)luaL_optinteger(L, 4, 0);
  lua_pushcfunction(L, take_members);
  lua_pushlightuserdata(L, &taking);
  call_uncollected(L, 1, 3);
  return 3;
}

static int count_now(lua_State *L) {
  struct host *host = host_check_running(L, 1);
  struct mw_bytes channel = bytes_check(L, 2);
  lua_pushinteger(L, (lua_Integer)mw_channel_presence(host->server, channel.ptr, channel.len, NULL, NULL, NULL, NULL));
  return 1;
}

/* ---- What a broker has ------------------------------------------------------------------------ */

struct fetching {
  struct late late;
  int (*read)(lua_State *L);
};

static void on_fetched(void *context, int status) { late_tell(context, status); }

static int finish_fetched(lua_State *L, int lua_status, lua_KContext context) {
  (void)lua_status;
  struct fetching *fetching = (struct fetching *)context;
  int (*read)(lua_State *) = fetching->read;
  const char *cancelled = task_end_wait(&fetching->late.wait, fetching->late.is_known);
  if (!fetching->late.is_known) return failure_push(L, cancelled, cancelled);
  int status = fetching->late.status;
  free(fetching);
  return status < 0 ? publish_outcome(L, status, &(struct mw_error){""}) : read(L);
}

static int fetch_and_read(lua_State *L, bool counts_only, int (*read)(lua_State *L)) {
  struct host *host = host_check_running(L, 1);
  struct mw_bytes channel = bytes_check(L, 2);
  if (mw_channel_fetch_presence(host->server, channel.ptr, channel.len, counts_only, NULL, NULL) == 0) return read(L);
  if (publish_cannot_wait(L, host)) return failure_push(L, ADVICE, publish_code(MW_EINVAL));
  if (!task_can_wait(L)) return failure_push(L, "closed", publish_code(MW_ECLOSED)); /* cancelled */
  struct fetching *fetching = calloc(1, sizeof *fetching);
  if (!fetching) return luaL_error(L, "not enough memory");
  late_init(&fetching->late);
  fetching->read = read;
  int status = mw_channel_fetch_presence(host->server, channel.ptr, channel.len, counts_only, on_fetched, fetching);
  if (status == MW_PENDING) return task_wait(L, &fetching->late.wait, finish_fetched);
  free(fetching);
  return status < 0 ? publish_outcome(L, status, &(struct mw_error){""}) : read(L);
}

int presence_read(lua_State *L) {
  lua_settop(L, 4);
  return fetch_and_read(L, false, read_now);
}

int presence_count(lua_State *L) {
  struct host *host = host_check_running(L, 1);
  struct mw_bytes channel = bytes_check(L, 2);
  lua_settop(L, 2);
  if (mw_server_has_broker(host->server) && mw_channel_has_presence(host->server, channel.ptr, channel.len))
    return fetch_and_read(L, true, count_now);
  lua_pushinteger(L, (lua_Integer)mw_channel_count(host->server, channel.ptr, channel.len, NULL));
  return 1;
}
