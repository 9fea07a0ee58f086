/* The app's calls that are about a server, each handed to the room that it belongs to. */

#include "auth/token_claims.h"
#include "base/error.h"
#include "base/memory.h"
#include "codec/envelope.h"
#include "codec/json_scan.h"
#include "script/client_calls.h"
#include "script/presence/presence.h"
#include "server/broker/broker_commands.h"
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

bool mw_server_has_broker(const struct mw_server *server) { return server->app.orderer->may_wait; }

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

size_t mw_server_close_user(struct mw_server *server, const char *user_id, size_t user_id_len, const char *reason) {
  tickets_drop_user(&server->script.tickets, bytes_of(user_id, user_id_len));
  if (server->broker) (void)broker_commands_close_user(server->broker, bytes_of(user_id, user_id_len), bytes_string(reason));
  return client_call_close_user(&server->app, bytes_of(user_id, user_id_len), reason);
}

int mw_server_send_user(struct mw_server *server, const char *user_id, size_t user_id_len, const struct mw_publish *push,
                        size_t *count, struct mw_error *error) {
  struct bytes user = bytes_of(user_id, user_id_len);
  struct message_parts parts;
  int status = client_call_read(&server->app, push, &parts, error);
  if (status < 0) return status;
  if (mw_server_has_broker(server) && parts.data.len > MW_SEND_USER_MAX)
    return error_set(error, MW_ETOOLARGE, "the data is larger than 64 KiB, the maximum with a broker");
  struct message *message = message_new(NULL, &parts);
  if (!message) return error_set(error, MW_ENOMEM, "out of memory");
  if (server->broker) status = broker_commands_send_user(server->broker, user, &parts);
  if (status == MW_EUNAVAILABLE) status = error_set(error, status, "too many messages wait for the broker");
  if (status == MW_ENOMEM || status == MW_ECLOSED) status = error_set(error, status, "%s", mw_status_text(status));
  if (status == MW_ETOOLARGE) status = error_set(error, status, "the id of the user is too long");
  size_t sent = status == 0 ? client_call_send_user(&server->app, user, message) : 0;
  if (count) *count = sent;
  message_unref(message);
  return status;
}

static bool has_kind(struct mw_server *server, struct bytes channel) {
  struct mw_config *config = app_hold_config(&server->app);
  bool has = config_kind(config, channel) != NULL;
  mw_config_unref(config);
  return has;
}

int mw_server_kick_user(struct mw_server *server, const char *user_id, size_t user_id_len, const char *channel,
                        size_t channel_len, const char *code, const char *reason) {
  struct bytes user = bytes_of(user_id, user_id_len), name = bytes_of(channel, channel_len);
  if (!code || !code[0]) code = "kicked";
  if (!reason) reason = "";
  if (channel_name_fault(name)) return MW_EINVAL;
  if (!has_kind(server, name)) return MW_ENOTFOUND;
  int status =
      server->broker ? broker_commands_kick_user(server->broker, user, name, bytes_string(code), bytes_string(reason)) : 0;
  return status < 0 ? status : client_call_kick_user(&server->app, user, name, code, reason);
}

/* ---- Leases ---------------------------------------------------------------------------------- */

uint64_t mw_server_lease_holder(struct mw_server *server) { return ++server->lease_holder; }

int mw_server_lease(struct mw_server *server, const struct mw_lease *lease,
                    void (*on_done)(void *context, int status, uint64_t left_ms), void *context) {
  if (lease->step == MW_LEASE_TAKE && app_stopping(&server->app)) return MW_ECLOSED;
  if (!server->broker) return 0;
  if (!server->broker->broker) return MW_ECLOSED;
  struct broker_lease wanted = {.name = bytes_of(lease->name.ptr, lease->name.len),
                                .holder = lease->holder,
                                .ms = lease->ms,
                                .is_ended = lease->step == MW_LEASE_END};
  int status = broker_lease(server->broker->broker, &wanted, on_done, context);
  return status == 0 ? MW_PENDING : status;
}

/* ---- Tickets --------------------------------------------------------------------------------- */

static int make_ticket(struct mw_server *server, const struct mw_config_options *options, struct bytes user, uint64_t valid_ms,
                       char text[MW_TICKET_LEN], struct mw_error *error) {
  struct json_value value;
  if (!options->authenticate) return error_set(error, MW_EINVAL, "a ticket requires an app that authenticates");
  if (valid_ms == 0 || valid_ms > TICKET_MS_MAX) return error_set(error, MW_EINVAL, "a ticket is valid for at most an hour");
  if (!json_scan(user, &value, NULL) || value.type != JSON_OBJECT)
    return error_set(error, MW_EINVAL, "the user of a ticket must be a JSON object");
  if (user.len > options->limits.message_size)
    return error_set(error, MW_ETOOLARGE, "the user of a ticket is larger than limits.message_size");
  struct ticket ticket = {.user = blob_new(value.raw)};
  if (options->token) ticket.expires_ms = token_claims_expiry(value.raw);
  int status =
      ticket.user ? tickets_make(&server->script.tickets, &ticket, server->loop.clock.now_ms + valid_ms, text) : MW_ENOMEM;
  blob_unref(ticket.user);
  if (status == MW_EUNAVAILABLE) return error_set(error, status, "there are too many unused tickets (100000)");
  return status < 0 ? error_set(error, status, "%s", mw_status_text(status)) : 0;
}

int mw_server_ticket(struct mw_server *server, const char *user, size_t user_len, uint64_t valid_ms, char text[MW_TICKET_LEN],
                     struct mw_error *error) {
  struct mw_config *config = app_hold_config(&server->app);
  int status = make_ticket(server, &config->options, bytes_of(user, user_len), valid_ms, text, error);
  mw_config_unref(config);
  return status;
}
