#include "transport/poll_client.h"

#include "base/array.h"
#include "base/log_limit.h"
#include "base/memory.h"
#include "codec/envelope.h"
#include "codec/json_scan.h"
#include "delivery/subscriber.h"
#include "server/native.h"
#include "server/reply.h"

static const struct role role_poll_client;

static struct poll_client *client_of(struct exchange *exchange) { return native_of(exchange)->poll; }

struct mw_client *poll_client_identity(const struct poll_client *client) {
  return native_of(client->exchange)->client;
}

/* ---- Life ----------------------------------------------------------------------------------------------------------------- */

bool poll_client_allowed(struct http *http, const char *remote, size_t count) {
  size_t max = http->app->config->options.limits.address_polls;
  struct party_key key = party_key_of_address(remote);
  if (party_has_room(&http->app->parties, &key, PARTY_POLLS, count, max)) return true;
  log_limited(MW_LOG_WARNING, "refused a client that polls, or a channel of one: limits.address_polls (%zu) is reached by %s",
              max, remote);
  return false;
}

int poll_client_charge(struct poll_client *client) {
  struct http *http = exchange_http(client->exchange);
  struct parties *parties = &http->app->parties;
  size_t held = 1 + client->exchange->subscriber.subscription_count, before = client->charged;
  if (held < before) {
    party_give_back(parties, client->party, PARTY_POLLS, before - held);
    client->charged = held;
  }
  if (held <= before) return 0;
  const char *remote = poll_client_identity(client)->remote;
  struct party_key key = party_key_of_address(remote);
  struct party *party;
  int status = party_take(parties, &key, PARTY_POLLS, held - before, http->app->config->options.limits.address_polls, &party);
  if (status < 0) return status;
  client->party = party;
  client->charged = held;
  return 0;
}

int poll_client_new(struct http *http, struct script_job *job, struct poll_client **out) {
  struct exchange *exchange = exchange_without_peer(http, &role_poll_client);
  if (!exchange) return MW_ENOMEM;
  struct native *native = native_get(exchange);
  struct poll_client *client = native ? memory_calloc(1, sizeof *client) : NULL;
  exchange_set_form(exchange, FORM_POLL);
  if (client) {
    client->exchange = exchange;
    list_init(&client->polls);
    native->poll = client;
    exchange->subscriber.flags |= SUBSCRIBER_COLLECTS;
  }
  int status = client ? native_identify(exchange, job->client) : MW_ENOMEM;
  if (status == 0) status = poll_client_charge(client);
  if (status < 0) {
    exchange_disconnect(exchange);
    return status;
  }
  native_keep(exchange, job);
  *out = client;
  return 0;
}

struct poll_client *poll_client_find(struct http *http, struct bytes id) {
  struct mw_client *identity = registry_find(&http->app->registry, id);
  if (!identity) return NULL;
  struct exchange *exchange = exchange_find(http, identity->session);
  mw_client_unref(identity);
  bool lives = exchange && exchange->role == &role_poll_client && exchange->state == EXCHANGE_STREAMING;
  return lives && !client_of(exchange)->is_over ? client_of(exchange) : NULL;
}

void poll_client_attach(struct poll_client *client, struct poll *poll) {
  poll->client = client;
  list_append(&client->polls, &poll->link);
}

/* From now on it must poll again in time. */
void poll_client_detach(struct poll *poll) {
  struct poll_client *client = poll->client;
  struct exchange *exchange = client->exchange;
  if (client->waiting == poll) client->waiting = NULL;
  list_remove(&poll->link);
  poll->client = NULL;
  exchange_note_heard(exchange);
  if (exchange->state == EXCHANGE_STREAMING) exchange_set_deadline(exchange);
}

void poll_client_end(struct poll_client *client) {
  client->is_over = true;
  subscriber_mark(&client->exchange->subscriber);
}

/* ---- Channels that have ended --------------------------------------------------------------------------------------------- */

static struct poll_left *find_left(const struct poll_client *client, struct bytes name) {
  for (size_t i = 0; i < client->left_count; i++) {
    if (bytes_equal(client->left[i]->name, name)) return client->left[i];
  }
  return NULL;
}

