#include "script/client_calls.h"

#include <stdio.h>

#include "app/command.h"
#include "base/error.h"
#include "codec/envelope.h"
#include "codec/ws/ws_frame.h"

int client_call_read(struct app *app, const struct mw_publish *push, struct message_parts *parts, struct mw_error *error) {
  struct mw_config *config = app_hold_config(app);
  int status = order_read_parts(app, config, push, parts, error);
  mw_config_unref(config);
  if (status == 0 && parts->channel.len > 0 && channel_name_fault(parts->channel))
    return error_set(error, MW_EINVAL, "%s", channel_name_fault(parts->channel));
  return status;
}

int client_call_send(struct app *app, struct mw_client *client, const struct mw_publish *push, struct mw_error *error) {
  struct message_parts parts;
  int status = client_call_read(app, push, &parts, error);
  if (status < 0) return status;
  struct command *command = command_new(COMMAND_SEND, client);
  if (!command) return error_set(error, MW_ENOMEM, "out of memory");
  command->message = message_new(NULL, &parts);
  if (!command->message) {
    command_free(command);
    return error_set(error, MW_ENOMEM, "out of memory");
  }
  status = command_post(app, command);
  return status < 0 ? error_set(error, status, "%s", mw_status_text(status)) : 0;
}

int client_call_close(struct app *app, struct mw_client *client, int code, const char *reason) {
  if (!ws_close_code_valid((unsigned)code)) return MW_EINVAL;
  if (atomic_load(&client->gone)) return MW_ECLOSED;
  if (atomic_load(&client->closing)) return 0;
  struct command *command = command_new(COMMAND_CLOSE, client);
  if (!command) return MW_ENOMEM;
  command->close_code = (uint16_t)code;
  snprintf(command->reason, sizeof command->reason, "%s", reason ? reason : "");
  atomic_store(&client->closing, true);
  return command_post(app, command);
}

enum { CODE_REVOKED = 4403 };

static size_t close_if_of(struct app *app, struct mw_client *client, struct bytes user_id, const char *reason) {
  if (atomic_load(&client->closing) || !bytes_equal(client_user_id(client), user_id)) return 0;
  return client_call_close(app, client, CODE_REVOKED, reason) == 0;
}

size_t client_call_close_user(struct app *app, struct bytes user_id, const char *reason) {
  size_t count = 0;
  struct mw_client *client = NULL;
  while ((client = registry_next_of(&app->registry, user_id, client)) != NULL) count += close_if_of(app, client, user_id, reason);
  while ((client = registry_next_raw(&app->registry, client)) != NULL) count += close_if_of(app, client, user_id, reason);
  return count;
}

/* A client of one request receives nothing. */
static bool receives(const struct mw_client *client) {
  struct mw_bytes transport = mw_client_transport(client);
  return !bytes_equal(bytes_of(transport.ptr, transport.len), BYTES("http"));
}

static bool send_shared(struct app *app, struct mw_client *client, struct message *message) {
  struct command *command = receives(client) ? command_new(COMMAND_SEND, client) : NULL;
  if (!command) return false;
  command->message = message_ref(message);
  return command_post(app, command) == 0;
}

size_t client_call_send_user(struct app *app, struct bytes user_id, struct message *message) {
  size_t count = 0;
  struct mw_client *client = NULL;
  while ((client = registry_next_of(&app->registry, user_id, client)) != NULL) count += send_shared(app, client, message);
  return count;
}

static int post_channel(struct app *app, enum command_type type, struct mw_client *client, struct bytes channel, const char *code,
                        const char *reason) {
  if (channel_name_fault(channel)) return MW_EINVAL;
  struct mw_config *config = app_hold_config(app);
  const struct kind *kind = config_kind(config, channel);
  struct command *command = kind ? command_new(type, client) : NULL;
  if (!command) {
    mw_config_unref(config);
    return kind ? MW_ENOMEM : MW_ENOTFOUND;
  }
  command->config = config;
  command->kind = kind;
  command->text = blob_new(channel);
  snprintf(command->code, sizeof command->code, "%s", code);
  snprintf(command->reason, sizeof command->reason, "%s", reason);
  if (command->text) return command_post(app, command);
  command_free(command);
  return MW_ENOMEM;
}

int client_call_subscribe(struct app *app, struct mw_client *client, struct bytes channel) {
  return post_channel(app, COMMAND_SUBSCRIBE, client, channel, "", "");
}

int client_call_unsubscribe(struct app *app, struct mw_client *client, struct bytes channel, const char *code,
                            const char *reason) {
  return post_channel(app, COMMAND_UNSUBSCRIBE, client, channel, code, reason);
}

int client_call_kick_user(struct app *app, struct bytes user_id, struct bytes channel, const char *code, const char *reason) {
  int status = 0;
  struct mw_client *client = NULL;
  while ((client = registry_next_of(&app->registry, user_id, client)) != NULL) {
    int outcome = client_call_unsubscribe(app, client, channel, code, reason);
    if (outcome < 0 && outcome != MW_ECLOSED) status = outcome;
  }
  return status;
}
