#include "app/config.h"

#include "app/limits/limits.h"
#include "auth/origin.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/refs.h"
#include "codec/envelope.h"

/* Members of a channel, by default. */
enum { MEMBERS_MAX = 100000 };

/* Makes room for another item at the end of a vector. */
static void *extend(void *items, size_t count, size_t item_size) {
  return (count & (count - 1)) == 0 ? memory_realloc(items, (count > 0 ? count * 2 : 1) * item_size) : items;
}

void mw_config_options_init(struct mw_config_options *options) {
  *options = (struct mw_config_options){0};
  mw_limits_init(&options->limits);
}

static bool own_string(const char **string, const char *fallback) {
  const char *from = *string ? *string : fallback;
  if (!from) return true;
  *string = memory_copy(from, strlen(from));
  return *string != NULL;
}

/* The default paths of the endpoints, in the order of enum endpoint. */
static const char *const default_paths[ENDPOINT_COUNT] = {"/sse",    "/ws",    "/send", "/publish",
                                                          "/health", "/ready", "/poll", "/moonwire.js"};

static const char *path_fault(const struct mw_config_options *options) {
  const char *paths[ENDPOINT_COUNT] = {options->path_sse,    options->path_ws,    options->path_send, options->path_publish,
                                       options->path_health, options->path_ready, options->path_poll, options->path_client};
  for (size_t i = 0; i < ENDPOINT_COUNT; i++) {
    if (!paths[i]) paths[i] = default_paths[i];
    if (paths[i][0] != '\0' && paths[i][0] != '/') return "must begin with \"/\"";
    for (size_t k = 0; k < i; k++) {
      if (paths[i][0] != '\0' && strcmp(paths[i], paths[k]) == 0) return "two endpoints have the same path";
    }
  }
  return NULL;
}

/* A header cannot have control characters, and loses spaces at its ends, so no client could send
 * such a key. */
static const char *key_fault(const char *key) {
  if (!key) return NULL;
  if (key[0] == '\0') return "is empty";
  for (const char *c = key; *c; c++) {
    if ((unsigned char)*c < ' ' || *c == 0x7f) return "has a newline or another control character, which no client can send";
  }
  bool is_blank = key[0] == ' ' || key[strlen(key) - 1] == ' ';
  return is_blank ? "begins or ends with a space, which no client can send" : NULL;
}

static void config_free(struct policy_owner *owner);

int mw_config_new(struct mw_config **out, const struct mw_config_options *options, struct mw_error *error) {
  if (options->token && options->authenticate)
    return error_set(error, MW_EINVAL, "token: the app cannot authenticate clients in two ways");
  if (path_fault(options)) return error_set(error, MW_EINVAL, "paths: %.120s", path_fault(options));
  if (limits_fault(&options->limits)) return error_set(error, MW_EINVAL, "limits: %.120s", limits_fault(&options->limits));
  if (key_fault(options->publish_key)) return error_set(error, MW_EINVAL, "publish_key: %.120s", key_fault(options->publish_key));
  struct broker_config *broker;
  int status = broker_config_new(&broker, &options->broker, error);
  if (status < 0) return status;
  struct mw_config *config = memory_calloc(1, sizeof *config);
  if (!config) {
    broker_config_free(broker);
    return error_set(error, MW_ENOMEM, "config: out of memory");
  }
  static atomic_ullong number;
  atomic_init(&config->owner.refs, 1);
  config->owner.number = atomic_fetch_add(&number, 1) + 1;
  config->owner.free = config_free;
  config->options = *options;
  config->options.broker = (struct mw_broker_options){0};
  config->broker = broker;
  config->rate = limits_rate(options->limits.rate);
  config->verb_rate = limits_verb_rate(&options->limits);
  config->handshake_rate = limits_rate(options->limits.address_handshakes);
  struct mw_config_options *own = &config->options;
  if (own->token) own->token = mw_token_ref(own->token);
  if (own->token) own->authenticate = true;
  bool owned = own_string(&own->publish_key, NULL);
  if (!own_string(&own->path_sse, default_paths[ENDPOINT_SSE])) owned = false;
  if (!own_string(&own->path_ws, default_paths[ENDPOINT_WS])) owned = false;
  if (!own_string(&own->path_send, default_paths[ENDPOINT_SEND])) owned = false;
  if (!own_string(&own->path_publish, default_paths[ENDPOINT_PUBLISH])) owned = false;
  if (!own_string(&own->path_health, default_paths[ENDPOINT_HEALTH])) owned = false;
  if (!own_string(&own->path_ready, default_paths[ENDPOINT_READY])) owned = false;
  if (!own_string(&own->path_poll, default_paths[ENDPOINT_POLL])) owned = false;
  if (!own_string(&own->path_client, default_paths[ENDPOINT_CLIENT])) owned = false;
  if (!owned) {
    mw_config_unref(config);
    return error_set(error, MW_ENOMEM, "config: out of memory");
  }
  *out = config;
  return 0;
}

