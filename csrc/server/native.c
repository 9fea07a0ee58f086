#include "server/native.h"

#include <stdio.h>

#include "base/memory.h"
#include "codec/envelope.h"
#include "codec/verb.h"
#include "codec/ws_deflate.h"
#include "server/command.h"
#include "server/conn.h"
#include "server/excerpt.h"
#include "server/lag.h"
#include "server/native_join.h"
#include "server/presence.h"
#include "server/reply.h"
#include "server/role_ws.h"
#include "server/server.h"
#include "server/session.h"

/* What stands in the stash before the bytes of one message. */
struct input_head {
  size_t len;
  bool is_binary;
  struct reply_to reply_to;
};

/* ---- State --------------------------------------------------------------------------------------------------------------- */

struct native *native_lend(struct exchange *exchange) {
  struct conn *conn = conn_of(exchange);
  if (exchange->flags & EXCHANGE_NATIVE) return conn->native;
  struct native *native = memory_calloc(1, sizeof *native);
  if (!native) return NULL;
  buffer_init(&native->stash);
  buffer_init(&native->unread);
  list_init(&native->memberships);
  native->is_lent = true;
  conn->native = native;
  exchange->flags |= EXCHANGE_NATIVE;
  return native;
}

struct native *native_get(struct exchange *exchange) {
  struct native *native = native_lend(exchange);
  if (native) native->is_lent = false;
  return native;
}

void native_give_back(struct exchange *exchange) {
  struct conn *conn = conn_of(exchange);
  if (!conn->native->is_lent) return;
  memory_free(conn->native);
  conn->native = NULL;
  exchange->flags &= (uint16_t)~EXCHANGE_NATIVE;
}

int native_identify(struct exchange *exchange, struct mw_client *client) {
  struct worker *worker = exchange_worker(exchange);
  struct native *native = native_get(exchange);
  if (!native) return MW_ENOMEM;
  if (exchange->slot == SLOT_NONE && worker_slot_take(worker, exchange, &exchange->slot) < 0) return MW_ENOMEM;
  client->session = worker_ref(worker, exchange->slot);
  int status = registry_add(&worker->server->registry, client);
  if (status == 0) native->client = mw_client_ref(client);
  return status;
}

struct mw_client *native_client(struct exchange *exchange) {
  struct native *native = native_get(exchange);
  if (!native || native->client) return native ? native->client : NULL;
  char remote[REMOTE_MAX];
  stream_remote(&conn_of(exchange)->stream, remote, sizeof remote);
  struct mw_client *client = client_new(wire_is_ws(exchange->wire) ? BYTES("websocket") : BYTES("sse"), remote);
  if (client) native_identify(exchange, client);
  mw_client_unref(client);
  return native->client;
}

bool native_is_identified(struct exchange *exchange) {
  return exchange->flags & EXCHANGE_NATIVE && conn_of(exchange)->native->client;
}

void native_keep(struct exchange *exchange, struct errand *errand) {
  struct native *native = errand_is_membership(errand) ? native_get(exchange) : NULL;
  if (!native) return;
  errand->kept = true;
  errand_ref(errand);
  /* The connecting one is left last. */
  if (errand->connected) {
    list_append(&native->memberships, &errand->link);
  } else {
    list_append(native->memberships.next, &errand->link);
  }
}

/* Sends an errand back to the script, as one that leaves. */
static void leave(struct exchange *exchange, struct errand *errand) {
  list_remove(&errand->link);
  worker_post_script(exchange_worker(exchange), MAIL_LEAVE, errand);
}

/* Whoever waits for an answer on behalf of this session gets none any more. */
static void dismiss(struct exchange *exchange, struct native *native) {
  static const char reason[] = "the client has gone";
  if (native->asked_by.is_exchange) {
    reply_error(exchange, &native->asked_by, blob_bytes(native->asked_ref), bytes_of(NULL, 0), "not_found", reason);
  }
  for (size_t at = native->stash_at; at < native->stash.len;) {
    struct input_head head;
    memcpy(&head, native->stash.data + at, sizeof head);
    if (head.reply_to.is_exchange)
      reply_error(exchange, &head.reply_to, bytes_of(NULL, 0), bytes_of(NULL, 0), "not_found", reason);
    at += sizeof head + head.len;
  }
}

/* Why it ends, for the app. */
static const char *reason_of(struct exchange *exchange) {
  if (exchange->flags & EXCHANGE_SLOW) return "slow";
  if (exchange->flags & EXCHANGE_PINGED) return "timeout";
  return server_stopping(exchange_worker(exchange)->server) ? "stopping" : "closed";
}

