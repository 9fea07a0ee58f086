/* Lookups in a config (config.h, and mw_config_match). */

#include "app/config.h"
#include "auth/origin.h"
#include "base/error.h"
#include "codec/envelope.h"

struct bytes config_path(const struct mw_config *config, enum endpoint endpoint) {
  switch (endpoint) {
    case ENDPOINT_SSE: return bytes_string(config->options.path_sse);
    case ENDPOINT_WS: return bytes_string(config->options.path_ws);
    case ENDPOINT_SEND: return bytes_string(config->options.path_send);
    case ENDPOINT_PUBLISH: return bytes_string(config->options.path_publish);
    case ENDPOINT_HEALTH: return bytes_string(config->options.path_health);
    case ENDPOINT_READY: return bytes_string(config->options.path_ready);
    case ENDPOINT_POLL: return bytes_string(config->options.path_poll);
    case ENDPOINT_CLIENT: return bytes_string(config->options.path_client);
    case ENDPOINT_COUNT: break;
  }
  return bytes_of(NULL, 0);
}

const struct kind *config_kind(const struct mw_config *config, struct bytes name) {
  const struct kind *best = NULL;
  for (size_t i = 0; i < config->kind_count; i++) {
    const struct kind *kind = &config->kinds[i];
    if (!pattern_match(&kind->pattern, name, NULL)) continue;
    if (!best || pattern_compare(&kind->pattern, &best->pattern) == PATTERN_FIRST) best = kind;
  }
  return best;
}

const struct event_rule *config_event(const struct kind *kind, struct bytes event) {
  for (size_t i = 0; i < kind->event_count; i++) {
    if (bytes_equal(bytes_string(kind->events[i].event), event)) return &kind->events[i];
  }
  return NULL;
}

const struct bytes route_methods[ROUTE_METHOD_COUNT] = {{"GET", 3},   {"POST", 4},   {"PUT", 3},
                                                        {"PATCH", 5}, {"DELETE", 6}, {"OPTIONS", 7}};

const struct route *config_route(const struct mw_config *config, struct bytes method, struct bytes path) {
  const struct route *best = NULL;
  for (size_t i = 0; i < config->route_count; i++) {
    const struct route *route = &config->routes[i];
    if (!bytes_equal(route->method, method) || !pattern_match(&route->pattern, path, NULL)) continue;
    if (!best || pattern_compare(&route->pattern, &best->pattern) == PATTERN_FIRST) best = route;
  }
  return best;
}

int config_route_number(const struct mw_config *config, const struct route *route) {
  return FIRST_ROUTE + (int)(route - config->routes);
}

const struct route *config_route_at(const struct mw_config *config, int number) { return &config->routes[number - FIRST_ROUTE]; }

const struct mount *config_mount(const struct mw_config *config, struct bytes path, struct bytes *rest) {
  const struct mount *best = NULL;
  for (size_t i = 0; i < config->mount_count; i++) {
    struct bytes prefix = bytes_string(config->mounts[i].path);
    if (!bytes_starts_with(path, prefix) || (path.len > prefix.len && path.ptr[prefix.len] != '/')) continue;
    if (best && strlen(best->path) >= prefix.len) continue;
    best = &config->mounts[i];
    *rest = bytes_of(path.ptr + prefix.len, path.len - prefix.len);
    if (rest->len > 0) *rest = bytes_of(rest->ptr + 1, rest->len - 1);
  }
  return best;
}

enum origin_match config_check_origin(const struct mw_config *config, struct bytes origin) {
  enum origin_match best = ORIGIN_REFUSED;
  for (size_t i = 0; i < config->origin_count; i++) {
    struct bytes entry = bytes_string(config->origins[i]);
    if (!origin_matches(entry, origin)) continue;
    if (!bytes_equal(entry, BYTES("*"))) return ORIGIN_LISTED;
    best = ORIGIN_ANY;
  }
  return best;
}

int mw_config_match(const struct mw_config *config, const char *name, size_t name_len, struct mw_error *error) {
  struct bytes channel = bytes_of(name, name_len);
  const char *fault = channel_name_fault(channel);
  if (fault) {
    return error_set(error, MW_EINVAL, "%s", fault);
  }
  const struct kind *kind = config_kind(config, channel);
  if (kind) return (int)(kind - config->kinds);
  return error_set(error, MW_ENOTFOUND, "no pattern matches the channel \"%.*s\"", (int)name_len, name);
}

int mw_config_param(const struct mw_config *config, int kind, const char *name, size_t name_len, size_t i,
                    struct mw_bytes *param_name, struct mw_bytes *param_value) {
  const struct pattern *pattern = NULL;
  struct bytes values[PATTERN_SEGMENTS_MAX];
  size_t number = (size_t)kind;
  if (number < config->kind_count) pattern = &config->kinds[number].pattern;
  if (kind >= FIRST_ROUTE && number - FIRST_ROUTE < config->route_count) pattern = &config->routes[number - FIRST_ROUTE].pattern;
  struct bytes capture = pattern ? pattern_capture(pattern, i) : bytes_of(NULL, 0);
  if (!capture.ptr || !pattern_match(pattern, bytes_of(name, name_len), values)) return MW_ENOTFOUND;
  *param_name = (struct mw_bytes){capture.ptr, capture.len};
  *param_value = (struct mw_bytes){values[i].ptr, values[i].len};
  return 0;
}
