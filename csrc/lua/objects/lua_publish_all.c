#include "lua/objects/lua_publish_all.h"

#include <stdio.h>
#include <stdlib.h>

#include "lua/base/handle.h"
#include "lua/base/wait.h"
#include "lua/objects/lua_client.h"
#include "lua/objects/lua_publish.h"

static const char batch_class[] = "moonwire.batch";

/* Places on the stack of publish_all. */
enum { AT_ITEMS = 2, AT_BLIND, AT_RESULTS, AT_BATCH };

struct batch;

/* One message whose outcome comes later. */
struct batch_item {
  struct batch *batch;
  lua_Integer number; /* its place in the results, from 1 */
  int status;
  char id[MW_ID_MAX];
};

/* Freed by its userdata, or, if that has gone, when the last outcome is known. */
struct batch {
  struct task_wait wait;
  bool is_dropped; /* the userdata has gone */
  bool is_blind;   /* nobody waits for the outcomes */
  size_t pending;
  size_t count, lost;
  struct batch_item items[];
};

struct batch_handle {
  struct batch *batch; /* NULL: none */
};

static int drop_batch(lua_State *L) {
  struct batch_handle *handle = luaL_checkudata(L, 1, batch_class);
  struct batch *batch = handle->batch;
  handle->batch = NULL;
  if (!batch) return 0;
  batch->is_dropped = true;
  if (batch->pending == 0) free(batch);
  return 0;
}

static void abandon(struct task_wait *wait) { wait->task = NULL; }

static void on_outcome(void *context, int status, const char *id) {
  struct batch_item *item = context;
  struct batch *batch = item->batch;
  item->status = status;
  snprintf(item->id, sizeof item->id, "%s", id);
  if (batch->is_blind && status < 0 && status != MW_ECLOSED) publish_log_lost("a channel of publish_all", status);
  if (--batch->pending > 0) return;
  if (batch->wait.task) {
    task_wake(batch->wait.task);
  } else if (batch->is_dropped) {
    free(batch);
  }
}

/* ---- Results -------------------------------------------------------------------------------------------------------------- */

/* Sets results[number] to { error = { code =, reason = } }. */
static void put_error(lua_State *L, lua_Integer number, const char *reason, const char *code) {
  lua_createtable(L, 0, 1);
  lua_createtable(L, 0, 2);
  lua_pushstring(L, code);
  lua_setfield(L, -2, "code");
  lua_pushstring(L, reason);
  lua_setfield(L, -2, "reason");
  lua_setfield(L, -2, "error");
  lua_rawseti(L, AT_RESULTS, number);
}

/* Sets results[number] to { id = }, or {}. */
static void put_id(lua_State *L, lua_Integer number, const char *id) {
  lua_createtable(L, 0, 1);
  if (id[0]) {
    lua_pushstring(L, id);
    lua_setfield(L, -2, "id");
  }
  lua_rawseti(L, AT_RESULTS, number);
}

static void put_outcome(lua_State *L, struct batch *batch, lua_Integer number, int status, const char *id,
                        const struct mw_error *error) {
  if (status >= 0) {
    put_id(L, number, id);
    return;
  }
  batch->lost++;
  put_error(L, number, publish_message(status, error), publish_code(status));
}

static int push_results(lua_State *L, const struct batch *batch) {
  lua_pushvalue(L, AT_RESULTS);
  lua_pushinteger(L, (lua_Integer)batch->lost);
  return 2;
}

static int finish_batch(lua_State *L, int lua_status, lua_KContext context) {
  (void)lua_status;
  struct batch *batch = (struct batch *)context;
  const char *cancelled = task_end_wait(&batch->wait, batch->pending == 0);
  if (batch->pending > 0) return publish_cancelled(L, cancelled);
  for (size_t i = 0; i < batch->count; i++) {
    const struct batch_item *item = &batch->items[i];
    struct mw_error error;
    snprintf(error.text, sizeof error.text, "%s", publish_late_text(item->status));
    put_outcome(L, batch, item->number, item->status, item->id, &error);
  }
  return push_results(L, batch);
}

/* ---- Publishing ----------------------------------------------------------------------------------------------------------- */