void native_end(struct exchange *exchange) {
  if (!(exchange->flags & EXCHANGE_NATIVE)) return;
  struct conn *conn = conn_of(exchange);
  struct native *native = conn->native;
  dismiss(exchange, native);
  exchange->flags &= (uint16_t) ~(EXCHANGE_NATIVE | EXCHANGE_LAGS);
  conn->native = NULL;
  lag_free(native->lag);
  if (!list_empty(&native->memberships)) {
    struct errand *last = container_of(native->memberships.prev, struct errand, link);
    if (last->connected) snprintf(last->reason, sizeof last->reason, "%s", reason_of(exchange));
  }
  while (!list_empty(&native->memberships)) leave(exchange, container_of(native->memberships.next, struct errand, link));
  if (native->client) registry_remove(&exchange_worker(exchange)->server->registry, native->client);
  mw_client_unref(native->client);
  ws_reader_free(native->reader);
  ws_deflater_free(native->deflater);
  memory_free(native->http);
  blob_unref(native->asked_ref);
  buffer_deinit(&native->stash);
  buffer_deinit(&native->unread);
  memory_free(native);
}

/* ---- Verbs --------------------------------------------------------------------------------------------------------------- */

/* What is being handled. */
struct call {
  struct exchange *exchange;
  const struct verb *verb;
  struct reply_to reply_to;
};

static void refuse(const struct call *call, const char *code, const char *reason) {
  reply_error(call->exchange, &call->reply_to, call->verb->ref.raw, call->verb->channel, code, reason);
}

/* Asks the script; takes the errand (NULL: no memory). */
static void ask(const struct call *call, struct errand *errand) {
  struct native *native = native_get(call->exchange);
  struct blob *ref = call->verb->ref.raw.len > 0 ? blob_new(call->verb->ref.raw) : NULL;
  bool fine = errand && native && (ref || call->verb->ref.raw.len == 0);
  if (fine) {
    native->asked_ref = ref;
    native->asked_by = call->reply_to;
    if (exchange_post(call->exchange, errand)) return;
    native->asked_ref = NULL;
  } else {
    errand_unref(errand);
  }
  blob_unref(ref);
  refuse(call, "unavailable", "too many requests wait, or there is no memory");
}

static void on_subscribe(const struct call *call, const struct kind *kind) {
  struct exchange *exchange = call->exchange;
  const struct mw_server *server = exchange_worker(exchange)->server;
  if (session_find(&exchange->session, call->verb->channel)) {
    refuse(call, "already_subscribed", "the channel is subscribed to already");
    return;
  }
  /* The ids of an event stream only grow, since its client returns with the newest: what is older cannot be replayed into it. */
  if (!wire_is_ws(exchange->wire) && call->verb->since.len > 0) {
    refuse(call, "refused", "an event stream resumes by its own id");
    return;
  }
  if (exchange->session.subscription_count >= server->config->options.limits.client_channels) {
    refuse(call, "refused", "too many channels");
    return;
  }
  struct errand_channel channel = {.name = call->verb->channel, .kind = kind};
  bool asks = kind_asks(kind);
  struct mw_client *client = asks ? native_client(exchange) : NULL;
  struct errand *errand = client || !asks ? errand_new(ERRAND_JOIN, server->config, client, NULL, &channel, 1) : NULL;
  if (errand) errand->since = since_parse(call->verb->since, &server->bus.epoch);
  if (errand && !errand_needs_script(errand)) {
    native_join(exchange, errand, &call->reply_to, call->verb->ref.raw);
    errand_unref(errand);
  } else {
    ask(call, errand);
  }
}

static void on_unsubscribe(const struct call *call) {
  native_unsubscribe(call->exchange, call->verb->channel, NULL, NULL);
  reply_ok(call->exchange, &call->reply_to, call->verb->ref.raw, bytes_of(NULL, 0));
}

static void on_history(const struct call *call, const struct kind *kind) {
  struct exchange *exchange = call->exchange;
  struct worker *worker = exchange_worker(exchange);
  const struct mw_limits *limits = &worker->server->config->options.limits;
  const struct epoch *epoch = &worker->server->bus.epoch;
  const struct verb *verb = call->verb;
  struct excerpt_wish wish = {.since = since_parse(verb->since, epoch),
                              .before = since_parse(verb->before, epoch),
                              .limit = verb->limit < limits->replay ? verb->limit : limits->replay,
                              .bytes = limits->outbox / 2};
  if (!kind->history_readable) {
    refuse(call, "refused", "the channel offers no history");
  } else if (!session_find(&exchange->session, verb->channel)) {
    refuse(call, "not_subscribed", "subscribe to the channel first");
  } else {
    struct buffer value;
    struct excerpt excerpt = excerpt_of(&worker->hub, verb->channel, &wish);
    buffer_init(&value);
    excerpt_write(&value, &excerpt, epoch);
    if (value.failed) {
      refuse(call, "unavailable", "no memory");
    } else {
      reply_ok(exchange, &call->reply_to, verb->ref.raw, buffer_bytes(&value));
    }
    buffer_deinit(&value);
  }
}