/* True if the channel was left, and nothing has come since. */
static bool has_left(const struct poll_client *client, struct bytes name) {
  const struct poll_left *left = find_left(client, name);
  return left && store_ended(exchange_delivery(client->exchange)->hub->store, name) == left->ended;
}

/* False without memory or room. */
static bool note_left(struct poll_client *client, const struct subscription *subscription) {
  const struct channel *channel = subscription->channel;
  struct poll_left *left = find_left(client, channel->name);
  if (!left) {
    size_t room = exchange_config(client->exchange)->options.limits.client_channels;
    struct poll_left **grown = array_reserve(client->left, sizeof *grown, &client->left_capacity, client->left_count + 1, room);
    if (!grown) return false;
    client->left = grown;
    left = memory_alloc(sizeof *left + channel->name.len);
    if (!left) return false;
    memcpy(left->text, channel->name.ptr, channel->name.len);
    left->name = bytes_of(left->text, channel->name.len);
    client->left[client->left_count++] = left;
  }
  left->ended = channel->stored->ended;
  left->asked = subscription->mark & POLL_ASKED;
  return true;
}

/* What could not be noted stays subscribed for now, so that its end is read there. */
static void leave_ended(struct poll_client *client) {
  struct exchange *exchange = client->exchange;
  struct subscription *subscription = subscriber_next(&exchange->subscriber, NULL);
  while (subscription) {
    struct subscription *next = subscriber_next(&exchange->subscriber, subscription);
    struct channel *channel = subscription->channel;
    if (channel->stored->ended > 0 && note_left(client, subscription)) native_unsubscribe(exchange, channel->name, NULL, NULL);
    subscription = next;
  }
}

static bool is_named(struct subscribe_query *query, struct bytes name) {
  for (size_t i = 0; i < query->channel_count; i++) {
    if (bytes_equal(subscribe_query_channels(query)[i].name, name)) return true;
  }
  return false;
}

/* True if a client whose next poll is this one needs to know of it no longer. */
static bool is_done_with(struct poll *poll, const struct poll_left *left) {
  struct exchange *exchange = poll->client->exchange;
  if (subscriber_find(&exchange->subscriber, left->name)) return true; /* it has begun anew */
  if (left->asked) return poll->query.channel_count > 0 && !is_named(&poll->query, left->name);
  return poll->since.kind == SINCE_POSITION && poll->since.position >= left->ended;
}

static void forget_left(struct poll *poll) {
  struct poll_client *client = poll->client;
  for (size_t i = client->left_count; i-- > 0;) {
    if (!is_done_with(poll, client->left[i])) continue;
    memory_free(client->left[i]);
    client->left[i] = client->left[--client->left_count];
  }
}

void poll_client_tell_restarts(const struct poll *poll, struct poll_answer *answer) {
  const struct poll_client *client = poll->client;
  for (size_t i = 0; poll->names_channels && i < client->left_count; i++) {
    const struct poll_left *left = client->left[i];
    if (left->asked && !has_left(client, left->name)) poll_answer_add_gap(answer, left->name);
  }
}

void poll_client_subscribed(struct poll_client *client, struct bytes channel) {
  struct exchange *exchange = client->exchange;
  const struct subscription *subscription = subscriber_find(&exchange->subscriber, channel);
  if (!subscription || subscription->channel->stored->ended == 0) return;
  reply_channel_event(exchange, BYTES("moonwire:end"), channel, bytes_of(NULL, 0));
  native_unsubscribe(exchange, channel, NULL, NULL);
}

/* ---- Channels ------------------------------------------------------------------------------------------------------------- */

/* Leaves what an earlier query asked for and this one does not; what the app or a verb subscribed it to is theirs. */
static void leave_others(struct exchange *exchange, struct subscribe_query *query) {
  struct subscription *subscription = NULL;
  while (query->channel_count > 0 && (subscription = subscriber_next(&exchange->subscriber, subscription))) {
    if (!(subscription->mark & POLL_ASKED) || is_named(query, subscription->channel->name)) continue;
    subscription->mark &= ~(uint32_t)POLL_ASKED;
    native_unsubscribe(exchange, subscription->channel->name, NULL, NULL);
    subscription = NULL; /* it may have gone: from the beginning */
  }
}

