#include "lua/objects/lua_publish.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lua/base/json.h"
#include "lua/base/wait.h"
#include "lua/objects/lua_client.h"

static const char *failure_code(int status) {
  switch (status) {
    case MW_EINVAL:
    case MW_ENOTFOUND: return "misuse";
    case MW_ETOOLARGE: return "too_large";
    case MW_ECLOSED: return "closed";
    default: return "unavailable";
  }
}

int publish_outcome(lua_State *L, int status, const struct mw_error *error) {
  if (status == 0) {
    lua_pushboolean(L, true);
    return 1;
  }
  bool says_more = status != MW_ECLOSED && error->text[0] != '\0';
  const char *message = status == MW_ECLOSED ? "closed" : says_more ? error->text : mw_status_text(status);
  return failure_push(L, message, failure_code(status));
}

/* Reads event, data, and whether the data is bytes, from `index` on. Pushes one value that owns the
 * text. Returns false if JSON cannot hold the data: the value is then a message. */
static bool read_content(lua_State *L, int index, struct mw_publish *out) {
  if (!lua_isnil(L, index)) out->event = bytes_check(L, index);
  out->is_binary = lua_toboolean(L, index + 2);
  if (out->is_binary) {
    out->data = bytes_check(L, index + 1);
    lua_pushvalue(L, index + 1);
    return true;
  }
  out->data = json_encode(L, index + 1, "data");
  return out->data.ptr != NULL;
}

static void free_content(lua_State *L, const struct mw_publish *publish) {
  if (!publish->is_binary) json_free(L, -1);
}

static int push_misuse(lua_State *L) {
  lua_pushnil(L);
  lua_insert(L, -2);
  lua_pushstring(L, failure_code(MW_EINVAL));
  return 3;
}

/* ---- Publishes whose outcome comes later ---------------------------------------------------------------------------------- */

/* Freed by the task that waits for it or, if that has ended, when the outcome is known. */
struct published {
  struct task_wait wait;
  bool is_known;
  int status;
  char id[MW_ID_MAX];
};

static void abandon(struct task_wait *wait) {
  struct published *published = (struct published *)wait;
  wait->task = NULL;
  if (published->is_known) free(published);
}

static void on_published(void *context, int status, const char *id) {
  struct published *published = context;
  published->is_known = true;
  published->status = status;
  snprintf(published->id, sizeof published->id, "%s", id);
  if (published->wait.task) {
    task_wake(published->wait.task);
  } else {
    free(published);
  }
}

static int push_published(lua_State *L, int status, const char *id, const struct mw_error *error) {
  if (status != 0 || !id[0]) return publish_outcome(L, status, error);
  lua_pushstring(L, id);
  return 1;
}

static int finish_published(lua_State *L, int lua_status, lua_KContext context) {
  (void)lua_status;
  struct published *published = (struct published *)context;
  struct mw_error error = {""};
  const char *cancelled = task_end_wait(&published->wait, published->is_known);
  if (published->is_known) {
    struct published known = *published;
    free(published);
    return push_published(L, known.status, known.id, &error);
  }
  return failure_push(L, cancelled, failure_code(strcmp(cancelled, "closed") == 0 ? MW_ECLOSED : MW_EUNAVAILABLE));
}

/* Notes where the outcome goes if it comes later; NULL: nowhere, because nothing can wait here. */
static struct published *prepare_published(lua_State *L, struct host *host, struct mw_publish *publish) {
  if (!task_can_wait(L)) return NULL;
  if (!host->spare_published) host->spare_published = calloc(1, sizeof *host->spare_published);
  if (!host->spare_published) return NULL;
  host->spare_published->wait.abandon = abandon;
  publish->on_done = on_published;
  publish->context = host->spare_published;
  return host->spare_published;
}

int publish_to_channel(lua_State *L) {
  struct host *host = host_check_running(L, 1);
  lua_settop(L, 9);
  struct mw_publish publish = {.channel = bytes_check(L, 2), .is_volatile = lua_toboolean(L, 6), .is_final = lua_toboolean(L, 9)};
  if (!lua_isnil(L, 7)) publish.except = client_at(L, 7, NULL);
  if (!lua_isnil(L, 8)) publish.key = bytes_check(L, 8);
  if (!read_content(L, 3, &publish)) return push_misuse(L);
  char id[MW_ID_MAX] = "";
  struct mw_error error = {""};
  struct published *published = prepare_published(L, host, &publish);
  int status = mw_publish(host->server, &publish, id, &error);
  free_content(L, &publish);
  if (status != MW_PENDING) return push_published(L, status, id, &error);
  if (!published) {
    lua_pushboolean(L, true);
    return 1;
  }
  host->spare_published = NULL; /* on_published has it now */
  return task_wait(L, &published->wait, finish_published);
}

int publish_to_client(lua_State *L) {
  struct mw_server *server;
  struct mw_publish publish = {.is_volatile = true};
  lua_settop(L, 5);
  struct mw_client *client = client_at(L, 1, &server);
  if (!lua_isnil(L, 2)) publish.channel = bytes_check(L, 2);
  if (!read_content(L, 3, &publish)) return push_misuse(L);
  struct mw_error error = {""};
  int status = server ? mw_client_send(server, client, &publish, &error) : MW_ECLOSED;
  free_content(L, &publish);
  return publish_outcome(L, status, &error);
}
