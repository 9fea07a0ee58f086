#include "http/cors.h"

#include "auth/origin.h"
#include "http/exchange.h"
#include "http/request.h"

const char cors_refusal[] = "the origin of the page differs from Host, and the option origins does not list it";

static const struct http_head *head_of(struct exchange *exchange) { return exchange_request(exchange)->head; }

/* Returns the request's Origin, or nothing if there is none, or more than one. */
static struct bytes origin_of(const struct http_head *head) {
  if (http_head_count(head, BYTES("origin")) != 1) return bytes_of(NULL, 0);
  return http_head_field(head, BYTES("origin"));
}

static bool is_same_origin(struct exchange *exchange, struct bytes origin) {
  return origin_is_same(origin, head_of(exchange)->host, exchange_scheme_text(exchange));
}

static enum origin_match check_origin(struct exchange *exchange, struct bytes origin) {
  if (origin.len == 0) return ORIGIN_REFUSED;
  return config_check_origin(exchange_config(exchange), origin);
}

/* Which site the page is of, as the browser states it; pages cannot set the field. */
enum site { SITE_UNKNOWN, SITE_SAME_ORIGIN, SITE_NONE, SITE_OTHER };

static enum site site_of(const struct http_head *head) {
  struct bytes site = http_head_field(head, BYTES("sec-fetch-site"));
  if (!site.ptr) return SITE_UNKNOWN;
  if (bytes_equal(site, BYTES("same-origin"))) return SITE_SAME_ORIGIN;
  return bytes_equal(site, BYTES("none")) ? SITE_NONE : SITE_OTHER; /* "none": the user has typed the address */
}

bool cors_allows(struct exchange *exchange) {
  const struct http_head *head = head_of(exchange);
  if (http_head_count(head, BYTES("origin")) == 0) {
    return site_of(head) != SITE_OTHER || config_check_origin(exchange_config(exchange), BYTES("null")) != ORIGIN_REFUSED;
  }
  struct bytes origin = origin_of(head);
  return is_same_origin(exchange, origin) || check_origin(exchange, origin) != ORIGIN_REFUSED;
}

/* The origins of a raw WebSocket may be its own. */
static bool is_listed(struct exchange *exchange, struct bytes origin) {
  const struct mw_config *config = exchange_config(exchange);
  const struct route *route = exchange_request(exchange)->route;
  if (origin.len == 0) return false;
  if (!route || !route->websocket) return config_check_origin(config, origin) == ORIGIN_LISTED;
  return config_websocket_check_origin(route->websocket, config, origin) == ORIGIN_LISTED;
}

bool cors_proves_trust(struct exchange *exchange) {
  const struct http_head *head = head_of(exchange);
  struct bytes origin = origin_of(head);
  /* A page without referrers has the Origin "null" where it posts to its own origin. */
  return site_of(head) == SITE_SAME_ORIGIN || is_same_origin(exchange, origin) || is_listed(exchange, origin);
}

bool cors_trusts(struct exchange *exchange) {
  const struct http_head *head = head_of(exchange);
  bool is_no_page = http_head_count(head, BYTES("origin")) == 0 && site_of(head) != SITE_OTHER;
  return is_no_page || cors_proves_trust(exchange);
}

void cors_add(struct exchange *exchange, const struct http_fields *fields, struct http_fields *out) {
  if (http_fields_have(fields, BYTES("access-control-allow-origin"))) return;
  const struct http_head *head = head_of(exchange);
  struct bytes origin = origin_of(head);
  http_fields_add(out, BYTES("Vary"), BYTES("Origin"));
  if (is_same_origin(exchange, origin)) return;
  enum origin_match match = check_origin(exchange, origin);
  if (match == ORIGIN_REFUSED) return;
  /* "*" lets every page read what is public, but not what a user's cookie opens. */
  http_fields_add(out, BYTES("Access-Control-Allow-Origin"), match == ORIGIN_LISTED ? origin : BYTES("*"));
  if (match == ORIGIN_LISTED) http_fields_add(out, BYTES("Access-Control-Allow-Credentials"), BYTES("true"));
  http_fields_add(out, BYTES("Access-Control-Expose-Headers"), BYTES("Retry-After"));
}

void cors_add_preflight(struct exchange *exchange, struct bytes methods, struct http_fields *out) {
  const struct http_head *head = head_of(exchange);
  if (!cors_allows(exchange)) return;
  struct bytes wanted = http_head_field(head, BYTES("access-control-request-headers"));
  if (wanted.len == 0) wanted = BYTES("authorization, cache-control, content-type, last-event-id, x-moonwire-client");
  http_fields_add(out, BYTES("Access-Control-Allow-Methods"), methods);
  http_fields_add(out, BYTES("Access-Control-Allow-Headers"), wanted);
  http_fields_add(out, BYTES("Access-Control-Max-Age"), BYTES("600"));
  http_fields_add(out, BYTES("Vary"), BYTES("Access-Control-Request-Headers"));
}
