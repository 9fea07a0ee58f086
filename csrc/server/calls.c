/* The app's calls that are about a server, each handed to the room that it belongs to. */
#include "base/memory.h"
#include "script/client_calls.h"
#include "script/presence.h"
#include "server/server.h"

/* ---- Publishing ------------------------------------------------------------------------------ */

struct host_publish {
  struct completion completion;
  struct app *app;
  void (*on_done)(void *context, int status, const char *id);
  void *context;
};

static void on_published(struct completion *completion, int status) {
  struct host_publish *call = container_of(completion, struct host_publish, completion);
  order_end_waiting(call->app);
  if (call->on_done) call->on_done(call->context, status, status == 0 ? completion->id : "");
  memory_free(call);
}

static struct completion *keep_publish(struct completion *completion) {
  struct host_publish *call = container_of(completion, struct host_publish, completion);
  struct host_publish *kept = memory_alloc(sizeof *kept);
  if (kept && order_begin_waiting(call->app)) {
    *kept = *call;
    return &kept->completion;
  }
  memory_free(kept);
  return NULL;
}

int mw_publish(struct mw_server *server, const struct mw_publish *publish, char id[MW_ID_MAX], struct mw_error *error) {
  struct host_publish call = {.completion = {.keep = keep_publish, .on_done = on_published},
                              .app = &server->app,
                              .on_done = publish->on_done,
                              .context = publish->context};
  int status = order_publish(&server->app, publish, &call.completion, error);
  if (id) memcpy(id, status == 0 ? call.completion.id : "", status == 0 ? sizeof call.completion.id : 1);
  return status;
}

/* ---- Members and clients --------------------------------------------------------------------- */

size_t mw_channel_presence(struct mw_server *server, const char *name, size_t name_len, const struct mw_presence_query *query,
                           void (*on_member)(void *context, const struct mw_member *member), void *context, bool *more) {
  return presence_list(&server->script, bytes_of(name, name_len), query, on_member, context, more);
}

int mw_client_send(struct mw_server *server, struct mw_client *client, const struct mw_publish *push, struct mw_error *error) {
  return client_call_send(&server->app, client, push, error);
}

int mw_client_close(struct mw_server *server, struct mw_client *client, int code, const char *reason) {
  return client_call_close(&server->app, client, code, reason);
}

int mw_client_subscribe(struct mw_server *server, struct mw_client *client, const char *channel, size_t channel_len) {
  return client_call_subscribe(&server->app, client, bytes_of(channel, channel_len));
}

int mw_client_unsubscribe(struct mw_server *server, struct mw_client *client, const char *channel, size_t channel_len,
                          const char *code, const char *reason) {
  return client_call_unsubscribe(&server->app, client, bytes_of(channel, channel_len), code ? code : "unsubscribed",
                                 reason ? reason : "");
}

struct mw_client *mw_client_find(struct mw_server *server, const char *id, size_t id_len) {
  return registry_find(&server->app.registry, bytes_of(id, id_len));
}

struct mw_client *mw_client_next(struct mw_server *server, struct mw_client *previous) {
  return registry_next(&server->app.registry, previous);
}
