#include "app/command.h"

#include "app/app.h"
#include "base/memory.h"

struct command *command_new(enum command_type type, struct mw_client *client) {
  struct command *command = memory_calloc(1, sizeof *command);
  if (!command) return NULL;
  command->type = type;
  command->client = mw_client_ref(client);
  return command;
}

void command_free(struct command *command) {
  if (command->type == COMMAND_CLOSE) atomic_store(&command->client->closing, false);
  mw_client_unref(command->client);
  message_unref(command->message);
  blob_unref(command->text);
  mw_config_unref(command->config);
  memory_free(command);
}

int command_post(struct app *app, struct command *command) {
  int status = MW_ECLOSED;
  if (!atomic_load(&command->client->gone)) {
    /* Itself as well: what carries nothing is not free. */
    size_t size =
        sizeof *command + (command->message ? message_size(command->message) : 0) + (command->text ? command->text->len : 0);
    command->mail = (struct mail){.class = app->workers->command, .to = {.worker = command->client->address.worker}};
    if (command->type != COMMAND_CLOSE) command->mail.size = mail_size(size);
    status = app->workers->post(app, &command->mail);
  }
  if (status < 0) command_free(command);
  return status;
}
