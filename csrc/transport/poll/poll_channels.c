#include "transport/poll/poll_channels.h"

#include "base/array.h"
#include "base/memory.h"
#include "codec/envelope.h"
#include "dialect/dialect.h"
#include "http/exchange.h"
#include "session/admission.h"
#include "session/input.h"
#include "session/names.h"
#include "transport/poll/poll_client.h"

/* ---- Channels that have ended ---------------------------------------------------------------- */

static struct poll_left *find_left(const struct poll_client *client, struct bytes name) {
  for (size_t i = 0; i < client->left_count; i++) {
    if (bytes_equal(client->left[i]->name, name)) return client->left[i];
  }
  return NULL;
}

/* True if the channel was left, and has no message since. */
static bool has_left(const struct poll_client *client, struct bytes name) {
  const struct poll_left *left = find_left(client, name);
  return left && store_ended(http_of(&client->subscriber)->delivery->hub->store, name) == left->ended;
}

/* Returns false if out of memory or room. */
static bool note_left(struct poll_client *client, const struct subscription *subscription) {
  const struct channel *channel = subscription->channel;
  struct poll_left *left = find_left(client, channel->name);
  if (!left) {
    size_t room = http_of(&client->subscriber)->app->config->options.limits.client_channels;
    struct poll_left **grown = array_reserve(client->left, sizeof *grown, &client->left_capacity, client->left_count + 1, room);
    if (!grown) return false;
    client->left = grown;
    left = memory_alloc(sizeof *left + channel->name.len);
    if (!left) return false;
    memcpy(left->text, channel->name.ptr, channel->name.len);
    left->name = bytes_of(left->text, channel->name.len);
    client->left[client->left_count++] = left;
  }
  left->ended = hub_ended(http_of(&client->subscriber)->delivery->hub, channel);
  left->asked = subscription->mark & SUBSCRIPTION_QUERIED;
  return true;
}

/* A channel that could not be noted stays subscribed for now, so that its end is read there. */
void poll_channels_leave_ended(struct poll_client *client) {
  struct subscriber *subscriber = &client->subscriber;
  struct subscription *subscription = subscriber_next(subscriber, NULL);
  while (subscription) {
    struct subscription *next = subscriber_next(subscriber, subscription);
    struct channel *channel = subscription->channel;
    if (hub_ended(http_of(subscriber)->delivery->hub, channel) > 0 && note_left(client, subscription))
      session_unsubscribe(subscriber, channel->name, NULL, NULL);
    subscription = next;
  }
}

static bool is_named(struct subscribe_query *query, struct bytes name) {
  for (size_t i = 0; i < query->channel_count; i++) {
    if (bytes_equal(subscribe_query_channels(query)[i].name, name)) return true;
  }
  return false;
}

