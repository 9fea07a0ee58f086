#include "server/broker/broker_commands.h"

#include "app/client.h"
#include "base/log_limit.h"
#include "script/client_calls.h"
#include "server/server.h"

/* "close_user <length> <length>\n", the user's id, and the reason. Another version of moonwire may
 * have other commands: those that are unknown are ignored. */
static const struct bytes close_user_word = BYTES("close_user ");

static void on_sent(void *context, int status) {
  (void)context;
  if (status == 0 || status == MW_ECLOSED) return;
  log_limited(MW_LOG_WARNING, "close_user did not reach the other nodes: %s", mw_status_text(status));
}

void broker_commands_close_user(struct broker_orderer *orderer, struct bytes user_id, struct bytes reason) {
  struct buffer command;
  if (!orderer->broker) return; /* the server has ended */
  buffer_init(&command);
  buffer_append(&command, close_user_word);
  buffer_append_u64(&command, user_id.len);
  buffer_append_char(&command, ' ');
  buffer_append_u64(&command, reason.len);
  buffer_append_char(&command, '\n');
  buffer_append(&command, user_id);
  buffer_append(&command, reason);
  int status = command.failed ? MW_ENOMEM : broker_control(orderer->broker, buffer_bytes(&command), on_sent, NULL);
  if (status < 0) on_sent(NULL, status);
  buffer_deinit(&command);
}

/* Takes a number, and the byte after it, from *rest. */
static bool take_number(struct bytes *rest, char end, uint64_t *number) {
  struct bytes text;
  return bytes_take_until(rest, end, &text) && bytes_to_u64(text, number);
}

static bool take_close_user(struct broker_orderer *orderer, struct bytes command) {
  uint64_t user_len, reason_len;
  char reason[CLOSE_REASON_MAX + 1];
  if (!bytes_starts_with(command, close_user_word)) return false;
  struct bytes rest = bytes_of(command.ptr + close_user_word.len, command.len - close_user_word.len);
  if (!take_number(&rest, ' ', &user_len) || !take_number(&rest, '\n', &reason_len)) return false;
  if (user_len > rest.len || reason_len != rest.len - user_len || reason_len > CLOSE_REASON_MAX) return false;
  memcpy(reason, rest.ptr + user_len, (size_t)reason_len);
  reason[reason_len] = '\0';
  struct bytes user_id = bytes_of(rest.ptr, (size_t)user_len);
  tickets_drop_user(&orderer->server->script.tickets, user_id);
  (void)client_call_close_user(&orderer->server->app, user_id, reason);
  return true;
}

void broker_commands_take(struct broker_orderer *orderer, struct bytes command) {
  if (take_close_user(orderer, command)) return;
  log_limited(MW_LOG_WARNING, "ignored an unknown command of another node (%zu bytes)", command.len);
}