struct mw_config *config_ref(struct mw_config *config) {
  refs_add(&config->owner.refs);
  return config;
}

static void kind_deinit(struct kind *kind) {
  pattern_deinit(&kind->pattern);
  for (size_t i = 0; i < kind->event_count; i++) memory_free(kind->events[i].event);
  memory_free(kind->events);
}

void mw_config_unref(struct mw_config *config) {
  if (config && refs_remove(&config->owner.refs)) config_free(&config->owner);
}

static void config_free(struct policy_owner *owner) {
  struct mw_config *config = container_of(owner, struct mw_config, owner);
  const char *strings[] = {config->options.publish_key, config->options.path_sse,     config->options.path_ws,
                           config->options.path_send,   config->options.path_publish, config->options.path_health,
                           config->options.path_ready,  config->options.path_poll,    config->options.path_client};
  for (size_t i = 0; i < sizeof strings / sizeof *strings; i++) memory_free((void *)(uintptr_t)strings[i]);
  for (size_t i = 0; i < config->kind_count; i++) kind_deinit(&config->kinds[i]);
  for (size_t i = 0; i < config->route_count; i++) {
    pattern_deinit(&config->routes[i].pattern);
    config_websocket_free(config->routes[i].websocket);
  }
  for (size_t i = 0; i < config->mount_count; i++) {
    mount_deinit(&config->mounts[i]);
  }
  for (size_t i = 0; i < config->origin_count; i++) memory_free(config->origins[i]);
  mw_token_unref(config->options.token);
  broker_config_free(config->broker);
  memory_free(config->kinds);
  memory_free(config->routes);
  memory_free(config->mounts);
  memory_free(config->origins);
  memory_free(config->trusted);
  memory_free(config);
}

static int overlap(struct mw_error *error, const struct pattern *pattern, const struct pattern *other) {
  return error_set(error, MW_EOVERLAP,
                   "patterns \"%.80s\" and \"%.80s\" can match the same name; make one of them literal wherever they differ",
                   other->text, pattern->text);
}

/* Copies the rules for events. kind_deinit frees them, even after a failure. */
static int copy_events(struct kind *kind, const char *pattern, const struct mw_channel_options *options, struct mw_error *error) {
  if (options->event_count == 0) return 0;
  kind->events = memory_calloc(options->event_count, sizeof *kind->events);
  if (!kind->events) return error_set(error, MW_ENOMEM, "%.120s: out of memory", pattern);
  for (size_t i = 0; i < options->event_count; i++) {
    struct bytes event = bytes_string(options->events[i].event);
    const char *fault = event_name_fault(event);
    if (!fault && config_event(kind, event)) fault = "the event has two rules";
    if (!fault) fault = limits_rate_fault(options->events[i].rate);
    if (fault) return error_set(error, MW_EINVAL, "%.120s: %.120s", options->events[i].event, fault);
    struct event_rule *rule = &kind->events[i];
    *rule = (struct event_rule){.event = memory_copy(event.ptr, event.len),
                                .relay = options->events[i].relay,
                                .keep = options->events[i].keep,
                                .rate = limits_rate(options->events[i].rate)};
    if (!rule->event) return error_set(error, MW_ENOMEM, "%.120s: out of memory", pattern);
    kind->event_count++;
  }
  return 0;
}

