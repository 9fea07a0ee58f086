#include "server/session.h"

#include "base/log_limit.h"
#include "base/memory.h"
#include "server/conn.h"
#include "server/deflate.h"
#include "server/lag.h"
#include "server/names.h"
#include "server/native.h"
#include "server/server.h"

int session_subscribe(struct exchange *exchange, struct bytes name, const struct channel_policy *policy) {
  struct session *session = &exchange->session;
  struct subscription *subscription = &session->first;
  if (session->first.channel) {
    subscription = memory_calloc(1, sizeof *subscription);
    if (!subscription) return MW_ENOMEM;
  }
  subscription->owner = exchange;
  subscription->mark = 0;
  int status = hub_subscribe(&exchange_worker(exchange)->hub, name, policy, subscription);
  if (status < 0) {
    if (subscription != &session->first) memory_free(subscription);
    return status;
  }
  if (subscription != &session->first) {
    subscription->next = session->first.next;
    session->first.next = subscription;
  }
  session->subscription_count++;
  log_limited(MW_LOG_DEBUG, "subscribe %.*s", (int)name.len, name.ptr);
  return 0;
}

struct subscription *session_next(struct session *session, struct subscription *subscription) {
  if (subscription) return subscription->next;
  return session->first.channel ? &session->first : session->first.next;
}

struct subscription *session_find(struct session *session, struct bytes name) {
  struct subscription *subscription = NULL;
  while ((subscription = session_next(session, subscription))) {
    if (bytes_equal(subscription->channel->name, name)) return subscription;
  }
  return NULL;
}

void session_unsubscribe(struct exchange *exchange, struct subscription *subscription) {
  struct session *session = &exchange->session;
  session_settle(exchange, 0);
  if (exchange->flags & EXCHANGE_LAGS) lag_leave(exchange, subscription);
  names_leave(exchange, subscription, true);
  hub_unsubscribe(&exchange_worker(exchange)->hub, subscription);
  session->subscription_count--;
  if (subscription == &session->first) return;
  struct subscription *before = &session->first;
  while (before->next != subscription) before = before->next;
  before->next = subscription->next;
  memory_free(subscription);
}

void session_end(struct exchange *exchange) {
  struct session *session = &exchange->session;
  struct hub *hub = &exchange_worker(exchange)->hub;
  session->turn = NULL;
  if (session->subscription_count > 0) log_limited(MW_LOG_DEBUG, "unsubscribe from %u channels", session->subscription_count);
  names_leave(exchange, &session->first, false);
  hub_unsubscribe(hub, &session->first);
  while (session->first.next) {
    struct subscription *subscription = session->first.next;
    session->first.next = subscription->next;
    names_leave(exchange, subscription, false);
    hub_unsubscribe(hub, subscription);
    memory_free(subscription);
  }
  session->subscription_count = 0;
}

/* The message as it is written, part of a blob that the caller owns; a ptr of NULL without memory. */
static struct bytes encode(struct exchange *exchange, struct message *message, struct blob **blob) {
  *blob = deflate_message(exchange, message);
  if (*blob) return form_slice(*blob, exchange_framing(exchange));
  exchange_break(exchange);
  return bytes_of(NULL, 0);
}

/* True if the message is not for this one. */
static bool is_excepted(struct exchange *exchange, const struct message *message) {
  struct bytes except = message->parts.except;
  if (except.len == 0 || !(exchange->flags & EXCHANGE_NATIVE)) return false;
  const struct mw_client *client = conn_of(exchange)->native->client;
  return client && bytes_equal(except, bytes_of(client->id, CLIENT_ID_LEN));
}

/* Appends what is behind the first `skip` bytes, which are written. What cannot be told apart any more is never let go: a part of a message, or
 * one that later ones refer to. */
static void append(struct exchange *exchange, struct message *message, size_t skip) {
  struct blob *blob;
  struct bytes part = encode(exchange, message, &blob);
  if (!part.ptr) return;
  bool is_whole = skip == 0 && exchange->wire != FORM_WS_OWN;
  exchange_append(exchange, blob, bytes_of(part.ptr + skip, part.len - skip), is_whole ? message : NULL);
  blob_unref(blob);
}

void session_replay(struct exchange *exchange, struct message *message) {
  if (!is_excepted(exchange, message)) append(exchange, message, 0);
}