static void on_presence(const struct call *call, const struct kind *kind) {
  const struct verb *verb = call->verb;
  struct buffer value;
  buffer_init(&value);
  if (kind->presence == MW_PRESENCE_NONE) {
    refuse(call, "refused", "the channel has no presence");
  } else if (!session_find(&call->exchange->session, verb->channel)) {
    refuse(call, "not_subscribed", "subscribe to the channel first");
  } else if (presence_write(exchange_worker(call->exchange), kind, verb->channel, &value)) {
    reply_ok(call->exchange, &call->reply_to, verb->ref.raw, buffer_bytes(&value));
  } else {
    refuse(call, "unavailable", "no memory");
  }
  buffer_deinit(&value);
}

/* An event that goes to the others without entering the app. */
static void relay(const struct call *call, const struct kind *kind, const struct event_rule *rule, struct mw_client *client) {
  struct mw_server *server = exchange_worker(call->exchange)->server;
  const struct verb *verb = call->verb;
  struct message_parts parts = {.channel = verb->channel,
                                .event = verb->event,
                                .data = verb->is_binary ? verb->payload : verb->data.raw,
                                .from = client_user_id(client),
                                .except = bytes_of(client->id, CLIENT_ID_LEN),
                                .is_binary = verb->is_binary};
  if (!verb->is_binary && parts.data.len == 0) parts.data = BYTES("null");
  char id[MW_ID_MAX];
  if (server_publish(server, kind, &parts, !rule->keep, id) < 0) {
    refuse(call, "unavailable", "the server is busy");
  } else if (rule->keep) {
    char value[64];
    int len = snprintf(value, sizeof value, "{\"id\":\"%s\"}", id);
    reply_ok(call->exchange, &call->reply_to, verb->ref.raw, bytes_of(value, (size_t)len));
  } else {
    reply_ok(call->exchange, &call->reply_to, verb->ref.raw, bytes_of(NULL, 0));
  }
}

static void on_send(const struct call *call, const struct kind *kind) {
  struct exchange *exchange = call->exchange;
  const struct verb *verb = call->verb;
  const struct mw_server *server = exchange_worker(exchange)->server;
  const struct event_rule *rule = config_event(kind, verb->event);
  size_t size = verb->is_binary ? verb->payload.len : verb->data.raw.len;
  struct mw_client *client = native_client(exchange);
  if (!session_find(&exchange->session, verb->channel)) {
    refuse(call, "not_subscribed", "subscribe to the channel first");
  } else if (!rule) {
    refuse(call, "unknown_event", "clients may not send this event");
  } else if (size > server->config->options.limits.size) {
    refuse(call, "too_large", "the data is larger than limits.size");
  } else if (!client) {
    refuse(call, "unavailable", "no memory");
  } else if (rule->relay) {
    relay(call, kind, rule, client);
  } else {
    struct errand_channel channel = {.name = verb->channel, .kind = kind};
    struct errand *errand = errand_new(ERRAND_MESSAGE, server->config, client, NULL, &channel, 1);
    if (errand && errand_set_message(errand, verb) < 0) {
      errand_unref(errand);
      errand = NULL;
    }
    ask(call, errand);
  }
}

/* Who it is: by the token that comes with the first verb of moonwire.1, or a newer token later. */
static void on_token(const struct call *call, bool connects) {
  struct exchange *exchange = call->exchange;
  const struct mw_server *server = exchange_worker(exchange)->server;
  struct native *native = native_get(exchange);
  struct mw_client *client = native_client(exchange);
  bool authenticates = server->config->options.authenticate;
  /* Whoever was known by the upgrade has no request left that a token could go into. */
  if (native && authenticates && !native->http) {
    refuse(call, "refused", "a newer token is taken from moonwire.1 only");
    return;
  }
  struct http_copy *http = native && authenticates ? http_copy_with_token(native->http, call->verb->token) : NULL;
  struct errand *errand = NULL;
  if (client && (http || !authenticates)) errand = errand_new(ERRAND_JOIN, server->config, client, http, NULL, 0);
  if (!errand) {
    memory_free(http);
    refuse(call, "unavailable", "no memory");
    return;
  }
  errand->connects = connects;
  if (errand_needs_script(errand)) {
    ask(call, errand);
  } else {
    native_connected(exchange, errand, &call->reply_to, call->verb->ref.raw);
    errand_unref(errand);
  }
}