static void begin(struct poll *poll) {
  struct subscriber *subscriber = &poll->client->exchange->subscriber;
  /* What a poll had asked for that has gone meanwhile may have been joined only now. */
  leave_others(poll->client->exchange, &poll->query);
  for (size_t i = 0; i < poll->query.channel_count; i++) {
    struct subscription *subscription = subscriber_find(subscriber, subscribe_query_channels(&poll->query)[i].name);
    struct poll_left *left = find_left(poll->client, subscribe_query_channels(&poll->query)[i].name);
    if (subscription) subscription->mark |= POLL_ASKED;
    if (left) left->asked = true;
  }
  poll->names_channels = poll->query.channel_count > 0;
  forget_left(poll);
  leave_ended(poll->client);
  role_poll_begin(poll);
}

/* One of the things that the client does, one after the other. */
static void subscribe(struct poll *poll, struct bytes channel) {
  struct exchange *exchange = poll->exchange;
  char name[CHANNEL_NAME_MAX];
  /* The poll, and its query, may go before everything is done. */
  memcpy(name, channel.ptr, channel.len);
  struct input input = {.bytes = bytes_of(name, channel.len),
                        .reply_to = {.is_exchange = true, .is_poll = true, .exchange = exchange_address(exchange)}};
  native_receive(poll->client->exchange, &input);
}

void poll_client_join(struct poll *poll) {
  struct exchange *exchange = poll->exchange, *own = poll->client->exchange;
  struct http *http = exchange_http(exchange);
  struct job_channel *channels = subscribe_query_channels(&poll->query);
  size_t count = poll->query.channel_count;
  leave_others(own, &poll->query);
  poll_client_charge(poll->client); /* for fewer */
  for (size_t i = 0; i < count; i++) {
    channels[i].is_due = !subscriber_find(&own->subscriber, channels[i].name) && !has_left(poll->client, channels[i].name);
    poll->joining += channels[i].is_due;
  }
  if (poll->joining == 0) {
    begin(poll);
    return;
  }
  if (exchange_take_name(exchange) < 0) {
    role_poll_refuse(exchange, 503, "unavailable", "no memory");
    return;
  }
  struct address self = exchange_address(exchange);
  if (exchange->state != EXCHANGE_ASKING) exchange_set_state(exchange, EXCHANGE_ASKING);
  /* The reply to one may answer the poll, which ends it. */
  for (size_t i = 0; i < count && slots_find(http->slots, self); i++) {
    if (channels[i].is_due) subscribe(poll, channels[i].name);
  }
}

void poll_client_joined(struct poll *poll, const struct rope *told) {
  const struct job_channel *channels = subscribe_query_channels(&poll->query);
  while (!channels[poll->joined_at].is_due) poll->joined_at++;
  const struct job_channel *channel = &channels[poll->joined_at++];
  if (told) {
    if (rope_len(&poll->joined) > 0) buffer_append_char(&poll->joined.text, ',');
    json_write_string(&poll->joined.text, channel->name);
    buffer_append_char(&poll->joined.text, ':');
    rope_append(&poll->joined, told);
  }
  if (--poll->joining > 0) return;
  if (poll->joined.text.failed) {
    role_poll_refuse(poll->exchange, 503, "unavailable", "no memory");
  } else {
    begin(poll);
  }
}

/* ---- The role ------------------------------------------------------------------------------------------------------------- */

/* What is volatile gets a part of the room: more while a poll waits, which takes it at the end of the turn. */
enum { VOLATILE_PART_WAITING = 2, VOLATILE_PART = 16 };

/* With so many more bytes, more would wait for it than that part of what may. */
static bool is_over(const struct poll_client *client, size_t len, size_t part) {
  size_t limit = exchange_config(client->exchange)->options.limits.outbox, waiting = client->items.own_bytes;
  return waiting > 0 && waiting + poll_items_weight(len) > limit / part;
}

