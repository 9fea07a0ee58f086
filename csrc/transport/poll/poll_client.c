#include "transport/poll/poll_client.h"

#include <stdio.h>

#include "base/log_limit.h"
#include "base/memory.h"
#include "delivery/collect.h"
#include "http/exchange.h"
#include "http/forward/forward.h"
#include "hub/news.h"
#include "session/admission.h"
#include "session/expiry.h"
#include "session/input.h"
#include "session/names.h"
#include "transport/poll/poll_channels.h"
#include "transport/transport.h"

static const struct sink_ops poll_client_sink;
static const struct session_ops poll_client_session;

static struct poll_client *poll_client_here(const struct subscriber *subscriber) {
  return container_of(subscriber, struct poll_client, subscriber);
}

/* ---- Limits ---------------------------------------------------------------------------------- */

bool poll_client_allowed(struct http *http, const char *remote, size_t count) {
  size_t max = http->app->config->options.limits.address_polls;
  struct party_key key = party_key_of_address(remote);
  if (party_has_room(&http->app->parties, &key, PARTY_POLLS, count, max)) return true;
  limit_count(&http->app->limits, MW_LIMIT_ADDRESS_POLLS);
  log_limited(MW_LOG_WARNING, "refused a poll client, or a channel of one: limits.address_polls (%zu) reached by %s", max,
              remote);
  return false;
}

int poll_client_charge(struct poll_client *client) {
  struct http *http = http_of(&client->subscriber);
  struct parties *parties = &http->app->parties;
  size_t held = 1 + client->subscriber.subscription_count, before = client->charged;
  if (held < before) {
    party_release(parties, client->party, PARTY_POLLS, before - held);
    client->charged = held;
  }
  if (held <= before) return 0;
  const char *remote = client->session.client->remote;
  struct party_key key = party_key_of_address(remote);
  struct party *party;
  int status = party_take(parties, &key, PARTY_POLLS, held - before, http->app->config->options.limits.address_polls, &party);
  if (status < 0) return status;
  client->party = party;
  client->charged = held;
  return 0;
}

/* ---- Life ------------------------------------------------------------------------------------ */

void poll_clients_init(struct poll_clients *clients, struct http *http, const struct dialect *dialect) {
  list_init(&clients->busy);
  list_init(&clients->idle);
  clients->count = 0;
  clients->sink = (struct http_sink){.http = http, .session = &poll_client_session, .dialect = dialect};
  sink_init(&clients->sink.sink, &poll_client_sink, http->delivery, dialect->form, FRAMING_WHOLE);
  /* they have no name, so no one asks */
  clients->alone = (struct http_sink){.http = http, .dialect = dialect};
  sink_init(&clients->alone.sink, &poll_sink, http->delivery, dialect->form, FRAMING_WHOLE);
}

static void move_client(struct poll_client *client, struct list *to) {
  list_remove(&client->link);
  list_append(to, &client->link);
}

/* Why it ends, if no one has said so. */
static enum departure poll_client_departure(const struct poll_client *client) {
  if (client->is_late) return DEPARTURE_TIMEOUT;
  return app_stopping(http_of(&client->subscriber)->app) ? DEPARTURE_STOPPING : DEPARTURE_CLOSED;
}

/* What its polls are refused with. Status 0: those that wait get what there is, and the client
 * retries the others. */
struct poll_refusal {
  int status;
  const char *code, *reason;
};

static struct poll_refusal refusal_of(const struct closing *closing) {
  enum { UNAUTHORIZED = 4401, REVOKED = 4403 };
  if (closing->reason == CLOSE_EXPIRED) return (struct poll_refusal){401, "token_expired", closing->text};
  const char *reason = *closing->text ? closing->text : "closed by the app";
  if (closing->code == REVOKED) return (struct poll_refusal){403, "forbidden", reason};
  if (closing->code == UNAUTHORIZED) return (struct poll_refusal){401, "unauthorized", reason};
  return (struct poll_refusal){0, "", ""};
}

/* True if the poll brought a token of its own that is valid longer than its client's. */
static bool has_newer_token(const struct poll *poll) {
  return poll->expires_ms > exchange_http(poll->exchange)->loop->clock.wall_ms;
}