static void handle_verb(const struct call *call) {
  const struct verb *verb = call->verb;
  bool waits = call->exchange->flags & EXCHANGE_CONNECTING;
  const struct kind *kind =
      verb->channel.len > 0 ? config_kind(exchange_worker(call->exchange)->server->config, verb->channel) : NULL;
  if (waits != (verb->type == VERB_CONNECT)) {
    refuse(call, waits ? "unauthorized" : "bad_request", waits ? "connect first" : "it is connected already");
  } else if (verb->channel.len > 0 && !kind) {
    refuse(call, "not_found", "there is no such channel");
  } else {
    switch (verb->type) {
      case VERB_SUBSCRIBE: on_subscribe(call, kind); break;
      case VERB_UNSUBSCRIBE: on_unsubscribe(call); break;
      case VERB_SEND: on_send(call, kind); break;
      case VERB_PRESENCE: on_presence(call, kind); break;
      case VERB_HISTORY: on_history(call, kind); break;
      case VERB_TOKEN: on_token(call, false); break;
      case VERB_CONNECT: on_token(call, true); break;
      case VERB_PING: reply_ok(call->exchange, &call->reply_to, verb->ref.raw, bytes_of(NULL, 0)); break;
      case VERB_COUNT: break;
    }
  }
}

/* ---- Input ---------------------------------------------------------------------------------------------------------------- */

static void handle(struct exchange *exchange, const struct input *input) {
  struct buffer text, answer;
  struct verb verb;
  buffer_init(&text);
  buffer_init(&answer);
  struct verb_fault fault =
      input->is_binary ? verb_read_binary(input->bytes, &text, &verb) : verb_read(input->bytes, &text, &verb);
  if (fault.code) {
    verb_write_fault(&answer, &verb, &fault);
    reply_text(exchange, &input->reply_to, fault.code, &answer);
  } else {
    handle_verb(&(struct call){.exchange = exchange, .verb = &verb, .reply_to = input->reply_to});
  }
  buffer_deinit(&answer);
  buffer_deinit(&text);
}

static size_t stashed(const struct native *native) { return native->stash.len - native->stash_at; }

static size_t stash_limit(struct exchange *exchange) { return exchange_worker(exchange)->server->config->options.limits.stash; }

/* What a peer sends is bounded by not reading on; what others send for it is refused. */
static void stash(struct exchange *exchange, struct native *native, const struct input *input) {
  struct input_head head = {.len = input->bytes.len, .is_binary = input->is_binary, .reply_to = input->reply_to};
  bool full = stashed(native) >= stash_limit(exchange);
  if (input->reply_to.is_exchange && full) {
    reply_error(exchange, &input->reply_to, bytes_of(NULL, 0), bytes_of(NULL, 0), "unavailable",
                "too much waits for this client");
    return;
  }
  buffer_append(&native->stash, bytes_of((const char *)&head, sizeof head));
  buffer_append(&native->stash, input->bytes);
  if (native->stash.failed) {
    exchange_break(exchange);
  } else if (wire_is_ws(exchange->wire) && stashed(native) >= stash_limit(exchange)) {
    native_stop_reading(exchange);
  }
}

void native_stop_reading(struct exchange *exchange) {
  struct native *native = conn_of(exchange)->native;
  if (native->reading_stopped) return;
  native->reading_stopped = true;
  stream_read_stop(&conn_of(exchange)->stream);
}

void native_resume_reading(struct exchange *exchange) {
  struct native *native = conn_of(exchange)->native;
  struct buffer unread = native->unread;
  native->reading_stopped = false;
  buffer_init(&native->unread);
  /* It was not heard because nobody listened. */
  conn_of(exchange)->timer.note = exchange_worker(exchange)->timers.tick;
  exchange->flags &= (uint16_t)~EXCHANGE_PINGED;
  stream_read_start(&conn_of(exchange)->stream);
  if (unread.len > 0) exchange->role->on_read(exchange, buffer_bytes(&unread));
  buffer_deinit(&unread);
}

/* Takes the first message out; NULL without memory. What was taken is moved away only now and then, not for each. */
static struct blob *unstash(struct native *native, struct input_head *head) {
  memcpy(head, native->stash.data + native->stash_at, sizeof *head);
  struct blob *bytes = blob_new(bytes_of(native->stash.data + native->stash_at + sizeof *head, head->len));
  if (!bytes) return NULL;
  native->stash_at += sizeof *head + head->len;
  if (native->stash_at == native->stash.len) {
    buffer_deinit(&native->stash);
    native->stash_at = 0;
  } else if (native->stash_at > native->stash.len / 2) {
    buffer_consume(&native->stash, native->stash_at);
    native->stash_at = 0;
  }
  return bytes;
}

