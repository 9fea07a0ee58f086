#include "server/session.h"

#include "base/log.h"
#include "base/memory.h"
#include "server/conn.h"
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
  if (log_enabled(MW_LOG_DEBUG)) log_line(MW_LOG_DEBUG, "subscribe %.*s", (int)name.len, name.ptr);
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
  if (session->subscription_count > 0) log_line(MW_LOG_DEBUG, "unsubscribe from %u channels", session->subscription_count);
  hub_unsubscribe(hub, &session->first);
  while (session->first.next) {
    struct subscription *subscription = session->first.next;
    session->first.next = subscription->next;
    hub_unsubscribe(hub, subscription);
    memory_free(subscription);
  }
  session->subscription_count = 0;
}

static void push_message(struct exchange *exchange, struct message *message, size_t skip, bool replayed) {
  struct blob *blob = wire_of(exchange->wire, message, &exchange_worker(exchange)->server->bus.epoch);
  if (!blob) {
    exchange->flags |= EXCHANGE_BROKEN;
    return;
  }
  struct bytes part = wire_slice(exchange->wire, blob, exchange->flags & EXCHANGE_CHUNKED);
  if (replayed && exchange->outbox) exchange->outbox->allowance += part.len;
  exchange_push(exchange, blob, bytes_of(part.ptr + skip, part.len - skip));
}

void session_replay(struct exchange *exchange, struct message *message) { push_message(exchange, message, 0, true); }

/* Up to the turn list's message `end`. */
static void settle_until(struct exchange *exchange, uint32_t end, size_t skip) {
  struct session *session = &exchange->session;
  if (!session->turn) return;
  const struct channel *channel = session->turn->channel;
  session->turn = NULL;
  for (uint32_t i = session->turn_start; i < end; i++) {
    struct blob *blob = message_wire(channel->turn[i], exchange->wire);
    size_t len = blob ? wire_slice(exchange->wire, blob, exchange->flags & EXCHANGE_CHUNKED).len : 0;
    if (blob && skip >= len) {
      skip -= len;
      continue;
    }
    push_message(exchange, channel->turn[i], skip, false);
    skip = 0;
  }
}

void session_settle(struct exchange *exchange, size_t skip) {
  if (exchange->session.turn) settle_until(exchange, exchange->session.turn->channel->turn_count, skip);
}

/* True if the message is not for this one. */
static bool is_excepted(struct exchange *exchange, const struct message *message) {
  struct bytes except = message->parts.except;
  if (except.len == 0 || !(exchange->flags & EXCHANGE_NATIVE)) return false;
  const struct mw_client *client = conn_of(exchange)->native->client;
  return client && bytes_equal(except, bytes_of(client->id, CLIENT_ID_LEN));
}

void session_deliver(struct subscription *subscription, struct message *message) {
  struct exchange *exchange = subscription->owner;
  struct session *session = &exchange->session;
  if (exchange->role && exchange->role->on_deliver) {
    exchange->role->on_deliver(exchange, message);
    return;
  }
  if (message && is_excepted(exchange, message)) {
    /* The turn list goes on without it: what came before is taken out of the list. */
    if (session->turn == subscription) settle_until(exchange, subscription->channel->turn_count - 1, 0);
    return;
  }
  if (session->turn == subscription && message) return;
  if (!message) {
    exchange->flags |= EXCHANGE_BROKEN;
  } else if (!session->turn && !exchange->outbox) {
    session->turn = subscription;
    session->turn_start = subscription->channel->turn_count - 1;
  } else {
    /* The last of the turn list is this message: what is settled must end before it, unless it is of the same list, which was seen above. */
    session_settle(exchange, 0);
    push_message(exchange, message, 0, false);
  }
  worker_mark_dirty(exchange_worker(exchange), conn_of(exchange));
}
