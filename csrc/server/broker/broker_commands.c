#include "server/broker/broker_commands.h"

#include "app/client.h"
#include "base/log_limit.h"
#include "base/utf8.h"
#include "broker/record.h"
#include "codec/envelope.h"
#include "script/client_calls.h"
#include "server/server.h"

/* A command is its name, the lengths of its texts, a newline, and the texts, such as
 *
 *   close_user 3 6\nannbanned
 *
 * Another version of moonwire may have other commands: those that are unknown are ignored. */

enum { TEXTS_MAX = 4, CODE_MAX = 64 };

/* ---- Sending ---------------------------------------------------------------------------------- */

static void on_sent(void *context, int status) {
  if (status == 0 || status == MW_ECLOSED) return;
  log_limited(MW_LOG_WARNING, "%s did not reach the other servers: %s", (const char *)context, mw_status_text(status));
}

/* Appends everything but what follows the texts. */
static void begin(struct buffer *command, const char *name, const struct bytes *texts, size_t count) {
  buffer_init(command);
  buffer_append_string(command, name);
  for (size_t i = 0; i < count; i++) {
    buffer_append_char(command, ' ');
    buffer_append_u64(command, texts[i].len);
  }
  buffer_append_char(command, '\n');
  for (size_t i = 0; i < count; i++) buffer_append(command, texts[i]);
}

static int send_command(struct broker_orderer *orderer, struct buffer *command, const char *name) {
  int status = command->failed ? MW_ENOMEM : MW_ECLOSED; /* without a broker, the server has ended */
  if (!command->failed && orderer->broker)
    status = broker_control(orderer->broker, buffer_bytes(command), on_sent, (void *)(uintptr_t)name);
  buffer_deinit(command);
  return status;
}

int broker_commands_close_user(struct broker_orderer *orderer, struct bytes user_id, struct bytes reason) {
  const struct bytes texts[] = {user_id, reason};
  struct buffer command;
  begin(&command, "close_user", texts, 2);
  int status = send_command(orderer, &command, "close_user");
  on_sent("close_user", status); /* it is closed here in any case */
  return status;
}

int broker_commands_send_user(struct broker_orderer *orderer, struct bytes user_id, const struct message_parts *parts) {
  const struct bytes texts[] = {user_id, parts->channel};
  struct buffer command;
  begin(&command, "send_user", texts, 2);
  record_write(&command, parts);
  return send_command(orderer, &command, "send_user");
}

int broker_commands_kick_user(struct broker_orderer *orderer, struct bytes user_id, struct bytes channel, struct bytes code,
                              struct bytes reason) {
  const struct bytes texts[] = {user_id, channel, code, reason};
  struct buffer command;
  begin(&command, "kick_user", texts, 4);
  return send_command(orderer, &command, "kick");
}

/* ---- Taking ----------------------------------------------------------------------------------- */

/* Takes a number, and the byte after it, from *rest. */
static bool take_number(struct bytes *rest, char end, uint64_t *number) {
  struct bytes text;
  return bytes_take_until(rest, end, &text) && bytes_to_u64(text, number);
}

/* Reads a command that has this many texts. What follows them is *rest. */
static bool read_texts(struct bytes rest, struct bytes texts[TEXTS_MAX], size_t count, struct bytes *after) {
  uint64_t len;
  for (size_t i = 0; i < count; i++) {
    if (!take_number(&rest, i + 1 < count ? ' ' : '\n', &len) || len > SIZE_MAX) return false;
    texts[i].len = (size_t)len;
  }
  for (size_t i = 0; i < count; i++) {
    if (texts[i].len > rest.len) return false;
    texts[i].ptr = rest.ptr;
    rest = bytes_of(rest.ptr + texts[i].len, rest.len - texts[i].len);
  }
  *after = rest;
  return true;
}

/* Copies a text, and terminates it. Returns false if clients cannot receive it. */
static bool copy_text(struct bytes from, char *text, size_t max) {
  text[0] = '\0';
  if (from.len > max || bytes_find(from, '\0') < from.len || !utf8_valid(from)) return false;
  memcpy(text, from.ptr, from.len);
  text[from.len] = '\0';
  return true;
}

static bool take_close_user(struct broker_orderer *orderer, struct bytes rest) {
  struct bytes texts[TEXTS_MAX];
  char reason[CLOSE_REASON_MAX + 1];
  if (!read_texts(rest, texts, 2, &rest) || rest.len > 0) return false;
  (void)copy_text(texts[1], reason, CLOSE_REASON_MAX); /* otherwise without one */
  tickets_drop_user(&orderer->server->script.tickets, texts[0]);
  (void)client_call_close_user(&orderer->server->app, texts[0], reason);
  return true;
}

static bool take_send_user(struct broker_orderer *orderer, struct bytes rest) {
  struct bytes texts[TEXTS_MAX];
  struct message_parts parts;
  struct broker_message record = {.position = 0};
  if (!read_texts(rest, texts, 2, &record.record)) return false;
  bool has_channel = texts[1].len > 0;
  if (record_read(has_channel ? texts[1] : BYTES("none"), &record, BROKER_CONTROL_BYTES_MAX, &parts) != NULL) return false;
  if (!has_channel) parts.channel = bytes_of(NULL, 0);
  struct message *message = message_new(NULL, &parts);
  if (message) {
    (void)client_call_send_user(&orderer->server->app, texts[0], message);
  } else {
    log_limited(MW_LOG_WARNING, "out of memory: a message of send_user is lost");
  }
  message_unref(message);
  return true;
}

static bool take_kick_user(struct broker_orderer *orderer, struct bytes rest) {
  struct bytes texts[TEXTS_MAX];
  char code[CODE_MAX + 1], reason[CLOSE_REASON_MAX + 1];
  bool is_whole = read_texts(rest, texts, 4, &rest) && rest.len == 0 && !channel_name_fault(texts[1]) && texts[2].len > 0;
  if (!is_whole || !copy_text(texts[2], code, CODE_MAX)) return false;
  (void)copy_text(texts[3], reason, CLOSE_REASON_MAX);
  (void)client_call_kick_user(&orderer->server->app, texts[0], texts[1], code, reason);
  return true;
}

void broker_commands_take(struct broker_orderer *orderer, struct bytes command) {
  static const struct {
    struct bytes name;
    bool (*take)(struct broker_orderer *orderer, struct bytes rest);
  } commands[] = {
      {BYTES("close_user"), take_close_user}, {BYTES("send_user"), take_send_user}, {BYTES("kick_user"), take_kick_user}};
  struct bytes rest = command, name;
  bool is_known = false;
  for (size_t i = 0; !is_known && i < sizeof commands / sizeof *commands; i++) {
    rest = command;
    if (bytes_take_until(&rest, ' ', &name) && bytes_equal(name, commands[i].name)) is_known = commands[i].take(orderer, rest);
  }
  if (!is_known) log_limited(MW_LOG_WARNING, "ignored an unknown command of another node (%zu bytes)", command.len);
}