static void answer_polls(struct poll_client *client, const struct poll_refusal *refusal) {
  while (!list_empty(&client->polls)) {
    struct poll *poll = container_of(client->polls.next, struct poll, link);
    bool is_refused = refusal->status == 403 || (refusal->status == 401 && !has_newer_token(poll));
    /* What was sent before is not lost. */
    if (poll == client->waiting && (!is_refused || client->items.count > 0)) {
      poll_finish(poll);
      continue;
    }
    session_forget(&poll->exchange->subscriber);
    exchange_refuse(poll->exchange, is_refused ? refusal->status : 503, is_refused ? refusal->code : "unavailable",
                    is_refused ? refusal->reason : "the client has disconnected", bytes_of(NULL, 0));
  }
}

/* Ends the client: leaves its channels, notifies the script, releases what it holds. Its memory is
 * freed when it is flushed. */
static void close_with(struct poll_client *client, const struct poll_refusal *refusal) {
  struct subscriber *subscriber = &client->subscriber;
  struct http *http = http_of(subscriber);
  if (client->is_closed) return;
  client->is_closed = true;
  if (list_empty(&client->polls)) move_client(client, &http->transport->polls.busy);
  answer_polls(client, refusal);
  party_release(&http->app->parties, client->party, PARTY_POLLS, client->charged);
  poll_items_deinit(&client->items);
  while (client->left_count > 0) memory_free(client->left[--client->left_count]);
  memory_free(client->left);
  subscriber_end(subscriber);
  slots_release(http->slots, &client->slot);
  session_forget(subscriber);
  session_dismiss(subscriber);
  session_deinit(subscriber, poll_client_departure(client));
  subscriber_mark(subscriber);
}

static void close_client(struct poll_client *client) { close_with(client, &(struct poll_refusal){0, "", ""}); }

static void free_client(struct poll_client *client) {
  list_remove(&client->link);
  delivery_forget(client->subscriber.sink->delivery, &client->subscriber);
  http_of(&client->subscriber)->transport->polls.count--;
  atomic_fetch_sub(&http_of(&client->subscriber)->app->poll_count, 1);
  memory_free(client);
}

int poll_client_new(struct http *http, struct script_job *job, struct poll_client **out) {
  struct poll_client *client = memory_calloc(1, sizeof *client);
  if (!client) return MW_ENOMEM;
  struct subscriber *subscriber = &client->subscriber;
  subscriber->sink = &http->transport->polls.sink.sink;
  subscriber->flags = SUBSCRIBER_COLLECTS;
  client->slot = SLOT_NONE;
  list_init(&client->polls);
  session_init(&client->session, subscriber);
  list_init(&client->link);
  list_append(&http->transport->polls.busy, &client->link);
  http->transport->polls.count++;
  atomic_fetch_add(&http->app->poll_count, 1);
  int status = session_identify(subscriber, job->client);
  if (status == 0) status = poll_client_charge(client);
  if (status < 0) {
    close_client(client);
    return status;
  }
  session_keep(subscriber, job);
  expiry_set(subscriber, job);
  *out = client;
  return 0;
}

/* Returns the client of a subscriber, or NULL if the subscriber is NULL or not a poll client's. */
static struct poll_client *poll_client_of(struct subscriber *subscriber) {
  return subscriber && subscriber->sink->ops == &poll_client_sink ? poll_client_here(subscriber) : NULL;
}

bool poll_client_forward(struct exchange *exchange, struct bytes id) {
  const struct http *http = exchange_http(exchange);
  struct mw_client *identity = registry_find(&http->app->registry, id);
  bool is_elsewhere = identity && identity->address.worker != http->slots->worker;
  if (is_elsewhere) exchange_forward(exchange, identity->address.worker, FORWARD_POLL);
  mw_client_unref(identity);
  return is_elsewhere;
}

struct poll_client *poll_client_find(struct http *http, struct bytes id) {
  struct mw_client *identity = registry_find(&http->app->registry, id);
  if (!identity) return NULL;
  bool is_here = identity->address.worker == http->slots->worker;
  struct poll_client *client = is_here ? poll_client_of(slots_find(http->slots, identity->address)) : NULL;
  mw_client_unref(identity);
  return client && !client->is_closing ? client : NULL;
}

void poll_client_attach(struct poll_client *client, struct poll *poll) {
  poll->client = client;
  list_append(&client->polls, &poll->link);
  move_client(client, &http_of(&client->subscriber)->transport->polls.busy);
}

