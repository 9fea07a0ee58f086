#include "lua/objects/lua_history.h"

#include <stdlib.h>

#include "lua/base/late.h"
#include "lua/objects/lua_publish.h"

struct reading {
  lua_State *L;
  struct host *host;
  struct mw_bytes channel;
  struct mw_history_query query;
  lua_Integer count;
};

static void set_bytes(lua_State *L, const char *name, struct mw_bytes bytes) {
  bytes_push(L, bytes);
  lua_setfield(L, -2, name);
}

/* Appends a message to the list at the top. */
static void put_kept(void *context, const struct mw_kept *kept) {
  struct reading *reading = context;
  lua_State *L = reading->L;
  lua_createtable(L, 0, 6);
  set_bytes(L, "id", kept->id);
  set_bytes(L, "event", kept->event);
  set_bytes(L, kept->is_binary ? "binary" : "raw", kept->data);
  if (kept->from.len > 0) set_bytes(L, "from", kept->from);
  if (kept->key.len > 0) set_bytes(L, "key", kept->key);
  lua_pushnumber(L, (lua_Number)kept->age_ms / 1000);
  lua_setfield(L, -2, "age");
  lua_rawseti(L, -2, ++reading->count);
}

static int read_all(lua_State *L) {
  struct reading *reading = lua_touserdata(L, 1);
  bool more = false;
  struct mw_error error = {""};
  reading->L = L;
  lua_newtable(L);
  int status = mw_channel_history(reading->host->server, reading->channel.ptr, reading->channel.len, &reading->query, put_kept,
                                  reading, &more, &error);
  if (status == 0) {
    lua_pushboolean(L, more);
    lua_pushnil(L);
  } else {
    lua_pushnil(L);
    lua_pushstring(L, error.text);
    lua_pushstring(L, publish_code(status));
  }
  return 3;
}

static struct mw_history_query check_query(lua_State *L) {
  return (struct mw_history_query){
      .since = luaL_optstring(L, 3, NULL), .before = luaL_optstring(L, 4, NULL), .limit = (size_t)luaL_optinteger(L, 5, 0)};
}

static int read_now(lua_State *L, struct host *host) {
  struct reading reading = {.host = host, .channel = bytes_check(L, 2), .query = check_query(L)};
  lua_pushcfunction(L, read_all);
  lua_pushlightuserdata(L, &reading);
  call_uncollected(L, 1, 3);
  return 3;
}

/* ---- What a broker has ---------------------------------------------------------------------------------------------------- */

static void on_fetched(void *context, int status) { late_tell(context, status); }

static int finish_fetched(lua_State *L, int lua_status, lua_KContext context) {
  (void)lua_status;
  struct late *fetched = (struct late *)context;
  const char *cancelled = task_end_wait(&fetched->wait, fetched->is_known);
  if (!fetched->is_known) return failure_push(L, cancelled, cancelled);
  int status = fetched->status;
  free(fetched);
  if (status < 0) return publish_outcome(L, status, &(struct mw_error){""});
  return read_now(L, host_check_running(L, 1));
}

static int fetch_and_read(lua_State *L, struct host *host) {
  struct mw_bytes channel = bytes_check(L, 2);
  struct mw_history_query query = check_query(L);
  if (publish_cannot_wait(L, host)) return failure_push(L, PUBLISH_OBSTACLE "use app:spawn", publish_code(MW_EINVAL));
  if (!task_can_wait(L)) return failure_push(L, "closed", publish_code(MW_ECLOSED)); /* cancelled */
  struct late *fetched = calloc(1, sizeof *fetched);
  if (!fetched) return luaL_error(L, "not enough memory");
  late_init(fetched);
  int status = mw_channel_fetch(host->server, channel.ptr, channel.len, &query, on_fetched, fetched);
  if (status == MW_PENDING) return task_wait(L, &fetched->wait, finish_fetched);
  free(fetched);
  return status < 0 ? publish_outcome(L, status, &(struct mw_error){""}) : read_now(L, host);
}

int history_read(lua_State *L) {
  struct host *host = host_check_running(L, 1);
  lua_settop(L, 5);
  return mw_server_has_broker(host->server) ? fetch_and_read(L, host) : read_now(L, host);
}
