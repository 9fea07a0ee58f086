#include "server/command.h"

#include <stdio.h>

#include "base/memory.h"
#include "codec/envelope.h"
#include "delivery/catchup.h"
#include "delivery/compress.h"
#include "delivery/subscriber.h"
#include "server/reply.h"
#include "server/server.h"
#include "server/snapshot.h"
#include "server/socket.h"

struct command *command_new(enum command_type type, struct mw_client *client) {
  struct command *command = memory_calloc(1, sizeof *command);
  if (!command) return NULL;
  command->type = type;
  command->client = mw_client_ref(client);
  return command;
}

void command_free(struct command *command) {
  mw_client_unref(command->client);
  message_unref(command->message);
  blob_unref(command->text);
  memory_free(command);
}

int command_post(struct mw_server *server, struct command *command) {
  int status = MW_ECLOSED;
  if (!atomic_load(&command->client->gone)) {
    size_t size = (command->message ? message_size(command->message) : 0) + (command->text ? command->text->len : 0);
    struct mail mail = {.type = MAIL_COMMAND, .item = command, .size = size};
    status = mailbox_post(&server->workers[command->client->session.worker].fifo, mail);
  }
  if (status < 0) command_free(command);
  return status;
}

/* ---- On the worker --------------------------------------------------------------------------------------------------------- */

static void send_message(struct exchange *exchange, struct command *command) {
  struct blob *blob = compress_message(&exchange->subscriber, command->message);
  if (blob) {
    exchange_push(exchange, blob, form_slice(blob, exchange->subscriber.sink->framing));
  } else {
    exchange_break(exchange);
  }
  blob_unref(blob);
}

/* It is told who is there, which others learn from their acknowledgement, and is counted in: the script answers by command_granted. */
static void grant_presence(struct exchange *exchange, struct command *command) {
  struct worker *worker = exchange_worker(exchange);
  struct errand_channel channel = {.name = blob_bytes(command->text), .kind = command->kind};
  struct rope snapshot;
  rope_init(&snapshot);
  size_t room = exchange_room(exchange);
  snapshot_share(&worker->hub, command->kind, channel.name, &room, &snapshot);
  struct errand *errand = errand_new(ERRAND_JOIN, worker->server->config, command->client, NULL, &channel, 1);
  if (!snapshot.text.failed && errand) {
    reply_event_rope(exchange, channel.name, BYTES("moonwire:presence"), &snapshot);
    errand->granted = true;
    errand->asker = command->client->session;
    atomic_fetch_add(&worker->server->script.errand_count, 1);
    worker_post_script(worker, MAIL_ASK, errand);
  } else {
    errand_unref(errand);
    exchange_break(exchange);
  }
  rope_deinit(&snapshot);
}

void command_granted(struct worker *worker, struct errand *errand) {
  struct exchange *exchange = exchange_of(slots_find(&worker->slots, errand->asker));
  struct bytes channel = errand->channels[0].name;
  bool is_there = exchange && exchange->state == EXCHANGE_STREAMING && subscriber_find(&exchange->subscriber, channel);
  /* What is not kept is left again. */
  if (is_there && errand->status == 200 && !native_is_member(exchange, channel)) native_keep(exchange, errand);
  /* Subscribed, but not counted in: cut off, so that it returns. One for which there is no room follows the channel as no member. */
  if (is_there && errand->status == 503) exchange_break(exchange);
}

/* The client went while what was sent for it was under way. */
static void refuse_gone(struct worker *worker, const struct reply_to *to) {
  struct exchange *waiting = exchange_of(server_find(worker->server, to->exchange));
  if (waiting && waiting->state == EXCHANGE_ASKING) {
    exchange_refuse(waiting, 404, "not_found", "no such client is connected", bytes_of(NULL, 0));
  }
}

/* While the app is asked about the client, it is not yet what the command is about: connected, or in the channel. */
static bool must_hold(struct exchange *exchange, const struct command *command) {
  const struct errand *errand = exchange_errand(exchange);
  if (!errand || errand->client != command->client || command->type == COMMAND_RECEIVE) return false;
  if (exchange->state != EXCHANGE_STREAMING) return true;
  bool joins = errand->type == ERRAND_JOIN && errand->channel_count == 1;
  bool about = command->type == COMMAND_UNSUBSCRIBE || command->type == COMMAND_SUBSCRIBE;
  return joins && about && bytes_equal(errand->channels[0].name, blob_bytes(command->text));
}

static void hold(struct exchange *exchange, struct command *command) {
  struct errand *errand = exchange_errand(exchange);
  errand->held_size += sizeof *command + (command->message ? message_size(command->message) : 0);
  if (errand->held_size > exchange_worker(exchange)->server->config->options.limits.outbox) {
    exchange_break(exchange);
    command_free(command);
  } else {
    list_append(&errand->held, &command->link);
  }
}

static struct command *take_held(struct errand *errand) {
  if (list_empty(&errand->held)) return NULL;
  struct command *command = container_of(errand->held.next, struct command, link);
  list_remove(&command->link);
  return command;
}

void command_release_held(struct worker *worker, struct errand *errand) {
  struct command *command;
  while ((command = take_held(errand)) != NULL) command_carry_out(worker, command);
}

void command_free_held(struct errand *errand) {
  struct command *command;
  while ((command = take_held(errand)) != NULL) command_free(command);
}

