#include "session/command.h"

#include "app/app.h"
#include "base/memory.h"
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

/* What was published while the command waited is read from the history. Without one, the client
 * follows the channel from now on. */
static void catch_up(struct subscriber *subscriber, struct command *command) {
  const struct delivery *delivery = subscriber->sink->delivery;
  struct subscription *subscription = subscriber_find(subscriber, blob_bytes(command->text));
  bool is_joined = !subscriber->sink->form->cursor_per_channel;
  uint64_t after = delivery->hub->position;
  since_judge(&command->after, delivery->epoch, after);
  bool has_waited = command->has_waited && command->after.kind == SINCE_POSITION && command->kind->policy.history.size > 0;
  if (has_waited && !(subscriber->flags & SUBSCRIBER_COLLECTS)) after = command->after.position;
  if (is_joined && (after < delivery->hub->position || subscriber->flags & SUBSCRIBER_BEHIND)) {
    catchup_join(subscriber, subscription, after);
  } else if (after < delivery->hub->position) {
    catchup_follow(subscriber, subscription, after);
  }
}

static void subscribe_by_app(struct subscriber *subscriber, struct command *command) {
  struct bytes channel = blob_bytes(command->text);
  struct job_channel followed = {.name = channel, .kind = command->kind, .is_followed = command->is_followed};
  if (subscriber_find(subscriber, channel)) return;
  int status = admission_follow(http_of(subscriber), &followed);
  command->is_followed = followed.is_followed;
  if (status == 0) status = subscriber_subscribe(subscriber, channel, &command->kind->policy);
  if (status < 0) {
    subscriber_break(subscriber);
    return;
  }
  command->is_followed = false; /* the subscription's */
  subscriber_find(subscriber, channel)->mark |= SUBSCRIPTION_BY_APP;
  catch_up(subscriber, command);
  /* A raw socket follows the channel, and is not a client of it: no hook is called for it. */
  const struct session *session = session_of(subscriber);
  bool is_client = !session || !session->is_raw;
  bool asks = command->kind->presence != MW_PRESENCE_NONE || has_hooks(command->kind);
  if (is_client && asks) join_by_app(subscriber, command);
}

/* ---- What must wait until its channel is received -------------------------------------------- */

/* An interest that the app's call needs, and then the history of the channel. */
struct command_wait {
  struct completion completion;
  struct http *http;
  struct command *command;
};

static void wait_for_channel(struct http *http, struct command *command);

static void end_command(struct http *http, struct command *command) {
  if (command->is_followed) http->app->orderer->end_interest(http->app->orderer, blob_bytes(command->text));
  command_free(command);
}

/* One that could not be subscribed is disconnected, as if out of memory. */
static void fail_command(struct http *http, struct command *command) {
  struct subscriber *subscriber = find_client(http, command->client);
  if (command->type == COMMAND_SUBSCRIBE && subscriber && session_is_open(subscriber)) subscriber_break(subscriber);
  end_command(http, command);
}

static void on_channel(struct completion *completion, int status) {
  struct command_wait *wait = container_of(completion, struct command_wait, completion);
  struct http *http = wait->http;
  struct command *command = wait->command;
  bool must_follow = !command->is_followed;
  memory_free(wait);
  order_end_waiting(http->app);
  if (status < 0) {
    fail_command(http, command);
  } else if (must_follow) {
    command->is_followed = true;
    wait_for_channel(http, command);
  } else {
    command->has_waited = true;
    command->mail.size = 0; /* not refused any more */
    http->app->workers->post(http->app, &command->mail);
  }
}

static struct completion *keep_command(struct completion *completion) {
  const struct command_wait *wait = container_of(completion, struct command_wait, completion);
  struct command_wait *kept = memory_alloc(sizeof *kept);
  if (kept && order_begin_waiting(wait->http->app)) {
    *kept = *wait;
    return &kept->completion;
  }
  memory_free(kept);
  return NULL;
}

/* Takes the command, which is taken again later, in order with the messages. */
static void wait_for_channel(struct http *http, struct command *command) {
  struct orderer *orderer = http->app->orderer;
  struct command_wait wait = {
      .completion = {.http = http, .keep = keep_command, .on_done = on_channel}, .http = http, .command = command};
  struct job_channel channel = {.name = blob_bytes(command->text), .kind = command->kind};
  int status = command->is_followed ? orderer->fetch(orderer, &channel, 1, &wait.completion)
                                    : orderer->interest(orderer, &channel, 1, &wait.completion);
  if (status == MW_PENDING) return;
  if (status < 0) {
    fail_command(http, command);
    return;
  }
  struct completion *kept = keep_command(&wait.completion);
  if (kept) on_channel(kept, 0);
  if (!kept) fail_command(http, command);
}

static bool must_wait_for_channel(const struct http *http, struct subscriber *subscriber, const struct command *command) {
  bool is_about = command->type == COMMAND_SUBSCRIBE || command->type == COMMAND_UNSUBSCRIBE;
  if (!is_about || command->has_waited || !http->app->orderer->may_wait) return false;
  /* One that ends a subscription which is still to come must not overtake it, so it waits for the
   * same. */
  return command->kind && !subscriber_find(subscriber, blob_bytes(command->text));
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
    end_command(http, command);
    return;
  }
  if (must_wait_for_channel(http, subscriber, command)) {
    const struct delivery *delivery = http->delivery;
    command->after = since_at(delivery->epoch, delivery->hub->position);
    wait_for_channel(http, command);
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
  end_command(http, command);
}

const struct mail_class session_command_class = {.take = take_command, .drop = drop_command};
