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

/* Bytes of the reason in a close frame. */
enum { REASON_MAX = WS_CONTROL_MAX - 2 };

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

static void drop_command(struct mail *mail) { command_free(container_of(mail, struct command, mail)); }
static void take_command(struct mail *mail, void *room, struct subscriber *subscriber);
static const struct mail_class command_class = {.take = take_command, .drop = drop_command};

static struct mw_client *client_of(struct mail *mail) { return container_of(mail, struct mw_client, close); }
static void drop_close(struct mail *mail) { mw_client_unref(client_of(mail)); }
static void take_close(struct mail *mail, void *room, struct subscriber *subscriber);
static const struct mail_class close_class = {.take = take_close, .drop = drop_close};

static int post(struct mw_server *server, struct mail *mail) {
  return mailbox_post(&server->workers[mail->to.worker].fifo, mail);
}

int command_post(struct app *app, struct command *command) {
  struct mw_server *server = container_of(app, struct mw_server, app);
  int status = MW_ECLOSED;
  if (!atomic_load(&command->client->gone)) {
    size_t size = (command->message ? message_size(command->message) : 0) + (command->text ? command->text->len : 0);
    command->mail = (struct mail){.class = &command_class, .to = command->client->session, .size = mail_size(size)};
    status = post(server, &command->mail);
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

static void drop_by_app(struct mail *mail) { job_unref(container_of(mail, struct script_job, mail)); }

/* The script has counted in a client that the app subscribed. */
static void take_by_app(struct mail *mail, void *room, struct subscriber *subscriber) {
  struct script_job *job = container_of(mail, struct script_job, mail);
  struct exchange *exchange = exchange_of(subscriber);
  struct bytes channel = job->channels[0].name;
  bool is_there = exchange && exchange->state == EXCHANGE_STREAMING && subscriber_find(&exchange->subscriber, channel);
  /* What is not kept is left again. */
  if (is_there && job->status == 200 && !native_is_member(exchange, channel)) native_keep(exchange, job);
  /* Subscribed, but not counted in: cut off, so that it returns. One for which there is no room follows the channel as no member. */
  if (is_there && job->status == 503) exchange_break(exchange);
  exchange_return_job(room, job);
}

static const struct mail_class by_app_class = {.take = take_by_app, .drop = drop_by_app};

/* It is told who is there, which others learn from their acknowledgement, and is counted in: the script answers to by_app_class. */
static void grant_presence(struct exchange *exchange, struct command *command) {
  struct worker *worker = exchange_worker(exchange);
  struct job_channel channel = {.name = blob_bytes(command->text), .kind = command->kind};
  struct rope snapshot;
  rope_init(&snapshot);
  size_t room = exchange_room(exchange);
  snapshot_share(&worker->hub, command->kind, channel.name, &room, &snapshot);
  struct script_job *job = job_new(JOB_JOIN, worker->server->app.config, command->client, NULL, &channel, 1);
  if (!snapshot.text.failed && job) {
    reply_event_rope(exchange, channel.name, BYTES("moonwire:presence"), &snapshot);
    job->by_app = true;
    job->mail.to = command->client->session;
    job->answered = &by_app_class;
    atomic_fetch_add(&worker->server->app.job_count, 1);
    script_post_begin(worker->server, job);
  } else {
    job_unref(job);
    exchange_break(exchange);
  }
  rope_deinit(&snapshot);
}

/* The client went while what was sent for it was under way. */
static void refuse_gone(struct worker *worker, const struct reply_to *to) {
  struct exchange *waiting = exchange_of(server_find(worker->server, to->exchange));
  if (waiting && waiting->state == EXCHANGE_ASKING) {
    exchange_refuse(waiting, 404, "not_found", "no such client is connected", bytes_of(NULL, 0));
  }
}

/* While the app is asked about the client, it is not yet what the mail is about: connected, or in the channel. `command` is NULL if it is to be
 * closed. */
static bool must_hold(struct exchange *exchange, const struct mw_client *client, const struct command *command) {
  const struct script_job *job = exchange_job(exchange);
  if (!job || job->client != client || (command && command->type == COMMAND_RECEIVE)) return false;
  if (exchange->state != EXCHANGE_STREAMING) return true;
  bool joins = job->type == JOB_JOIN && job->channel_count == 1;
  bool about = command && (command->type == COMMAND_UNSUBSCRIBE || command->type == COMMAND_SUBSCRIBE);
  return joins && about && bytes_equal(job->channels[0].name, blob_bytes(command->text));
}

static void hold(struct exchange *exchange, struct mail *mail) {
  struct script_job *job = exchange_job(exchange);
  job->held_size += sizeof(struct command) + mail->size;
  if (job->held_size > exchange_worker(exchange)->server->app.config->options.limits.outbox) {
    exchange_break(exchange);
    mail->class->drop(mail);
    return;
  }
  job_hold(job, mail);
}

static void take_close(struct mail *mail, void *room, struct subscriber *subscriber) {
  (void)room;
  struct mw_client *client = client_of(mail);
  struct exchange *exchange = exchange_of(subscriber);
  if (exchange && must_hold(exchange, client, NULL)) {
    hold(exchange, mail);
    return;
  }
  char reason[REASON_MAX + 1] = "";
  struct bytes text = blob_bytes(client->close_reason);
  if (text.len > 0) memcpy(reason, text.ptr, text.len);
  struct closing closing = {.reason = CLOSE_BY_APP, .code = client->close_code, .text = reason};
  if (exchange && exchange->state == EXCHANGE_STREAMING) exchange->role->close(exchange, &closing);
  atomic_store(&client->closing, false);
  drop_close(mail);
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

static void take_command(struct mail *mail, void *room, struct subscriber *subscriber) {
  struct worker *worker = worker_of_room(room);
  struct command *command = container_of(mail, struct command, mail);
  struct exchange *exchange = exchange_of(subscriber);
  if (exchange && must_hold(exchange, command->client, command)) {
    hold(exchange, mail);
    return;
  }
  if (!exchange || exchange->state != EXCHANGE_STREAMING) {
    if (command->type == COMMAND_RECEIVE) refuse_gone(worker, &command->reply_to);
    command_free(command);
    return;
  }
  switch (command->type) {
    case COMMAND_SEND: send_message(exchange, command); break;
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
  int status = order_read_parts(&server->app, push, &parts, error);
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
  status = command_post(&server->app, command);
  return status < 0 ? fail(error, status, mw_status_text(status)) : 0;
}

/* Never waits for room: of each client there is one such mail. */
int mw_client_close(struct mw_server *server, struct mw_client *client, int code, const char *reason) {
  if (!ws_close_code_valid((unsigned)code)) return MW_EINVAL;
  if (atomic_load(&client->gone)) return MW_ECLOSED;
  if (atomic_load(&client->closing)) return 0;
  struct bytes text = bytes_string(reason ? reason : "");
  if (text.len > REASON_MAX) text.len = REASON_MAX;
  struct blob *kept = text.len > 0 ? blob_new(text) : NULL;
  if (text.len > 0 && !kept) return MW_ENOMEM;
  atomic_store(&client->closing, true);
  client->close_code = (uint16_t)code;
  blob_unref(client->close_reason);
  client->close_reason = kept;
  client->close = (struct mail){.class = &close_class, .to = client->session};
  mw_client_ref(client);
  return post(server, &client->close);
}

static int post_channel(struct mw_server *server, enum command_type type, struct mw_client *client, struct bytes channel,
                        const char *code, const char *reason) {
  if (channel_name_fault(channel)) return MW_EINVAL;
  const struct kind *kind = config_kind(server->app.config, channel);
  if (!kind) return MW_ENOTFOUND;
  struct command *command = command_new(type, client);
  if (!command) return MW_ENOMEM;
  command->kind = kind;
  command->text = blob_new(channel);
  snprintf(command->code, sizeof command->code, "%s", code);
  snprintf(command->reason, sizeof command->reason, "%s", reason);
  if (command->text) return command_post(&server->app, command);
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
  return registry_find(&server->app.registry, bytes_of(id, id_len));
}

struct mw_client *mw_client_next(struct mw_server *server, struct mw_client *previous) {
  return registry_next(&server->app.registry, previous);
}
