#include "session/command.h"

#include "delivery/catchup.h"
#include "delivery/compress.h"
#include "delivery/subscriber.h"
#include "http/exchange.h"
#include "session/admission.h"
#include "session/input.h"
#include "session/reply.h"

static void drop_command(struct mail *mail) { command_free(container_of(mail, struct command, mail)); }
static bool session_is_open(struct subscriber *subscriber) { return session_ops(subscriber)->is_open(subscriber); }

static void send_message(struct subscriber *subscriber, struct command *command) {
  struct blob *blob = compress_message(subscriber, command->message);
  if (blob) {
    subscriber_push(subscriber, blob, form_slice(blob, subscriber->sink->framing));
  } else {
    subscriber_break(subscriber);
  }
  blob_unref(blob);
}

static void drop_by_app(struct mail *mail) { job_unref(container_of(mail, struct script_job, mail)); }

/* Hooks that are called for each subscriber, including one that the app subscribes. */
static bool has_hooks(const struct kind *kind) {
  return kind->hooks & (MW_HOOK_OPEN | MW_HOOK_JOIN | MW_HOOK_LEAVE | MW_HOOK_CLOSE);
}

/* The script has admitted, or refused, a client that the app subscribed. */
static void take_by_app(struct mail *mail, void *room, struct subscriber *subscriber) {
  struct script_job *job = container_of(mail, struct script_job, mail);
  struct bytes channel = job->channels[0].name;
  bool is_there = subscriber && session_is_open(subscriber) && subscriber_find(subscriber, channel);
  /* it has left, and has joined again with a verb */
  if (is_there && session_is_member(subscriber, channel)) is_there = false;
  /* A membership that is not kept is undone. */
  if (is_there && job->status == 200) {
    session_keep(subscriber, job);
  } else if (is_there && has_hooks(job->channels[0].kind)) {
    session_unsubscribe(subscriber, channel, job->status ? job->code : "unavailable", job->reason);
  } else if (is_there && job->status == 503) {
    /* Subscribed, but not added: disconnected, so that it reconnects. If there is no room, it
     * follows the channel without being a member. */
    subscriber_break(subscriber);
  }
  session_return_job(room, job);
}

static const struct mail_class by_app_class = {.take = take_by_app, .drop = drop_by_app};

/* It receives messages from now on. The app's hooks are called as for any other subscriber, except
 * authorize; the script answers to by_app_class. The snapshot, which others receive with their
 * acknowledgement, is sent immediately. */
static void join_by_app(struct subscriber *subscriber, struct command *command) {
  struct http *http = http_of(subscriber);
  struct job_channel channel = {.name = blob_bytes(command->text), .kind = command->kind};
  bool has_presence = command->kind->presence != MW_PRESENCE_NONE;
  size_t room = session_room(subscriber);
  struct told told = {.hub = http->delivery->hub, .channel = &channel, .room = &room};
  struct script_job *job = job_new(JOB_JOIN, command->config, command->client, NULL, &channel, 1);
  if (job && has_presence && !session_tell(subscriber, &(struct event){EVENT_PRESENCE, .channel = channel.name, .told = told})) {
    job_unref(job);
  } else if (job) {
    job->by_app = true;
    job->mail.to = command->client->address;
    job->answered = &by_app_class;
    atomic_fetch_add(&http->app->job_count, 1);
    http->app->script->ask(http->app, job);
  } else {
    subscriber_break(subscriber);
  }
}

/* The client disconnected while mail for it was on its way. */
static void refuse_gone(struct http *http, const struct reply *reply) {
  struct exchange *waiting = exchange_of(slots_find(http->slots, reply->waiting));
  if (waiting && waiting->state == EXCHANGE_ASKING) {
    exchange_refuse(waiting, 404, "not_found", "no such client is connected", bytes_of(NULL, 0));
  }
}

/* While the app has not answered for the client, it is not yet in the state that the mail is about:
 * connected, or in the channel. */