/* From now on it must poll again in time. */
void poll_client_detach(struct poll *poll) {
  struct poll_client *client = poll->client;
  struct http *http = http_of(&client->subscriber);
  if (client->waiting == poll) client->waiting = NULL;
  list_remove(&poll->link);
  poll->client = NULL;
  if (client->is_closed || !list_empty(&client->polls)) return;
  client->due_ms = http->loop->clock.now_ms + http->app->config->options.limits.poll_client_ms;
  move_client(client, &http->transport->polls.idle);
}

void poll_client_end(struct poll_client *client) {
  client->is_closing = true;
  subscriber_mark(&client->subscriber);
}

void poll_clients_expire(struct poll_clients *clients) {
  struct list *idle = &clients->idle;
  const struct http *http = clients->sink.http;
  while (!list_empty(idle)) {
    struct poll_client *client = container_of(idle->next, struct poll_client, link);
    if (client->due_ms > http->loop->clock.now_ms) return;
    client->is_late = true;
    limit_count(&clients->sink.http->app->limits, MW_LIMIT_POLL_CLIENT_SECONDS);
    close_client(client);
  }
}

static void stop_all(struct list *list, bool is_due) {
  /* Closing one may move it to the end of the other list. */
  for (struct list *link = list->next, *next; link != list; link = next) {
    struct poll_client *client = container_of(link, struct poll_client, link);
    next = link->next;
    if (is_due || client->is_closed || !session_finishes(&client->subscriber)) close_client(client);
  }
}

void poll_clients_stop(struct poll_clients *clients, bool is_due) {
  stop_all(&clients->idle, is_due);
  stop_all(&clients->busy, is_due);
}

/* ---- What is collected ----------------------------------------------------------------------- */

/* Volatile messages get a part of the room: more while a poll waits, which takes them at the end of
 * the turn. */
enum { VOLATILE_PART_WAITING = 2, VOLATILE_PART = 16 };

/* True if `len` more bytes would exceed that part of limits.outbox. */
static bool exceeds_outbox(const struct poll_client *client, size_t len, size_t part) {
  size_t limit = http_of(&client->subscriber)->app->config->options.limits.outbox, waiting = client->items.own_bytes;
  return waiting > 0 && waiting + poll_items_weight(len) > limit / part;
}

static void poll_client_sink_collect(struct subscriber *subscriber, struct message *message) {
  struct poll_client *client = poll_client_here(subscriber);
  bool is_excepted = message && subscriber_is_excepted(subscriber, message);
  if (!message || message->parts.is_final) {
    client->has_ends = true;
    subscriber_mark(subscriber);
  }
  if (is_excepted && !message->parts.is_final) return;
  if (message && message->position == 0) {
    bool is_news = message->parts.type == MESSAGE_PRESENCE;
    size_t len = is_news ? message->parts.news->texts_len : message->parts.data.len;
    if (is_news && exceeds_outbox(client, len, 1)) {
      /* Without it the rest would mean nothing: the client must start again. */
      subscriber->flags |= SUBSCRIBER_SLOW;
      poll_client_end(client);
      return;
    }
    /* Volatile messages leave room for that, and for messages to this client alone. */
    size_t part = client->waiting ? VOLATILE_PART_WAITING : VOLATILE_PART;
    if (!is_news && exceeds_outbox(client, len, part)) return;
  } else if (!client->waiting || (message && message->position <= client->waiting->seen)) {
    return;
  }
  poll_items_deliver(&client->items, subscriber, message, is_excepted);
  if (client->waiting) subscriber_mark(subscriber);
}

static void sink_collect_push(struct subscriber *subscriber, struct blob *blob, struct bytes part) {
  struct poll_client *client = poll_client_here(subscriber);
  struct http *http = http_of(subscriber);
  (void)part; /* it is all of the blob */
  bool over = exceeds_outbox(client, blob->len, 1);
  if (over) subscriber->flags |= SUBSCRIBER_SLOW;
  if (over || !poll_items_add(&client->items, blob, 0, http->delivery->hub->position)) client->is_closing = true;
  subscriber_mark(subscriber);
}

