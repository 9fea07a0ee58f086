/* The definition of an app, as the server reads it: immutable once a server has it, and shared by
 * reference. */
#ifndef MOONWIRE_APP_CONFIG_H
#define MOONWIRE_APP_CONFIG_H

#include <stdatomic.h>

#include "app/config/broker_config.h"
#include "app/config/mount.h"
#include "base/pattern.h"
#include "base/rate.h"
#include "codec/proxy/forwarded.h"
#include "codec/ws/ws_reader.h"
#include "hub/policy.h"

VISIBILITY_PUSH

struct event_rule {
  char *event; /* owned */
  bool relay, keep;
  struct rate rate; /* of one client in one channel; without a limit: that of the kind */
};

struct kind {
  struct pattern pattern;
  struct event_rule *events; /* events that clients may send */
  size_t event_count;
  struct channel_policy policy;
  unsigned hooks;
  uint64_t linger_ms;
  bool history_readable;
  bool by_token; /* the claim "channels" of a token decides who may subscribe */
  enum mw_presence presence;
  uint64_t presence_linger_ms, presence_interval_ms;
  size_t members;         /* the most members */
  struct rate rate;       /* of one client's messages in one channel */
  struct rate total_rate; /* of all clients' messages in one channel */
  bool rate_closes;       /* a client over its rate is closed */
  size_t message_size;    /* bytes of the data of a client's message */
};
/* Returns true if the script must be asked about clients that join. */
static inline bool kind_asks(const struct kind *kind) { return kind->hooks != 0 || kind->presence != MW_PRESENCE_NONE; }

/* Numbers of routes start here, so that they differ from those of kinds. */
enum { FIRST_ROUTE = 1 << 16 };

enum route_type { ROUTE_HTTP, ROUTE_STREAM, ROUTE_WEBSOCKET };

/* The options of a raw WebSocket endpoint. */
struct websocket {
  char **protocols, **origins;
  size_t protocol_count, origin_count;
  struct ws_limits limits;
  size_t outbox;
  uint64_t ping_ms, pong_ms;
  bool has_rate; /* of its own; otherwise that of the configuration */
  struct rate rate;
  struct mw_deflate_options deflate;
};

/* The methods that a route may have. The route for GET also answers HEAD. */
enum { ROUTE_METHOD_COUNT = 6 };
extern const struct bytes route_methods[ROUTE_METHOD_COUNT];

struct route {
  struct pattern pattern;
  enum route_type type;
  struct bytes method;         /* one of route_methods */
  struct websocket *websocket; /* owned; NULL if it is not a WebSocket */
  bool is_cross_site;          /* pages of other sites may request it with the user's cookies */
  bool checks_origin;          /* pages of origins that are not allowed may not request it */
};

enum endpoint {
  ENDPOINT_SSE,
  ENDPOINT_WS,
  ENDPOINT_SEND,
  ENDPOINT_PUBLISH,
  ENDPOINT_HEALTH,
  ENDPOINT_READY,
  ENDPOINT_POLL,
  ENDPOINT_CLIENT,
  ENDPOINT_COUNT
};

struct mw_config {
  struct policy_owner owner; /* of the policies of its kinds, and of itself */
  /* its strings are owned; paths are never NULL; those of the broker are NULL */
  struct mw_config_options options;
  struct broker_config *broker; /* owned; NULL: none */
  struct rate rate;             /* of one client's messages */
  struct rate verb_rate;        /* of one connection's verbs */
  struct rate handshake_rate;   /* of one address */
  struct kind *kinds;
  size_t kind_count;
  struct route *routes;
  size_t route_count;
  int not_found; /* number of the route for requests that nothing else answers; 0: none */
  struct mount *mounts;
  size_t mount_count;
  char **origins;
  size_t origin_count;
  struct ip_network *trusted; /* networks of proxies */
  size_t trusted_count;
  bool trusts_unix; /* peers of unix sockets */
};

struct mw_config *config_ref(struct mw_config *config);
/* Returns the kind that a policy belongs to, and its configuration. */
static inline const struct kind *config_kind_of(const struct channel_policy *policy) {
  return container_of(policy, const struct kind, policy);
}
static inline struct mw_config *config_of(const struct channel_policy *policy) {
  return container_of(policy->owner, struct mw_config, owner);
}
/* Returns the path of an endpoint; empty if it is turned off. */
struct bytes config_path(const struct mw_config *config, enum endpoint endpoint);
/* Returns the kind of a channel with a valid name, or NULL. */
const struct kind *config_kind(const struct mw_config *config, struct bytes name);
/* Returns the rule for an event that a client sends to a channel of that kind, or NULL. */
const struct event_rule *config_event(const struct kind *kind, struct bytes event);
/* Returns the most specific route of the method for the path, or NULL. Its number is the one that
 * mw_config_route returned. */
const struct route *config_route(const struct mw_config *config, struct bytes method, struct bytes path);
int config_route_number(const struct mw_config *config, const struct route *route);
const struct route *config_route_at(const struct mw_config *config, int number);
/* Adds a route, and takes `websocket` (NULL: it is not a WebSocket). Returns its number, or a
 * negative status. */
int config_add_route(struct mw_config *config, enum route_type type, struct bytes method, const char *text,
                     struct websocket *websocket, struct mw_error *error);
void config_websocket_free(struct websocket *websocket); /* NULL is allowed */
/* Returns the mount with the longest path that contains the path, or NULL; *rest is the path below
 * it, without a leading '/'. */
const struct mount *config_mount(const struct mw_config *config, struct bytes path, struct bytes *rest);
/* Returns true if there is a trusted proxy. */
static inline bool config_trusts_any(const struct mw_config *config) { return config->trusted_count > 0 || config->trusts_unix; }
/* Returns true if a peer with that address, as stream_remote writes it, is one. */
bool config_trusts(const struct mw_config *config, struct bytes remote);
enum forwarded_headers config_forwarded_headers(const struct mw_config *config);
/* ORIGIN_LISTED: an entry names it. ORIGIN_ANY: only "*" allows it, which does not make it
 * trusted. */
enum origin_match { ORIGIN_REFUSED, ORIGIN_ANY, ORIGIN_LISTED };
enum origin_match config_check_origin(const struct mw_config *config, struct bytes origin);
/* The same for a raw WebSocket. */
enum origin_match config_websocket_check_origin(const struct websocket *websocket, const struct mw_config *config,
                                                struct bytes origin);

VISIBILITY_POP

#endif