static enum slow slow_of(const struct mw_channel_options *options) {
  switch (options->slow) {
    case MW_SLOW_CLOSE: return SLOW_CLOSE;
    case MW_SLOW_CATCHUP: return SLOW_CATCHUP;
    case MW_SLOW_DROP: return SLOW_DROP;
    case MW_SLOW_LATEST: return SLOW_LATEST;
    case MW_SLOW_DEFAULT: break;
  }
  return options->history_size > 0 ? SLOW_CATCHUP : SLOW_CLOSE;
}

int mw_config_channel(struct mw_config *config, const char *text, const struct mw_channel_options *options,
                      struct mw_error *error) {
  struct kind kind = {.hooks = options->hooks,
                      .linger_ms = options->linger_ms,
                      .history_readable = options->history_readable,
                      .by_token = options->token_channels,
                      .presence = options->presence,
                      .presence_linger_ms = options->presence_linger_ms,
                      .presence_interval_ms = options->presence_interval_ms,
                      .members = options->members > 0 ? options->members : MEMBERS_MAX,
                      .rate = limits_rate(options->rate),
                      .total_rate = limits_rate(options->total_rate),
                      .rate_closes = options->rate_closes,
                      .message_size = config->options.limits.message_size};
  if (options->message_size > 0 && options->message_size < kind.message_size) kind.message_size = options->message_size;
  const char *rate_fault = limits_rate_fault(options->rate);
  if (!rate_fault) rate_fault = limits_rate_fault(options->total_rate);
  if (rate_fault) return error_set(error, MW_EINVAL, "%.120s: %.120s", text, rate_fault);
  if (kind.by_token && !config->options.token)
    return error_set(error, MW_EINVAL, "%.120s: the channels of a token require an app that verifies tokens", text);
  if (kind.by_token) kind.hooks |= MW_HOOK_AUTHORIZE;
  if (options->history_size == 0 && (options->history_ttl_ms > 0 || options->history_replay > 0)) {
    return error_set(error, MW_EINVAL, "%.120s: history.ttl and history.replay need history.size above 0", text);
  }
  if (options->history_size == 0 && (options->history_bytes > 0 || options->history_readable))
    return error_set(error, MW_EINVAL, "%.120s: history.bytes and history.readable need history.size above 0", text);
  if (options->history_size == 0 && options->slow == MW_SLOW_CATCHUP)
    return error_set(error, MW_EINVAL, "%.120s: slow = catchup needs history.size above 0", text);
  bool has_presence = options->presence != MW_PRESENCE_NONE;
  if (!has_presence && (options->hooks & MW_HOOK_PRESENCE || options->presence_linger_ms || options->presence_interval_ms)) {
    return error_set(error, MW_EINVAL, "%.120s: a hook, linger, or interval of presence needs presence", text);
  }
  if (options->presence > MW_PRESENCE_COUNTS) return error_set(error, MW_EINVAL, "%.120s: unknown mode of presence", text);
  if (config->kind_count >= FIRST_ROUTE) return error_set(error, MW_ELIMIT, "%.120s: too many kinds of channels", text);
  int status = pattern_init(&kind.pattern, bytes_string(text), ":/", error);
  if (status == 0) status = copy_events(&kind, text, options, error);
  for (size_t i = 0; status == 0 && i < config->kind_count; i++) {
    if (pattern_compare(&config->kinds[i].pattern, &kind.pattern) != PATTERN_OVERLAP) continue;
    status = overlap(error, &kind.pattern, &config->kinds[i].pattern);
  }
  struct kind *kinds = status == 0 ? extend(config->kinds, config->kind_count, sizeof *kinds) : NULL;
  if (!kinds) {
    kind_deinit(&kind);
    return status < 0 ? status : error_set(error, MW_ENOMEM, "%.120s: out of memory", text);
  }
  config->kinds = kinds;
  kind.policy = (struct channel_policy){.owner = &config->owner,
                                        .kind = (uint32_t)config->kind_count,
                                        .channels = options->channels,
                                        .history = {.size = options->history_size, .bytes = options->history_bytes},
                                        .history_ttl_ms = options->history_ttl_ms,
                                        .replay = options->history_replay,
                                        .slow = slow_of(options),
                                        .outbox = options->outbox > 0 ? options->outbox : config->options.limits.outbox,
                                        .age_ms = options->age_ms};
  kinds[config->kind_count] = kind;
  return (int)config->kind_count++;
}