static void subscribe(struct exchange *exchange, struct command *command) {
  struct bytes channel = blob_bytes(command->text);
  if (subscriber_find(&exchange->subscriber, channel)) return;
  if (subscriber_subscribe(&exchange->subscriber, channel, &command->kind->policy) < 0) {
    exchange_break(exchange);
    return;
  }
  if (exchange->subscriber.flags & SUBSCRIBER_BEHIND && !form_is_ws(exchange_form(exchange))) {
    catchup_join(&exchange->subscriber, subscriber_find(&exchange->subscriber, channel), exchange_worker(exchange)->hub.position);
  }
  /* A raw socket follows the channel and is no client of it: nobody is asked whether it may, nor told that it is there. */
  bool is_client = !native_socket(exchange);
  if (is_client && command->kind->presence != MW_PRESENCE_NONE) grant_presence(exchange, command);
}

void command_carry_out(struct worker *worker, struct command *command) {
  struct exchange *exchange = exchange_of(slots_find(&worker->slots, command->client->session));
  if (exchange && must_hold(exchange, command)) {
    hold(exchange, command);
    return;
  }
  if (!exchange || exchange->state != EXCHANGE_STREAMING) {
    if (command->type == COMMAND_RECEIVE) refuse_gone(worker, &command->reply_to);
    command_free(command);
    return;
  }
  switch (command->type) {
    case COMMAND_SEND: send_message(exchange, command); break;
    case COMMAND_CLOSE: {
      struct closing closing = {.reason = CLOSE_BY_APP, .code = command->close_code, .text = command->reason};
      exchange->role->close(exchange, &closing);
      break;
    }
    case COMMAND_SUBSCRIBE: subscribe(exchange, command); break;
    case COMMAND_UNSUBSCRIBE:
      native_unsubscribe(exchange, blob_bytes(command->text), command->code[0] ? command->code : NULL, command->reason);
      break;
    case COMMAND_RECEIVE: {
      struct input input = {.bytes = blob_bytes(command->text), .is_binary = command->is_binary, .reply_to = command->reply_to};
      native_receive(exchange, &input);
      break;
    }
  }
  command_free(command);
}

/* ---- The app's calls ------------------------------------------------------------------------------------------------------- */

static int fail(struct mw_error *error, int status, const char *text) {
  if (error) snprintf(error->text, sizeof error->text, "%s", text);
  return status;
}

int mw_client_send(struct mw_server *server, struct mw_client *client, const struct mw_publish *push, struct mw_error *error) {
  struct message_parts parts;
  int status = server_read_parts(server, push, &parts, error);
  if (status < 0) return status;
  if (parts.channel.len > 0 && channel_name_fault(parts.channel))
    return fail(error, MW_EINVAL, channel_name_fault(parts.channel));
  struct command *command = command_new(COMMAND_SEND, client);
  if (!command) return fail(error, MW_ENOMEM, "no memory");
  command->message = message_new(0, &parts);
  if (!command->message) {
    command_free(command);
    return fail(error, MW_ENOMEM, "no memory");
  }
  status = command_post(server, command);
  return status < 0 ? fail(error, status, mw_status_text(status)) : 0;
}

int mw_client_close(struct mw_server *server, struct mw_client *client, int code, const char *reason) {
  if (!ws_close_code_valid((unsigned)code)) return MW_EINVAL;
  struct command *command = command_new(COMMAND_CLOSE, client);
  if (!command) return MW_ENOMEM;
  command->close_code = (unsigned)code;
  snprintf(command->reason, sizeof command->reason, "%s", reason ? reason : "");
  return command_post(server, command);
}

static int post_channel(struct mw_server *server, enum command_type type, struct mw_client *client, struct bytes channel,
                        const char *code, const char *reason) {
  if (channel_name_fault(channel)) return MW_EINVAL;
  const struct kind *kind = config_kind(server->config, channel);
  if (!kind) return MW_ENOTFOUND;
  struct command *command = command_new(type, client);
  if (!command) return MW_ENOMEM;
  command->kind = kind;
  command->text = blob_new(channel);
  snprintf(command->code, sizeof command->code, "%s", code);
  snprintf(command->reason, sizeof command->reason, "%s", reason);
  if (command->text) return command_post(server, command);
  command_free(command);
  return MW_ENOMEM;
}

int mw_client_subscribe(struct mw_server *server, struct mw_client *client, const char *channel, size_t channel_len) {
  return post_channel(server, COMMAND_SUBSCRIBE, client, bytes_of(channel, channel_len), "", "");
}

int mw_client_unsubscribe(struct mw_server *server, struct mw_client *client, const char *channel, size_t channel_len,
                          const char *code, const char *reason) {
  return post_channel(server, COMMAND_UNSUBSCRIBE, client, bytes_of(channel, channel_len), code ? code : "unsubscribed",
                      reason ? reason : "");
}

int mw_socket_subscribe(struct mw_socket *socket, const char *channel, size_t channel_len) {
  if (socket->closing || atomic_load(&socket->client->gone)) return MW_ECLOSED;
  return mw_client_subscribe(socket->server, socket->client, channel, channel_len);
}

int mw_socket_unsubscribe(struct mw_socket *socket, const char *channel, size_t channel_len) {
  if (socket->closing || atomic_load(&socket->client->gone)) return MW_ECLOSED;
  return post_channel(socket->server, COMMAND_UNSUBSCRIBE, socket->client, bytes_of(channel, channel_len), "", "");
}

struct mw_client *mw_client_find(struct mw_server *server, const char *id, size_t id_len) {
  return registry_find(&server->registry, bytes_of(id, id_len));
}

struct mw_client *mw_client_next(struct mw_server *server, struct mw_client *previous) {
  return registry_next(&server->registry, previous);
}