static void note_slow(struct subscriber *subscriber) {
  http_of(subscriber)->stats->slow_closed++;
  log_limited(MW_LOG_INFO, "closed slow poll client: queue over limits.outbox (queued=%zu bytes)",
              poll_client_here(subscriber)->items.own_bytes);
}

static size_t sink_collected(const struct subscriber *subscriber) { return poll_client_here(subscriber)->items.own_bytes; }

static void poll_client_sink_flushed(struct subscriber *subscriber) {
  struct poll_client *client = poll_client_here(subscriber);
  bool has_news = client->items.count > 0 || client->items.lost;
  if (!client->is_closing && client->waiting && has_news) poll_finish(client->waiting);
  if (!client->is_closed && !client->is_closing && client->has_ends) poll_channels_leave_ended(client);
  client->has_ends = false;
  if (!client->is_closed && !client->is_closing && !(subscriber->flags & SUBSCRIBER_BROKEN)) return;
  if (client->is_closing && subscriber->flags & SUBSCRIBER_SLOW) note_slow(subscriber);
  subscriber->flags |= SUBSCRIBER_OVER;
  close_client(client);
  free_client(client);
}

static void poll_client_sink_left(struct subscriber *subscriber, struct subscription *subscription, enum leave_reason reason) {
  names_leave(subscriber, subscription, reason != LEAVE_OVER);
  admission_leave(http_of(subscriber), subscription);
}

static const struct sink_ops poll_client_sink = {.flushed = poll_client_sink_flushed,
                                                 .collect = poll_client_sink_collect,
                                                 .collect_push = sink_collect_push,
                                                 .collected = sink_collected,
                                                 .left = poll_client_sink_left,
                                                 .identity = session_identity,
                                                 SINK_ONLY_COLLECTS};

/* ---- What a session asks of it --------------------------------------------------------------- */

/* It has a session from its beginning to its end. */
static struct session *poll_client_on_make(struct subscriber *subscriber) {
  (void)subscriber;
  return NULL;
}

static uint32_t *poll_client_on_slot(struct subscriber *subscriber) { return &poll_client_here(subscriber)->slot; }

static struct script_job **poll_client_on_question(struct subscriber *subscriber) {
  return &poll_client_here(subscriber)->session.question;
}

static bool poll_client_is_open(struct subscriber *subscriber) { return !poll_client_here(subscriber)->is_closed; }

static bool poll_client_is_connecting(struct subscriber *subscriber) {
  (void)subscriber;
  return false;
}

static void poll_client_on_connected(struct subscriber *subscriber) { (void)subscriber; }

/* Where its first poll came from. */
static void poll_client_on_remote(struct subscriber *subscriber, char *out, size_t size) {
  snprintf(out, size, "%s", poll_client_here(subscriber)->session.client->remote);
}

/* Input that others send on its behalf is not read here. */
static void poll_client_on_read(struct subscriber *subscriber, bool on) {
  (void)subscriber;
  (void)on;
}

static void poll_client_on_close(struct subscriber *subscriber, const struct closing *closing) {
  struct poll_refusal refusal = refusal_of(closing);
  close_with(poll_client_here(subscriber), &refusal);
}

static bool poll_client_may_join(struct subscriber *subscriber) {
  return poll_client_allowed(http_of(subscriber), poll_client_here(subscriber)->session.client->remote, 1);
}

static int poll_client_on_charge(struct subscriber *subscriber) { return poll_client_charge(poll_client_here(subscriber)); }

/* Polls read for themselves, and receive the results of their own queries. */
static void poll_client_on_joined(struct subscriber *subscriber, struct bytes channel, struct replay *replay) {
  (void)replay;
  poll_channels_subscribed(poll_client_here(subscriber), channel);
}

static const struct session_ops poll_client_session = {.make = poll_client_on_make,
                                                       .slot = poll_client_on_slot,
                                                       .question = poll_client_on_question,
                                                       .is_open = poll_client_is_open,
                                                       .is_connecting = poll_client_is_connecting,
                                                       .connected = poll_client_on_connected,
                                                       .remote = poll_client_on_remote,
                                                       .read = poll_client_on_read,
                                                       .resume = session_resume,
                                                       .on_answer = session_on_answer,
                                                       .close = poll_client_on_close,
                                                       .may_join = poll_client_may_join,
                                                       .charge = poll_client_on_charge,
                                                       .joined = poll_client_on_joined};