int config_add_route(struct mw_config *config, enum route_type type, struct bytes method, const char *text,
                     struct websocket *websocket, struct mw_error *error) {
  struct route route = {.type = type, .method = method, .websocket = websocket};
  int status = text[0] == '/' ? 0 : error_set(error, MW_EINVAL, "%.120s: a route must begin with \"/\"", text);
  if (status == 0) status = pattern_init(&route.pattern, bytes_string(text), "/", error);
  if (status < 0) {
    config_websocket_free(websocket);
    return status;
  }
  for (size_t i = 0; status == 0 && i < config->route_count; i++) {
    const struct route *other = &config->routes[i];
    if (!bytes_equal(other->method, method) || pattern_compare(&other->pattern, &route.pattern) != PATTERN_OVERLAP) continue;
    status = overlap(error, &route.pattern, &other->pattern);
  }
  struct route *routes = status == 0 ? extend(config->routes, config->route_count, sizeof *routes) : NULL;
  if (!routes) {
    pattern_deinit(&route.pattern);
    config_websocket_free(websocket);
    return status < 0 ? status : error_set(error, MW_ENOMEM, "%.120s: out of memory", text);
  }
  config->routes = routes;
  routes[config->route_count] = route;
  return FIRST_ROUTE + (int)config->route_count++;
}

static int add_method_route(struct mw_config *config, enum route_type type, const char *method, const char *pattern,
                            struct mw_error *error) {
  for (size_t i = 0; i < ROUTE_METHOD_COUNT; i++) {
    if (bytes_equal(route_methods[i], bytes_string(method)))
      return config_add_route(config, type, route_methods[i], pattern, NULL, error);
  }
  return error_set(error, MW_EINVAL, "%.120s: the method of a route must be GET, POST, PUT, PATCH, DELETE, or OPTIONS", method);
}

int mw_config_route(struct mw_config *config, const char *method, const char *pattern, struct mw_error *error) {
  return add_method_route(config, ROUTE_HTTP, method, pattern, error);
}

int mw_config_stream(struct mw_config *config, const char *method, const char *pattern, struct mw_error *error) {
  if (strcmp(method, "OPTIONS") == 0)
    return error_set(error, MW_EINVAL, "%.120s: OPTIONS cannot be answered with a stream", method);
  return add_method_route(config, ROUTE_STREAM, method, pattern, error);
}

static struct route *find_number(struct mw_config *config, int number) {
  size_t at = (size_t)(number - FIRST_ROUTE); /* of a smaller number, beyond all */
  return at < config->route_count ? &config->routes[at] : NULL;
}

int mw_config_cross_site(struct mw_config *config, int route) {
  struct route *found = find_number(config, route);
  if (found) found->is_cross_site = true;
  return found ? 0 : MW_ENOTFOUND;
}

int mw_config_own_origins(struct mw_config *config, int route) {
  struct route *found = find_number(config, route);
  if (found) found->checks_origin = true;
  return found ? 0 : MW_ENOTFOUND;
}

int mw_config_not_found(struct mw_config *config, struct mw_error *error) {
  if (config->not_found) return error_set(error, MW_EOVERLAP, "not found: there is such a route already");
  /* No request has an empty method, so it is found only by its number. */
  int number = config_add_route(config, ROUTE_HTTP, BYTES(""), "/{path...}", NULL, error);
  if (number > 0) config->not_found = number;
  return number;
}

int mw_config_origin(struct mw_config *config, const char *origin, struct mw_error *error) {
  const char *fault = origin_fault(bytes_string(origin));
  if (fault) return error_set(error, MW_EINVAL, "%.120s: %.120s", origin, fault);
  char **origins = extend(config->origins, config->origin_count, sizeof *origins);
  if (origins) config->origins = origins;
  char *copy = origins ? memory_copy(origin, strlen(origin)) : NULL;
  if (!copy) return error_set(error, MW_ENOMEM, "%.120s: out of memory", origin);
  origins[config->origin_count++] = copy;
  return 0;
}
