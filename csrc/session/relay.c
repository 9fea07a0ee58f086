#include "session/relay.h"

#include "base/memory.h"
#include "http/exchange.h"
#include "session/reply.h"

/* A publish, and the verb that it answers. */
struct relay {
  struct completion completion;
  struct subscriber *subscriber; /* while it is published; a kept one finds it by `sender` */
  const struct verb *verb;       /* as `subscriber`; a kept one has copies: */
  struct blob *ref, *channel;
  struct http *http;
  struct address sender;
  struct reply reply;
  bool keeps;
};

static void answer_relay(struct subscriber *subscriber, const struct relay *relay, struct bytes ref, struct bytes channel,
                         int status) {
  struct outcome outcome = {.type = OUTCOME_DONE};
  if (relay->keeps) outcome = (struct outcome){.type = OUTCOME_KEPT, .id = bytes_string(relay->completion.id)};
  if (status < 0) {
    struct order_refusal why = order_refusal(status);
    struct refusal refusal = {.channel = channel, .status = why.status, .code = why.code, .reason = why.reason};
    reply_error(subscriber, &relay->reply, ref, &refusal);
  } else {
    reply_ok(subscriber, &relay->reply, ref, &outcome);
  }
}

/* Returns the subscriber to answer, or NULL if none waits. A request that was sent on behalf of a
 * client is answered even if that client has disconnected. */
static struct subscriber *find_sender(const struct relay *relay) {
  struct subscriber *subscriber = slots_find(relay->http->slots, relay->sender);
  if (!relay->reply.class->is_awaited) return subscriber && session_ops(subscriber)->is_open(subscriber) ? subscriber : NULL;
  struct exchange *waiting = subscriber ? NULL : exchange_find(relay->http, relay->reply.waiting);
  return waiting ? &waiting->subscriber : subscriber;
}

static void relay_free(struct relay *relay) {
  blob_unref(relay->ref);
  blob_unref(relay->channel);
  memory_free(relay);
}

static void on_relay_done(struct completion *completion, int status) {
  struct relay *relay = container_of(completion, struct relay, completion);
  struct subscriber *subscriber = find_sender(relay);
  order_end_waiting(relay->http->app);
  if (subscriber) answer_relay(subscriber, relay, blob_bytes(relay->ref), blob_bytes(relay->channel), status);
  relay_free(relay);
}

static struct completion *keep_relay_call(struct completion *completion) {
  struct relay *relay = container_of(completion, struct relay, completion);
  struct relay *kept = session_take_name(relay->subscriber) == 0 ? memory_alloc(sizeof *kept) : NULL;
  if (!kept) return NULL;
  *kept = *relay;
  kept->subscriber = NULL;
  kept->verb = NULL;
  kept->sender = session_address(relay->subscriber);
  kept->ref = blob_new(relay->verb->ref.raw);
  kept->channel = blob_new(relay->verb->channel);
  if (kept->ref && kept->channel && order_begin_waiting(kept->http->app)) return &kept->completion;
  relay_free(kept);
  return NULL;
}

void relay_event(struct subscriber *subscriber, const struct relay_call *call) {
  const struct verb *verb = call->verb;
  struct message_parts parts = {.channel = verb->channel,
                                .event = verb->event,
                                .data = verb->is_binary ? verb->payload : verb->data.raw,
                                .from = client_user_id(call->client),
                                .except = bytes_of(call->client->id, CLIENT_ID_LEN),
                                .is_binary = verb->is_binary};
  if (!verb->is_binary && parts.data.len == 0) parts.data = BYTES("null");
  struct relay relay = {.completion = {.http = http_of(subscriber), .keep = keep_relay_call, .on_done = on_relay_done},
                        .subscriber = subscriber,
                        .verb = verb,
                        .http = http_of(subscriber),
                        .reply = *call->reply,
                        .keeps = call->rule->keep};
  struct orderer *orderer = relay.http->app->orderer;
  int status = orderer->publish(orderer, call->kind, &parts, !relay.keeps, &relay.completion);
  if (status != MW_PENDING) answer_relay(subscriber, &relay, verb->ref.raw, verb->channel, status);
}