/* Pushes a field of the item at `index`, and returns whether it is there. */
static bool push_field(lua_State *L, int index, const char *name) { return lua_getfield(L, index, name) != LUA_TNIL; }

/* Reads the item at `index`. What it borrows stays on the stack. Pushes one value that owns the text
 * of its data. Returns false if JSON cannot hold the data: the value is then a message. */
static bool read_item(lua_State *L, int index, struct mw_publish *publish) {
  *publish = (struct mw_publish){0};
  luaL_checkstack(L, 16, "publish_all");
  push_field(L, index, "channel");
  publish->channel = bytes_check(L, -1);
  if (push_field(L, index, "key")) publish->key = bytes_check(L, -1);
  if (push_field(L, index, "except")) publish->except = client_at(L, -1, NULL);
  publish->is_volatile = push_field(L, index, "volatile") && lua_toboolean(L, -1);
  publish->is_final = push_field(L, index, "final") && lua_toboolean(L, -1);
  int content = lua_gettop(L) + 1;
  push_field(L, index, "event");
  push_field(L, index, "data");
  push_field(L, index, "binary");
  return publish_read_content(L, content, publish);
}

/* Publishes item `number`. Returns 0, a status that is misuse, with a message at the top, or
 * anything else that is noted in the results. */
static int publish_item(lua_State *L, struct host *host, struct batch *batch, lua_Integer number) {
  struct mw_publish publish;
  char id[MW_ID_MAX] = "";
  struct mw_error error = {""};
  lua_rawgeti(L, AT_ITEMS, number);
  if (!read_item(L, lua_gettop(L), &publish)) return MW_EINVAL;
  struct batch_item *item = &batch->items[batch->count];
  *item = (struct batch_item){.batch = batch, .number = number};
  publish.on_done = on_outcome;
  publish.context = item;
  int status = mw_publish(host->server, &publish, id, &error);
  publish_free_content(L, &publish);
  if (status == MW_PENDING) {
    batch->pending++;
    batch->count++;
    if (batch->is_blind) put_id(L, number, "");
    return 0;
  }
  if (status == MW_EINVAL || status == MW_ENOTFOUND) {
    lua_pushstring(L, error.text);
    return status;
  }
  put_outcome(L, batch, number, status, id, &error);
  return 0;
}

static struct batch *new_batch(lua_State *L, size_t count) {
  struct batch_handle *handle = handle_new(L, batch_class, sizeof *handle, 0);
  handle->batch = calloc(1, sizeof *handle->batch + count * sizeof *handle->batch->items);
  if (handle->batch) handle->batch->wait.abandon = abandon;
  return handle->batch;
}

int publish_all(lua_State *L) {
  struct host *host = host_check_running(L, 1);
  luaL_checktype(L, AT_ITEMS, LUA_TTABLE);
  lua_settop(L, AT_BLIND);
  bool is_blind = lua_toboolean(L, AT_BLIND);
  lua_Integer count = (lua_Integer)lua_rawlen(L, AT_ITEMS);
  lua_createtable(L, (int)count, 0);
  if (!is_blind && publish_cannot_wait(L, host)) return failure_push(L, PUBLISH_OBSTACLE PUBLISH_ADVICE, publish_code(MW_EINVAL));
  if (!task_can_wait(L)) is_blind = true;
  struct batch *batch = new_batch(L, (size_t)count);
  if (!batch) return luaL_error(L, "not enough memory");
  batch->is_blind = is_blind;
  for (lua_Integer number = 1; number <= count; number++) {
    int status = publish_item(L, host, batch, number);
    if (status < 0) {
      const char *message = lua_pushfstring(L, "item %d: %s", (int)number, lua_tostring(L, -1));
      return failure_push(L, message, publish_code(MW_EINVAL));
    }
    lua_settop(L, AT_BATCH);
  }
  if (batch->pending == 0 || is_blind) return push_results(L, batch);
  return task_wait(L, &batch->wait, finish_batch);
}

void publish_all_open(lua_State *L) {
  static const luaL_Reg metamethods[] = {{"__gc", drop_batch}, {NULL, NULL}};
  handle_class(L, batch_class, metamethods, NULL);
}