/* True if, with this message, more would wait than may, or the oldest waits for too long. */
static bool is_over(struct exchange *exchange, const struct channel_policy *policy, const struct message *message) {
  const struct outbox *outbox = exchange->outbox;
  size_t waiting = exchange->wire == FORM_WS_OWN ? outbox_own_size(outbox) : outbox_messages_size(outbox);
  if (waiting == 0) return false;
  uint64_t now_ms = exchange_worker(exchange)->loop->clock.now_ms;
  return waiting + message_len(message) > policy->outbox ||
         (policy->age_ms > 0 && outbox_age_ms(outbox, now_ms) > policy->age_ms);
}

static void push_own(struct exchange *exchange, struct message *message) {
  struct blob *blob;
  struct bytes part = encode(exchange, message, &blob);
  if (!part.ptr) return;
  exchange_push(exchange, blob, part);
  blob_unref(blob);
}

static void push_message(struct exchange *exchange, struct subscription *subscription, struct message *message, size_t skip) {
  const struct channel_policy *policy = &subscription->channel->policy;
  if (message_is_own(message) && skip == 0) {
    push_own(exchange, message);
    return;
  }
  if (skip == 0 && is_over(exchange, policy, message)) exchange_offer(exchange);
  if (skip == 0 && is_over(exchange, policy, message)) {
    lag_stall(exchange, subscription, message);
  } else {
    append(exchange, message, skip);
  }
}

/* Up to the turn list's message `end`. */
static void settle_until(struct exchange *exchange, uint32_t end, size_t skip) {
  struct session *session = &exchange->session;
  struct subscription *subscription = session->turn;
  if (!subscription) return;
  const struct channel *channel = subscription->channel;
  session->turn = NULL;
  for (uint32_t i = session->turn_start; i < end; i++) {
    struct blob *blob = message_form(channel->turn[i], exchange->wire);
    size_t len = blob ? form_slice(blob, exchange_framing(exchange)).len : 0;
    if (blob && skip >= len) {
      skip -= len;
      continue;
    }
    bool taken = skip == 0 && exchange->flags & EXCHANGE_LAGS && lag_take(exchange, subscription, channel->turn[i]);
    if (!taken) push_message(exchange, subscription, channel->turn[i], skip);
    skip = 0;
  }
}

void session_settle(struct exchange *exchange, size_t skip) {
  if (exchange->session.turn) settle_until(exchange, exchange->session.turn->channel->turn_count, skip);
}

void session_deliver(struct subscription *subscription, struct message *message) {
  struct exchange *exchange = subscription->owner;
  struct session *session = &exchange->session;
  /* The channel goes on. */
  if (message && message->position > 0) subscription->mark &= (uint32_t)~LAG_ENDED;
  if (exchange->role && exchange->role->on_deliver) {
    exchange->role->on_deliver(exchange, message);
    return;
  }
  if (message && is_excepted(exchange, message)) {
    /* The turn list goes on without it: what came before is taken out of the list. */
    if (session->turn == subscription) settle_until(exchange, subscription->channel->turn_count - 1, 0);
    if (message->parts.is_final) lag_end(exchange);
    return;
  }
  if (message && message->parts.is_final) lag_end(exchange);
  if (session->turn == subscription && message) {
    if (!(exchange->flags & EXCHANGE_LAGS)) return;
    /* It may be one to be read later, which the list must not bring. */
    settle_until(exchange, subscription->channel->turn_count - 1, 0);
  }
  if (message && exchange->flags & EXCHANGE_LAGS && lag_take(exchange, subscription, message)) return;
  if (!message) {
    exchange->flags |= EXCHANGE_BROKEN;
  } else if (!session->turn && !exchange->outbox && exchange->wire != FORM_WS_OWN) {
    session->turn = subscription;
    session->turn_start = subscription->channel->turn_count - 1;
  } else {
    /* The last of the turn list is this message: what is settled must end before it, unless it is of the same list, which was seen above. */
    session_settle(exchange, 0);
    /* That may have made it lag. */
    bool taken = exchange->flags & EXCHANGE_LAGS && lag_take(exchange, subscription, message);
    if (!taken) push_message(exchange, subscription, message, 0);
  }
  worker_mark_dirty(exchange_worker(exchange), conn_of(exchange));
}
