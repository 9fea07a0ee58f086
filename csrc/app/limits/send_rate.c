#include "app/limits/send_rate.h"

#include "app/socket.h"
#include "base/log_limit.h"

/* What is counted: the index of the token, and a part of its key. */
enum counted { BY_CLIENT, BY_CLIENT_IN_CHANNEL, BY_CHANNEL, COUNTED };

/* Numbers of rules follow these in keys. */
enum { FIRST_RULE = COUNTED };

/* Unlike for limits of addresses, a local address counts: most often it is a back end, or someone
 * who develops. */
static struct party_key send_rate_key(const struct send_rate *send) {
  if (!send->is_transient || send->client->user_id) return party_key_of_client(send->client);
  struct party_key key = party_key_of_address(send->client->remote);
  if (key.len > 0) return key;
  size_t len = strlen(send->client->remote);
  key.len = len < PARTY_KEY_MAX ? len : PARTY_KEY_MAX;
  memcpy(key.text, send->client->remote, key.len);
  return key;
}

uint32_t send_rate_wait_ms(uint64_t wait_ns) {
  uint64_t wait_ms = (wait_ns + 999999) / 1000000;
  return wait_ms < UINT32_MAX ? (uint32_t)wait_ms : UINT32_MAX;
}

static void send_rate_log(const struct send_rate *send, enum mw_limit limit) {
  const char *name = mw_limit_name(limit), *pattern = send->kind->pattern.text;
  if (limit == MW_LIMIT_RATE) {
    log_limited(MW_LOG_WARNING, "refused a message: limits.rate reached (client=%s)", send->client->remote);
  } else {
    log_limited(MW_LOG_WARNING, "refused a message: limits of channel \"%s\" reached (limit=%s event=%s client=%s)", pattern,
                name, send->rule->event, send->client->remote);
  }
}

static void send_rate_refuse(const struct send_rate *send, enum counted counted, struct send_rate_refusal *refusal) {
  static const char *const reasons[] = {[BY_CLIENT] = "too many messages: limits.rate",
                                        [BY_CLIENT_IN_CHANNEL] = "too many messages to this channel: limits.rate of the channel",
                                        [BY_CHANNEL] =
                                            "too many messages of all clients to this channel: limits.total_rate of the channel"};
  bool is_event = counted == BY_CLIENT_IN_CHANNEL && rate_is_limited(send->rule->rate);
  static const enum mw_limit limits[] = {
      [BY_CLIENT] = MW_LIMIT_RATE, [BY_CLIENT_IN_CHANNEL] = MW_LIMIT_CHANNEL_RATE, [BY_CHANNEL] = MW_LIMIT_CHANNEL_TOTAL_RATE};
  enum mw_limit limit = is_event ? MW_LIMIT_CHANNEL_EVENT_RATE : limits[counted];
  refusal->reason = is_event ? "too many of these events to this channel: limits.events of the channel" : reasons[counted];
  /* What others send is not this client's fault. */
  refusal->closes = counted == BY_CLIENT              ? send->config->options.rate_closes
                    : counted == BY_CLIENT_IN_CHANNEL ? send->kind->rate_closes
                                                      : false;
  limit_count(&send->app->limits, limit);
  send_rate_log(send, limit);
}

bool send_rate_allows(const struct send_rate *send, struct send_rate_refusal *refusal) {
  struct rates *rates = &send->app->rates;
  struct rates_token tokens[COUNTED] = {
      [BY_CLIENT] = {.rate = send->config->rate},
      [BY_CLIENT_IN_CHANNEL] = {.rate = rate_is_limited(send->rule->rate) ? send->rule->rate : send->kind->rate},
      [BY_CHANNEL] = {.rate = send->kind->total_rate}};
  uint64_t number = BY_CLIENT_IN_CHANNEL;
  bool is_limited = false;
  for (size_t i = 0; i < COUNTED; i++) is_limited = is_limited || rate_is_limited(tokens[i].rate);
  if (!is_limited) return true;
  struct party_key key = send_rate_key(send);
  struct bytes who = bytes_of(key.text, key.len), none = bytes_of("", 0);
  if (rate_is_limited(send->rule->rate)) number = FIRST_RULE + (uint64_t)(send->rule - send->kind->events);
  tokens[BY_CLIENT].key = rates_key(rates, who, none, BY_CLIENT);
  if (rate_is_limited(tokens[BY_CLIENT_IN_CHANNEL].rate))
    tokens[BY_CLIENT_IN_CHANNEL].key = rates_key(rates, who, send->channel, number);
  if (rate_is_limited(tokens[BY_CHANNEL].rate)) tokens[BY_CHANNEL].key = rates_key(rates, none, send->channel, BY_CHANNEL);
  size_t refused;
  uint64_t wait_ns = rates_take(rates, tokens, COUNTED, send->now_ms * 1000000, &refused);
  if (wait_ns == 0) return true;
  send_rate_refuse(send, (enum counted)refused, refusal);
  refusal->wait_ms = send_rate_wait_ms(wait_ns);
  return false;
}

uint32_t send_rate_charge(struct app *app, const struct mw_socket *socket, uint64_t now_ms) {
  const struct websocket *websocket = socket->websocket;
  struct rates_token token = {.rate = websocket->has_rate ? websocket->rate : socket->config->rate};
  if (!rate_is_limited(token.rate)) return 0;
  struct party_key key = party_key_of_client(socket->client);
  uint64_t number = websocket->has_rate ? RATE_OF_ENDPOINTS + (uint64_t)socket->route : BY_CLIENT;
  token.key = rates_key(&app->rates, bytes_of(key.text, key.len), bytes_of("", 0), number);
  bool closes = socket->config->options.rate_closes;
  size_t refused;
  uint64_t wait_ns = closes ? rates_take(&app->rates, &token, 1, now_ms * 1000000, &refused)
                            : rates_charge(&app->rates, &token, now_ms * 1000000);
  if (wait_ns == 0) return 0;
  limit_count(&app->limits, MW_LIMIT_WEBSOCKET_RATE);
  log_limited(MW_LOG_WARNING, "%s a WebSocket of %s: limits.rate reached (client=%s)", closes ? "closed" : "paused",
              config_route_at(socket->config, socket->route)->pattern.text, socket->client->remote);
  return send_rate_wait_ms(wait_ns);
}
