/* The app's calls that are about a server, each handed to the room that it belongs to. */
#include "script/client_calls.h"
#include "script/presence.h"
#include "server/server.h"

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