/* True if a client whose next poll is this one does not need it any more. */
static bool is_done_with(struct poll *poll, const struct poll_left *left) {
  if (subscriber_find(&poll->client->subscriber, left->name)) return true; /* it has restarted */
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

void poll_channels_tell_restarts(const struct poll *poll, struct poll_answer *answer) {
  const struct poll_client *client = poll->client;
  for (size_t i = 0; poll->names_channels && i < client->left_count; i++) {
    const struct poll_left *left = client->left[i];
    if (left->asked && !has_left(client, left->name)) poll_answer_add_gap(answer, left->name);
  }
}

void poll_channels_subscribed(struct poll_client *client, struct bytes channel) {
  struct subscriber *subscriber = &client->subscriber;
  const struct subscription *subscription = subscriber_find(subscriber, channel);
  if (!subscription || hub_ended(http_of(subscriber)->delivery->hub, subscription->channel) == 0) return;
  session_tell(subscriber, &(struct event){.type = EVENT_END, .channel = channel});
  session_unsubscribe(subscriber, channel, NULL, NULL);
}

/* ---- Channels -------------------------------------------------------------------------------- */

/* Leaves the channels of an earlier query that this one does not name. Those that the app or a verb
 * subscribed it to stay. */
static void leave_others(struct subscriber *subscriber, struct subscribe_query *query) {
  struct subscription *subscription = NULL;
  while (query->channel_count > 0 && (subscription = subscriber_next(subscriber, subscription))) {
    if (!(subscription->mark & SUBSCRIPTION_QUERIED) || is_named(query, subscription->channel->name)) continue;
    subscription->mark &= ~(uint32_t)SUBSCRIPTION_QUERIED;
    session_unsubscribe(subscriber, subscription->channel->name, NULL, NULL);
    subscription = NULL; /* it may have been freed: from the beginning */
  }
}

static void begin_poll(struct poll *poll) {
  struct subscriber *subscriber = &poll->client->subscriber;
  /* A channel of a poll that has ended in the meantime may have been joined only now. */
  leave_others(subscriber, &poll->query);
  for (size_t i = 0; i < poll->query.channel_count; i++) {
    struct subscription *subscription = subscriber_find(subscriber, subscribe_query_channels(&poll->query)[i].name);
    struct poll_left *left = find_left(poll->client, subscribe_query_channels(&poll->query)[i].name);
    if (subscription) subscription->mark |= SUBSCRIPTION_QUERIED;
    if (left) left->asked = true;
  }
  poll->names_channels = poll->query.channel_count > 0;
  forget_left(poll);
  poll_channels_leave_ended(poll->client);
  poll_begin(poll);
}

/* Subscribes as a request of the client, one after the other. */
static void subscribe_channel(struct poll *poll, struct bytes channel) {
  char name[CHANNEL_NAME_MAX];
  /* The poll, and its query, may end before everything is done. */
  memcpy(name, channel.ptr, channel.len);
  struct input input = {.bytes = bytes_of(name, channel.len),
                        .reply = {.class = &poll_reply, .waiting = session_address(&poll->exchange->subscriber)}};
  session_receive(&poll->client->subscriber, &input);
}

void poll_channels_join(struct poll *poll) {
  struct exchange *exchange = poll->exchange;
  struct subscriber *own = &poll->client->subscriber;
  struct http *http = exchange_http(exchange);
  struct job_channel *channels = subscribe_query_channels(&poll->query);
  size_t count = poll->query.channel_count;
  leave_others(own, &poll->query);
  poll_client_charge(poll->client); /* for fewer */
  for (size_t i = 0; i < count; i++) {
    channels[i].is_due = !subscriber_find(own, channels[i].name) && !has_left(poll->client, channels[i].name);
    poll->joining += channels[i].is_due;
  }
  if (poll->joining == 0) {
    begin_poll(poll);
    return;
  }
  if (session_take_name(&exchange->subscriber) < 0) {
    exchange_refuse(exchange, 503, "unavailable", "out of memory", bytes_of(NULL, 0));
    return;
  }
  struct address self = session_address(&poll->exchange->subscriber);
  if (exchange->state != EXCHANGE_ASKING) exchange_set_state(exchange, EXCHANGE_ASKING);
  /* The reply to one may answer the poll, which ends it. */
  for (size_t i = 0; i < count && slots_find(http->slots, self); i++) {
    if (channels[i].is_due) subscribe_channel(poll, channels[i].name);
  }
}

void poll_channels_joined(struct poll *poll, const struct rope *told) {
  const struct job_channel *channels = subscribe_query_channels(&poll->query);
  while (!channels[poll->joined_at].is_due) poll->joined_at++;
  const struct job_channel *channel = &channels[poll->joined_at++];
  if (told) {
    session_dialect(&poll->subscriber)->poll_joined(&poll->joined, channel->name, told);
  }
  if (--poll->joining > 0) return;
  if (poll->joined.text.failed) {
    exchange_refuse(poll->exchange, 503, "unavailable", "out of memory", bytes_of(NULL, 0));
  } else {
    begin_poll(poll);
  }
}

/* ---- A poll without a client ----------------------------------------------------------------- */

void poll_channels_take(struct poll *poll, struct script_job *job) {
  for (size_t i = 0; i < job->channel_count; i++) {
    subscribe_query_channels(&poll->query)[i].is_followed = job->channels[i].is_followed;
    admission_move(&job->channels[i]);
  }
}

int poll_channels_subscribe(struct poll *poll) {
  struct job_channel *channels = subscribe_query_channels(&poll->query);
  struct http *http = exchange_http(poll->exchange);
  size_t count = poll->query.channel_count;
  int status = 0;
  poll->subscriber.flags |= SUBSCRIBER_COLLECTS;
  for (size_t i = 0; status == 0 && i < count; i++) {
    struct job_channel *channel = &channels[i];
    status = admission_follow(http, channel);
    if (status == 0) status = subscriber_subscribe(&poll->subscriber, channel->name, &channel->kind->policy);
    if (status < 0) break;
    admission_move(channel);
    if (channel->is_new)
      status = names_charge(&poll->exchange->subscriber, NULL, subscriber_find(&poll->subscriber, channel->name));
  }
  admission_return(http, channels, count);
  return status;
}
