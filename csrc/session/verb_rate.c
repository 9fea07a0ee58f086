#include "session/verb_rate.h"

#include "base/log_limit.h"
#include "session/session.h"

static bool verb_is_counted(const struct subscriber *subscriber, enum verb_type type) {
  switch (type) {
    /* The first one makes no session: most clients never send another verb. */
    case VERB_SUBSCRIBE: return session_of(subscriber) || subscriber->subscription_count > 0;
    case VERB_UNSUBSCRIBE:
    case VERB_PRESENCE:
    case VERB_HISTORY:
    case VERB_TOKEN: return true;
    case VERB_SEND:
    case VERB_CONNECT:
    case VERB_PING:
    case VERB_COUNT: break;
  }
  return false;
}

bool verb_rate_allows(struct subscriber *subscriber, enum verb_type type, struct send_rate_refusal *refusal) {
  struct http *http = http_of(subscriber);
  const struct mw_config *config = http->app->config;
  if (!rate_is_limited(config->verb_rate) || !verb_is_counted(subscriber, type)) return true;
  if (session_take_name(subscriber) < 0) return true; /* out of memory: the verb fails for that reason */
  struct address address = session_address(subscriber);
  struct rates *rates = &http->app->rates;
  struct bytes who = bytes_of((const char *)&address, sizeof address), none = bytes_of("", 0);
  const struct rates_token token = {rates_key(rates, who, none, RATE_OF_VERBS), config->verb_rate};
  size_t refused;
  uint64_t now_ns = http->loop->clock.now_ms * 1000000, wait_ns = rates_take(rates, &token, 1, now_ns, &refused);
  if (wait_ns == 0) return true;
  *refusal = (struct send_rate_refusal){
      .reason = "too many verbs: limits.verb_rate", .wait_ms = send_rate_wait_ms(wait_ns), .closes = config->options.rate_closes};
  limit_count(&http->app->limits, MW_LIMIT_VERB_RATE);
  log_limited(MW_LOG_WARNING, "refused a verb: limits.verb_rate reached");
  return false;
}