static bool must_hold_command(struct subscriber *subscriber, const struct command *command) {
  const struct script_job *job = session_question(subscriber);
  if (!job || job->client != command->client || command->type == COMMAND_RECEIVE) return false;
  if (!session_is_open(subscriber)) return true;
  bool joins = job->type == JOB_JOIN && job->channel_count == 1;
  bool about = command->type == COMMAND_UNSUBSCRIBE || command->type == COMMAND_SUBSCRIBE;
  return joins && about && bytes_equal(job->channels[0].name, blob_bytes(command->text));
}

static void hold_command(struct subscriber *subscriber, struct mail *mail) {
  struct script_job *job = session_question(subscriber);
  job->held_size += mail->size;
  if (job->held_size > http_of(subscriber)->app->config->options.limits.outbox) {
    subscriber_break(subscriber);
    mail->class->drop(mail);
    return;
  }
  job_hold(job, mail);
}

static void close_by_app(struct subscriber *subscriber, const struct command *command) {
  struct closing closing = {.reason = CLOSE_BY_APP, .code = command->close_code, .text = command->reason};
  session_depart_closing(subscriber, &closing);
  session_ops(subscriber)->close(subscriber, &closing);
}

/* Where the client is connected now, which its worker alone knows: mail for it names only the
 * worker. NULL: it has disconnected. */
static struct subscriber *find_client(const struct http *http, const struct mw_client *client) {
  return slots_find(http->slots, client->address);
}

static void subscribe_by_app(struct subscriber *subscriber, struct command *command) {
  struct bytes channel = blob_bytes(command->text);
  struct job_channel followed = {.name = channel, .kind = command->kind};
  if (subscriber_find(subscriber, channel)) return;
  int status = admission_follow(http_of(subscriber), &followed);
  if (status == 0) status = subscriber_subscribe(subscriber, channel, &command->kind->policy);
  if (status < 0) {
    admission_return(http_of(subscriber), &followed, 1);
    subscriber_break(subscriber);
    return;
  }
  subscriber_find(subscriber, channel)->mark |= SUBSCRIPTION_BY_APP;
  if (subscriber->flags & SUBSCRIBER_BEHIND && !subscriber->sink->form->cursor_per_channel) {
    catchup_join(subscriber, subscriber_find(subscriber, channel), subscriber->sink->delivery->hub->position);
  }
  /* A raw socket follows the channel, and is not a client of it: no hook is called for it. */
  const struct session *session = session_of(subscriber);
  bool is_client = !session || !session->is_raw;
  bool asks = command->kind->presence != MW_PRESENCE_NONE || has_hooks(command->kind);
  if (is_client && asks) join_by_app(subscriber, command);
}

static void take_command(struct mail *mail, void *room, struct subscriber *subscriber) {
  struct http *http = room;
  struct command *command = container_of(mail, struct command, mail);
  subscriber = find_client(http, command->client);
  if (subscriber && must_hold_command(subscriber, command)) {
    hold_command(subscriber, mail);
    return;
  }
  if (!subscriber || !session_is_open(subscriber)) {
    struct exchange *waiting = exchange_of(subscriber);
    if (command->type == COMMAND_RECEIVE) refuse_gone(http, &command->reply);
    /* A poll that waits is no session, and may have been found by its user. */
    if (command->type == COMMAND_CLOSE && waiting && waiting->state == EXCHANGE_WAITING) waiting->role->on_mail(waiting, mail);
    command_free(command);
    return;
  }
  switch (command->type) {
    case COMMAND_SEND: send_message(subscriber, command); break;
    case COMMAND_SUBSCRIBE: subscribe_by_app(subscriber, command); break;
    case COMMAND_UNSUBSCRIBE:
      session_unsubscribe(subscriber, blob_bytes(command->text), command->code[0] ? command->code : NULL, command->reason);
      break;
    case COMMAND_CLOSE: close_by_app(subscriber, command); break;
    case COMMAND_RECEIVE: {
      struct input input = {.bytes = blob_bytes(command->text), .is_binary = command->is_binary, .reply = command->reply};
      session_receive(subscriber, &input);
      break;
    }
  }
  command_free(command);
}

const struct mail_class session_command_class = {.take = take_command, .drop = drop_command};
