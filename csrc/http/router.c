#include "http/router.h"

#include <stdio.h>

#include "codec/http/query.h"
#include "http/exchange.h"
#include "http/request.h"

/* A request that lasts or waits is described by its target and fields alone: moonwire would hold
 * its body for nothing (RFC 9110 section 9.3.1). */
static const char no_body[] = "a GET of this path must not have a body";

static void router_refuse(struct request *request, int status, const char *reason) {
  request->role = NULL;
  request->refused_status = status;
  request->refused_reason = reason;
}

static bool add_method(struct request *request, const char *method) {
  size_t len = strlen(request->allow);
  snprintf(request->allow + len, sizeof request->allow - len, "%s%s", len > 0 ? ", " : "", method);
  return true;
}

/* Sets the role of an endpoint for one of its methods, or refuses the method and lists the allowed
 * ones. */
static void choose(const struct router *router, struct request *request, struct bytes method, const struct role *role,
                   const char *own, const char *other) {
  add_method(request, own);
  if (other) add_method(request, other);
  add_method(request, "OPTIONS");
  if (bytes_equal(method, bytes_string(own)) || (other && bytes_equal(method, bytes_string(other)))) {
    request->role = role;
  } else if (bytes_equal(method, BYTES("OPTIONS"))) {
    request->role = router->options;
  } else {
    router_refuse(request, 405, "method not allowed for this path; the Allow header lists the methods");
  }
}

/* Returns the endpoint that has the path, or ENDPOINT_COUNT. /publish does not exist without a key,
 * nor on a public listener if there is a private one. */
static enum endpoint endpoint_at(struct exchange *exchange, const struct request *request, struct bytes path) {
  const struct app *app = exchange_app(exchange);
  bool hides = !app->config->options.publish_key || (app->has_private && !request->is_private);
  for (enum endpoint endpoint = 0; path.len > 0 && endpoint < ENDPOINT_COUNT; endpoint++) {
    if (endpoint == ENDPOINT_PUBLISH && hides) continue;
    if (bytes_equal(path, config_path(app->config, endpoint))) return endpoint;
  }
  return ENDPOINT_COUNT;
}

static bool find_endpoint(struct exchange *exchange, struct request *request, struct bytes method, struct bytes path) {
  const struct router *router = exchange_http(exchange)->router;
  enum endpoint endpoint = endpoint_at(exchange, request, path);
  if (endpoint == ENDPOINT_COUNT) return false;
  const struct endpoint_role *found = &router->endpoints[endpoint];
  request->is_shared = request->is_guarded = found->is_shared;
  choose(router, request, method, found->role, found->method, found->other);
  if (request->role != found->role) return true;
  if (found->needs_length && !request->head->has_length)
    router_refuse(request, 411, "the request needs a length: send Content-Length or Transfer-Encoding: chunked");
  if (found->takes_no_body && request->head->has_body) router_refuse(request, 400, no_body);
  return true;
}

static bool find_route(struct exchange *exchange, struct request *request, struct bytes method, struct bytes path) {
  const struct mw_config *config = request->config;
  const struct router *router = exchange_http(exchange)->router;
  request->route = config_route(config, bytes_equal(method, BYTES("HEAD")) ? BYTES("GET") : method, path);
  /* A path that has a route for OPTIONS alone can still be a file. */
  for (size_t i = 0; !request->route && i < ROUTE_METHOD_COUNT; i++) {
    bool is_options = bytes_equal(route_methods[i], BYTES("OPTIONS"));
    if (is_options || !config_route(config, route_methods[i], path)) continue;
    add_method(request, route_methods[i].ptr);
    if (i == 0) add_method(request, "HEAD");
  }
  if (!request->route && request->allow[0] == '\0') return false;
  request->is_shared = config->origin_count > 0;
  add_method(request, "OPTIONS");
  if (request->route) {
    request->role = request->route->type == ROUTE_WEBSOCKET ? router->websocket : router->route;
    bool takes_body = request->route->type == ROUTE_HTTP || !bytes_equal(request->route->method, BYTES("GET"));
    if (!takes_body && request->head->has_body) router_refuse(request, 400, no_body);
  } else if (bytes_equal(method, BYTES("OPTIONS"))) {
    request->role = router->options;
  } else {
    router_refuse(request, 405, "method not allowed for this path; the Allow header lists the methods");
  }
  return true;
}

/* True if pages of other origins use the endpoint at `path`, which is decoded. */
static bool is_shared(const struct router *router, const struct mw_config *config, struct bytes path) {
  bool found = false;
  for (enum endpoint endpoint = 0; path.len > 0 && endpoint < ENDPOINT_COUNT; endpoint++) {
    found = found || (router->endpoints[endpoint].is_shared && bytes_equal(path, config_path(config, endpoint)));
  }
  return found;
}

/* True for one of the app's own paths. If origins are listed, these answer pages of all origins. */
static bool is_route(const struct mw_config *config, struct bytes path) {
  bool found = false;
  for (size_t i = 0; !found && config->origin_count > 0 && i < ROUTE_METHOD_COUNT; i++) {
    found = config_route(config, route_methods[i], path) != NULL;
  }
  return found;
}

bool router_shares(const struct router *router, const struct mw_config *config, struct bytes path) {
  struct buffer decoded;
  buffer_init(&decoded);
  bool is_decoded = path_decode(path, &decoded) && !decoded.failed;
  bool shared = is_decoded && (is_shared(router, config, buffer_bytes(&decoded)) || is_route(config, buffer_bytes(&decoded)));
  buffer_deinit(&decoded);
  return shared;
}

bool router_find_other(struct exchange *exchange, struct request *request) {
  const struct mw_config *config = request->config;
  if (!config->not_found) return false;
  request->route = config_route_at(config, config->not_found);
  request->is_shared = config->origin_count > 0;
  request->role = exchange_http(exchange)->router->route;
  return true;
}

void router_find(struct exchange *exchange, struct request *request) {
  const struct http_head *head = request->head;
  const struct router *router = exchange_http(exchange)->router;
  mw_config_unref(request->config);
  request->config = config_ref(exchange_config(exchange));
  request->role = NULL;
  request->route = NULL;
  request->mount = NULL;
  request->is_shared = request->is_guarded = false;
  request->allow[0] = '\0';
  buffer_clear(&request->path);
  if (bytes_equal(head->path, BYTES("*"))) { /* the server as a whole (RFC 9110 section 9.3.7) */
    add_method(request, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
    request->role = router->options;
    return;
  }
  if (!path_decode(head->path, &request->path)) {
    router_refuse(request, 400, "invalid path; check its percent-encoding and that it begins with a slash");
    return;
  }
  struct bytes path = buffer_bytes(&request->path);
  if (request->path.failed) {
    router_refuse(request, 503, "out of memory");
    return;
  }
  if (find_endpoint(exchange, request, head->method, path) || find_route(exchange, request, head->method, path)) return;
  request->mount = config_mount(request->config, path, &request->rest);
  if (request->mount) {
    choose(router, request, head->method, router->file, "GET", "HEAD");
  } else if (!router_find_other(exchange, request)) {
    router_refuse(request, 404, "not found");
  }
}
