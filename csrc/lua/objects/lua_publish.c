#include "lua/objects/lua_publish.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lua/base/json.h"
#include "lua/base/late.h"
#include "lua/base/wait.h"
#include "lua/objects/lua_client.h"

const char *publish_code(int status) {
  switch (status) {
    case MW_EINVAL:
    case MW_ENOTFOUND: return "misuse";
    case MW_ETOOLARGE: return "too_large";
    case MW_ECLOSED: return "closed";
    case MW_EBROKER_UNREPLICATED: return "unreplicated";
    default: return "unavailable";
  }
}

const char *publish_message(int status, const struct mw_error *error) {
  if (status == MW_ECLOSED) return "closed";
  return error->text[0] != '\0' ? error->text : mw_status_text(status);
}

int publish_outcome(lua_State *L, int status, const struct mw_error *error) {
  if (status != 0) return failure_push(L, publish_message(status, error), publish_code(status));
  lua_pushboolean(L, true);
  return 1;
}

int publish_cancelled(lua_State *L, const char *cancelled) {
  return failure_push(L, cancelled, publish_code(strcmp(cancelled, "closed") == 0 ? MW_ECLOSED : MW_EUNAVAILABLE));
}

bool publish_read_content(lua_State *L, int index, struct mw_publish *out) {
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

void publish_free_content(lua_State *L, const struct mw_publish *publish) {
  if (!publish->is_binary) json_free(L, -1);
}

static int push_misuse(lua_State *L) {
  lua_pushnil(L);
  lua_insert(L, -2);
  lua_pushstring(L, publish_code(MW_EINVAL));
  return 3;
}

/* ---- Publishes whose outcome comes later ---------------------------------------------------------------------------------- */

struct published {
  struct late late;
  char id[MW_ID_MAX];
};

const char *publish_late_text(int status) {
  return status == MW_ETOOLARGE ? "the message is larger than the broker accepts" : mw_status_text(status);
}

void publish_log_lost(const char *channel, int status) {
  static const char what[] = "publish without waiting: ";
  char text[400];
  int len = snprintf(text, sizeof text, "%.255s: %s", channel, publish_late_text(status));
  struct mw_log_error line = {
      .level = MW_LOG_WARNING, .place = {what, sizeof what - 1}, .what = {what, sizeof what - 1}, .text = {text, (size_t)len}};
  mw_log_error(&line);
}

bool publish_cannot_wait(lua_State *L, const struct host *host) {
  return mw_server_has_broker(host->server) && !task_can_wait(L) && !task_is_cancelled(L);
}

/* A publish that nobody waits for. */
struct blind {
  size_t len;
  char channel[];
};

static void on_blind(void *context, int status, const char *id) {
  struct blind *blind = context;
  (void)id;
  if (status < 0 && status != MW_ECLOSED) publish_log_lost(blind->channel, status);
  free(blind);
}

static void on_published(void *context, int status, const char *id) {
  struct published *published = context;
  snprintf(published->id, sizeof published->id, "%s", id);
  late_tell(&published->late, status);
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
  const char *cancelled = task_end_wait(&published->late.wait, published->late.is_known);
  if (!published->late.is_known) return publish_cancelled(L, cancelled);
  struct published known = *published;
  free(published);
  snprintf(error.text, sizeof error.text, "%s", publish_late_text(known.late.status));
  return push_published(L, known.late.status, known.id, &error);
}

/* Notes where the outcome goes if it comes later, in a handler that waits. */
static bool prepare_published(struct host *host, struct mw_publish *publish) {
  if (!host->spare_published) host->spare_published = calloc(1, sizeof *host->spare_published);
  if (!host->spare_published) return false;
  late_init(&host->spare_published->late);
  publish->on_done = on_published;
  publish->context = host->spare_published;
  return true;
}

/* Likewise, where nobody waits. */
static bool prepare_blind(struct mw_publish *publish) {
  struct blind *blind = malloc(sizeof *blind + publish->channel.len + 1);
  if (!blind) return false;
  memcpy(blind->channel, publish->channel.ptr, publish->channel.len);
  blind->channel[publish->channel.len] = '\0';
  publish->on_done = on_blind;
  publish->context = blind;
  return true;
}

static int publish_through_broker(lua_State *L, struct host *host, struct mw_publish *publish, bool is_blind) {
  char id[MW_ID_MAX] = "";
  struct mw_error error = {""};
  if (!is_blind && publish_cannot_wait(L, host)) return failure_push(L, PUBLISH_OBSTACLE PUBLISH_ADVICE, publish_code(MW_EINVAL));
  if (!is_blind && !task_can_wait(L)) is_blind = true;
  if (!publish_read_content(L, 3, publish)) return push_misuse(L);
  bool is_prepared = is_blind ? prepare_blind(publish) : prepare_published(host, publish);
  int status = is_prepared ? mw_publish(host->server, publish, id, &error) : MW_ENOMEM;
  publish_free_content(L, publish);
  if (is_blind && is_prepared && status != MW_PENDING) free(publish->context);
  if (status != MW_PENDING) return push_published(L, status, id, &error);
  if (is_blind) {
    lua_pushboolean(L, true);
    return 1;
  }
  struct published *published = host->spare_published;
  host->spare_published = NULL; /* on_published has it now */
  return task_wait(L, &published->late.wait, finish_published);
}

int publish_to_channel(lua_State *L) {
  struct host *host = host_check_running(L, 1);
  lua_settop(L, 10);
  struct mw_publish publish = {.channel = bytes_check(L, 2), .is_volatile = lua_toboolean(L, 6), .is_final = lua_toboolean(L, 9)};
  if (!lua_isnil(L, 7)) publish.except = client_at(L, 7, NULL);
  if (!lua_isnil(L, 8)) publish.key = bytes_check(L, 8);
  bool is_blind = lua_toboolean(L, 10);
  if (!publish.is_volatile && mw_server_has_broker(host->server)) return publish_through_broker(L, host, &publish, is_blind);
  if (!publish_read_content(L, 3, &publish)) return push_misuse(L);
  char id[MW_ID_MAX] = "";
  struct mw_error error = {""};
  int status = mw_publish(host->server, &publish, id, &error);
  publish_free_content(L, &publish);
  return push_published(L, status == MW_PENDING ? 0 : status, id, &error);
}

int publish_to_client(lua_State *L) {
  struct mw_server *server;
  struct mw_publish publish = {.is_volatile = true};
  lua_settop(L, 5);
  struct mw_client *client = client_at(L, 1, &server);
  if (!lua_isnil(L, 2)) publish.channel = bytes_check(L, 2);
  if (!publish_read_content(L, 3, &publish)) return push_misuse(L);
  struct mw_error error = {""};
  int status = server ? mw_client_send(server, client, &publish, &error) : MW_ECLOSED;
  publish_free_content(L, &publish);
  return publish_outcome(L, status, &error);
}