void native_receive(struct exchange *exchange, const struct input *input) {
  struct native *native = exchange->flags & EXCHANGE_NATIVE ? conn_of(exchange)->native : NULL;
  if (native && (exchange->errand || stashed(native) > 0)) {
    stash(exchange, native, input);
  } else {
    handle(exchange, input);
  }
}

/* Handles what waited, until something is with the script again. */
static void resume(struct exchange *exchange) {
  while (exchange->state == EXCHANGE_STREAMING && !exchange->errand && exchange->flags & EXCHANGE_NATIVE) {
    struct native *native = conn_of(exchange)->native;
    struct input_head head;
    if (stashed(native) == 0) break;
    /* Taken out first: handling may put something in, or end the session. */
    struct blob *bytes = unstash(native, &head);
    if (!bytes) {
      exchange_break(exchange);
      return;
    }
    handle(exchange, &(struct input){.bytes = blob_bytes(bytes), .is_binary = head.is_binary, .reply_to = head.reply_to});
    blob_unref(bytes);
  }
  struct native *native = exchange->flags & EXCHANGE_NATIVE ? conn_of(exchange)->native : NULL;
  if (native && native->reading_stopped && stashed(native) < stash_limit(exchange)) native_resume_reading(exchange);
}

void native_on_answer(struct exchange *exchange, struct errand *errand) {
  struct native *native = conn_of(exchange)->native;
  struct blob *ref = native->asked_ref;
  struct reply_to to = native->asked_by;
  native->asked_ref = NULL;
  native->asked_by.is_exchange = false;
  struct bytes channel = errand->channel_count > 0 ? errand->channels[0].name : bytes_of(NULL, 0);
  if (errand->status != 200) {
    reply_error(exchange, &to, blob_bytes(ref), channel, errand->status ? errand->code : "unavailable", errand->reason);
    if (exchange->flags & EXCHANGE_CONNECTING) role_ws_close(exchange, 4401, errand->reason);
  } else if (errand->type == ERRAND_MESSAGE) {
    reply_ok(exchange, &to, blob_bytes(ref), blob_bytes(errand->body));
  } else if (errand->channel_count > 0) {
    native_join(exchange, errand, &to, blob_bytes(ref));
  } else {
    native_connected(exchange, errand, &to, blob_bytes(ref));
  }
  blob_unref(ref);
  command_release_held(exchange_worker(exchange), errand);
  resume(exchange);
}

/* ---- Commands of the app --------------------------------------------------------------------------------------------------- */

/* The errand that brought the session into the channel, and the channel's place in it; NULL: the script does not know of it. */
static struct errand *find_membership(struct native *native, struct bytes channel, size_t *i) {
  for (struct list *link = native->memberships.next; link != &native->memberships; link = link->next) {
    struct errand *errand = container_of(link, struct errand, link);
    for (*i = 0; *i < errand->channel_count; ++*i) {
      const struct errand_channel *member = &errand->channels[*i];
      if (errand_channel_is_membership(member) && bytes_equal(member->name, channel)) return errand;
    }
  }
  return NULL;
}

bool native_is_member(struct exchange *exchange, struct bytes channel) {
  size_t i;
  return exchange->flags & EXCHANGE_NATIVE && find_membership(conn_of(exchange)->native, channel, &i);
}

/* Sends the membership of one channel back to the script, if it is one. */
static void leave_channel(struct exchange *exchange, struct native *native, struct bytes channel) {
  size_t i;
  struct errand *errand = find_membership(native, channel, &i);
  if (!errand) return;
  bool whole = errand->channel_count == 1 && !errand->connected;
  struct errand *part = whole ? errand : errand_split(errand, i);
  if (part) {
    leave(exchange, part);
  } else {
    /* Without memory it leaves everything: cut off, it may come back. */
    exchange_break(exchange);
  }
}

void native_unsubscribe(struct exchange *exchange, struct bytes channel, const char *code, const char *reason) {
  struct subscription *subscription = session_find(&exchange->session, channel);
  if (!subscription) return;
  session_unsubscribe(exchange, subscription);
  if (exchange->flags & EXCHANGE_NATIVE) leave_channel(exchange, conn_of(exchange)->native, channel);
  if (code) reply_unsubscribed(exchange, channel, code, reason);
}