static void on_deliver(struct exchange *exchange, struct message *message) {
  struct poll_client *client = client_of(exchange);
  bool is_excepted = message && subscriber_is_excepted(&exchange->subscriber, message);
  if (!message || message->parts.is_final) {
    client->has_ends = true;
    subscriber_mark(&exchange->subscriber);
  }
  if (is_excepted && !message->parts.is_final) return;
  if (message && message->position == 0) {
    size_t len = message->parts.data.len;
    if (message_is_own(message) && is_over(client, len, 1)) {
      /* Without it the rest would mean nothing: it is to begin anew. */
      exchange->subscriber.flags |= SUBSCRIBER_SLOW;
      poll_client_end(client);
      return;
    }
    /* What is volatile leaves room for that, and for what is meant for this client alone. */
    size_t part = client->waiting ? VOLATILE_PART_WAITING : VOLATILE_PART;
    if (!message_is_own(message) && is_over(client, len, part)) return;
  } else if (!client->waiting || (message && message->position <= client->waiting->seen)) {
    return;
  }
  poll_items_deliver(&client->items, exchange, message, is_excepted);
  if (client->waiting) subscriber_mark(&exchange->subscriber);
}

static void on_push(struct exchange *exchange, struct blob *blob, struct bytes part) {
  struct poll_client *client = client_of(exchange);
  struct http *http = exchange_http(exchange);
  (void)part; /* it is all of the blob */
  bool over = is_over(client, blob->len, 1);
  if (over) exchange->subscriber.flags |= SUBSCRIBER_SLOW;
  if (over || !poll_items_add(&client->items, blob, 0, http->delivery->hub->position)) client->is_over = true;
  subscriber_mark(&exchange->subscriber);
}

static void close_slow(struct exchange *exchange) {
  exchange_http(exchange)->stats->slow_closed++;
  log_limited(MW_LOG_INFO,
              "a client that polls takes too little: %zu bytes wait for it, and more would be over limits.outbox: it is over",
              client_of(exchange)->items.own_bytes);
}

static void on_flush(struct exchange *exchange) {
  struct poll_client *client = client_of(exchange);
  if (client->is_over) {
    if (exchange->subscriber.flags & SUBSCRIBER_SLOW) close_slow(exchange);
    exchange_disconnect(exchange);
    return;
  }
  if (client->waiting && (client->items.count > 0 || client->items.lost)) role_poll_finish(client->waiting);
  if (client->has_ends) leave_ended(client);
  client->has_ends = false;
}

/* Nothing was heard for a while: it has gone, if it does not poll. */
static void on_silent(struct exchange *exchange) {
  if (!list_empty(&client_of(exchange)->polls)) return;
  exchange->flags |= EXCHANGE_PINGED;
  exchange_disconnect(exchange);
}

static void on_answer(struct exchange *exchange, struct script_job *job) { native_on_answer(exchange, job); }

/* Those that wait get what there is; those that have not begun come again. */
static void on_end(struct exchange *exchange) {
  struct poll_client *client = exchange->flags & EXCHANGE_NATIVE ? client_of(exchange) : NULL;
  if (!client) return; /* it was never complete */
  while (!list_empty(&client->polls)) {
    struct poll *poll = container_of(client->polls.next, struct poll, link);
    if (poll == client->waiting) {
      role_poll_finish(poll);
    } else {
      exchange_forget(poll->exchange);
      role_poll_refuse(poll->exchange, 503, "unavailable", "the client has gone");
    }
  }
  party_give_back(&exchange_app(exchange)->parties, client->party, PARTY_POLLS, client->charged);
  poll_items_deinit(&client->items);
  while (client->left_count > 0) memory_free(client->left[--client->left_count]);
  memory_free(client->left);
  memory_free(client);
  native_of(exchange)->poll = NULL;
}

static uint64_t silence_ms(struct exchange *exchange) { return exchange_config(exchange)->options.limits.poll_client_ms; }

static const struct role role_poll_client = {.start = role_nothing,
                                             .on_answer = on_answer,
                                             .on_late = role_nothing,
                                             .finishes = native_finishes,
                                             .on_silent = on_silent,
                                             .on_mail = role_nothing_on_mail,
                                             .on_flushed = role_nothing,
                                             .close = role_close_stream,
                                             .on_end = on_end,
                                             .silence_ms = silence_ms,
                                             .outbox_limit = role_outbox_limit,
                                             ROLE_WRITES_AT_ONCE,
                                             ROLE_NEVER_WAITS,
                                             ROLE_HAS_NO_CLIENT,
                                             ROLE_READS_NOTHING,
                                             .on_deliver = on_deliver,
                                             .on_push = on_push,
                                             .on_flush = on_flush};
