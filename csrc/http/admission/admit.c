#include "http/admission/admit.h"

#include "base/log_limit.h"
#include "http/request.h"

/* The number of the bucket of an address (rates_key). */
#define HANDSHAKE_BUCKET (UINT64_C(1) << 32)

static bool admit_is_stream(struct exchange *exchange, const struct role *role) {
  const struct route *route = exchange_request(exchange)->route;
  return role->opens == ROLE_OPENS_STREAM || (route && route->type == ROUTE_STREAM);
}

static void admit_refuse(struct exchange *exchange, const struct role *role, const char *reason, uint32_t retry_ms) {
  if (admit_is_stream(exchange, role)) {
    exchange_become(exchange, role); /* which ends the stream */
    exchange_retry_later(exchange, retry_ms);
  } else {
    exchange_refuse_later(exchange, 429, "rate_limited", reason, retry_ms);
  }
}

/* Returns after how many milliseconds the address may try again; 0: it may now. */
static uint32_t admit_wait(struct exchange *exchange) {
  struct app *app = exchange_app(exchange);
  char remote[REMOTE_MAX];
  size_t refused;
  if (!rate_is_limited(app->config->handshake_rate)) return 0;
  exchange_remote(exchange, remote, sizeof remote);
  struct party_key address = party_key_of_address(remote);
  if (address.len == 0) return 0;
  struct rates_token token = {.key =
                                  rates_key(&app->rates, bytes_of(address.text, address.len), bytes_of("", 0), HANDSHAKE_BUCKET),
                              .rate = app->config->handshake_rate};
  uint64_t wait_ns = rates_take(&app->rates, &token, 1, exchange_http(exchange)->loop->clock.now_ms * 1000000, &refused);
  if (wait_ns == 0) return 0;
  limit_count(&app->limits, MW_LIMIT_ADDRESS_HANDSHAKES);
  log_limited(MW_LOG_WARNING, "refused a stream: limits.address_handshakes reached (address=%s)", remote);
  return (uint32_t)((wait_ns + 999999) / 1000000);
}

bool admit_request(struct exchange *exchange, const struct role *role) {
  if (exchange_request(exchange)->is_over) {
    admit_refuse(exchange, role, "too many connections of this address: limits.address_connections", 0);
    return false;
  }
  if (role->opens == ROLE_OPENS_NOTHING && !admit_is_stream(exchange, role)) return true;
  uint32_t wait_ms = admit_wait(exchange);
  if (wait_ms == 0) return true;
  admit_refuse(exchange, role, "too many new streams of this address: limits.address_handshakes", wait_ms);
  return false;
}
