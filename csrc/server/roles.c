#include "server/roles.h"

#include <stdio.h>

#include "base/memory.h"
#include "codec/json_scan.h"
#include "codec/query.h"
#include "http/request.h"
#include "server/client_files.h"
#include "server/cors.h"
#include "server/server.h"

static void refuse(struct request *request, int status, const char *reason) {
  request->role = NULL;
  request->refused_status = status;
  request->refused_reason = reason;
}

static bool add_method(struct request *request, const char *method) {
  size_t len = strlen(request->allow);
  snprintf(request->allow + len, sizeof request->allow - len, "%s%s", len > 0 ? ", " : "", method);
  return true;
}

/* The role of an endpoint for one of its methods; otherwise says which it has. */
static void choose(struct request *request, struct bytes method, const struct role *role, const char *own, const char *other) {
  add_method(request, own);
  if (other) add_method(request, other);
  add_method(request, "OPTIONS");
  if (bytes_equal(method, bytes_string(own)) || (other && bytes_equal(method, bytes_string(other)))) {
    request->role = role;
  } else if (bytes_equal(method, BYTES("OPTIONS"))) {
    request->role = &role_options;
  } else {
    refuse(request, 405, "the path has no such method");
  }
}

static bool find_endpoint(struct exchange *exchange, struct request *request, struct bytes method, struct bytes path) {
  const struct mw_server *server = exchange_worker(exchange)->server;
  const struct mw_config *config = server->config;
  if (path.len == 0) return false;
  if (bytes_equal(path, config_path(config, ENDPOINT_SSE))) {
    choose(request, method, &role_sse, "GET", "HEAD");
  } else if (bytes_equal(path, config_path(config, ENDPOINT_WS))) {
    choose(request, method, &role_ws, "GET", "HEAD");
  } else if (bytes_equal(path, config_path(config, ENDPOINT_POLL))) {
    choose(request, method, &role_poll, "GET", "HEAD");
  } else if (bytes_equal(path, config_path(config, ENDPOINT_SEND))) {
    choose(request, method, &role_send, "POST", NULL);
    if (request->role == &role_send && !request->head->has_length) refuse(request, 411, "a length is required");
  } else if (bytes_equal(path, config_path(config, ENDPOINT_HEALTH))) {
    choose(request, method, &role_health, "GET", "HEAD");
  } else if (bytes_equal(path, config_path(config, ENDPOINT_CLIENT))) {
    choose(request, method, &role_client, "GET", "HEAD");
  } else if (bytes_equal(path, config_path(config, ENDPOINT_PUBLISH))) {
    bool hidden = !config->options.publish_key || (server->has_private && !(exchange->flags & EXCHANGE_PRIVATE));
    if (hidden) return false;
    choose(request, method, &role_publish, "POST", NULL);
    if (request->role == &role_publish && !request->head->has_length) refuse(request, 411, "a length is required");
  } else {
    return false;
  }
  return true;
}

static bool find_route(struct exchange *exchange, struct request *request, struct bytes method, struct bytes path) {
  const struct mw_config *config = exchange_worker(exchange)->server->config;
  request->route = config_route(config, bytes_equal(method, BYTES("HEAD")) ? BYTES("GET") : method, path);
  /* A route for OPTIONS alone takes no path away from files. */
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
    request->role = request->route->type == ROUTE_WEBSOCKET ? &role_socket : &role_app;
  } else if (bytes_equal(method, BYTES("OPTIONS"))) {
    request->role = &role_options;
  } else {
    refuse(request, 405, "the path has no such method");
  }
  return true;
}

/* Endpoints that pages of other origins use, if they are listed: `path` is decoded. */
static bool is_shared(const struct mw_config *config, struct bytes path) {
  static const enum endpoint shared[] = {ENDPOINT_SSE, ENDPOINT_POLL, ENDPOINT_SEND};
  bool found = false;
  for (size_t i = 0; path.len > 0 && i < sizeof shared / sizeof *shared; i++) {
    found = found || bytes_equal(path, config_path(config, shared[i]));
  }
  return found;
}

/* Likewise the app's own paths, which answer pages of all origins. */
static bool is_route(const struct mw_config *config, struct bytes path) {
  bool found = false;
  for (size_t i = 0; !found && config->origin_count > 0 && i < ROUTE_METHOD_COUNT; i++) {
    found = config_route(config, route_methods[i], path) != NULL;
  }
  return found;
}

bool roles_share(const struct mw_config *config, struct bytes path) {
  struct buffer decoded;
  buffer_init(&decoded);
  bool is_decoded = path_decode(path, &decoded) && !decoded.failed;
  bool shared = is_decoded && (is_shared(config, buffer_bytes(&decoded)) || is_route(config, buffer_bytes(&decoded)));
  buffer_deinit(&decoded);
  return shared;
}

/* What lasts, and what waits, is asked for by a target and fields: a body would be held for nothing (RFC 9110 section 9.3.1). */
static bool takes_no_body(const struct request *request) {
  bool is_stream = request->route && request->route->type != ROUTE_HTTP;
  return is_stream || request->role == &role_sse || request->role == &role_ws || request->role == &role_poll;
}

static void find(struct exchange *exchange, struct request *request) {
  const struct http_head *head = request->head;
  request->role = NULL;
  request->route = NULL;
  request->mount = NULL;
  request->is_shared = false;
  request->allow[0] = '\0';
  buffer_clear(&request->path);
  if (bytes_equal(head->path, BYTES("*"))) { /* the server as a whole (RFC 9110 section 9.3.7) */
    add_method(request, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
    request->role = &role_options;
    return;
  }
  if (!path_decode(head->path, &request->path)) {
    refuse(request, 400, "the path is malformed");
    return;
  }
  struct bytes path = buffer_bytes(&request->path);
  if (request->path.failed) {
    refuse(request, 503, "no memory");
    return;
  }
  request->is_shared = is_shared(exchange_worker(exchange)->server->config, path);
  if (find_endpoint(exchange, request, head->method, path) || find_route(exchange, request, head->method, path)) return;
  request->mount = config_mount(exchange_worker(exchange)->server->config, path, &request->rest);
  if (request->mount) {
    choose(request, head->method, &role_file, "GET", "HEAD");
  } else {
    refuse(request, 404, "nothing is here");
  }
}

void roles_find(struct exchange *exchange, struct request *request) {
  find(exchange, request);
  if (request->role && takes_no_body(request) && request->head->has_body) refuse(request, 400, "a GET of this path has no body");
}

struct http_copy *roles_copy_http(struct exchange *exchange, struct request *request) {
  char remote[REMOTE_MAX];
  exchange_remote(exchange, remote, sizeof remote);
  return http_copy_new(request->head, buffer_bytes(&request->path), request->body, remote);
}

struct errand *roles_connect_errand(struct exchange *exchange, struct request *request, struct bytes transport,
                                    const struct errand_channel *channels, size_t channel_count) {
  struct mw_config *config = exchange_worker(exchange)->server->config;
  bool authenticates = config->options.authenticate;
  char remote[REMOTE_MAX];
  exchange_remote(exchange, remote, sizeof remote);
  struct mw_client *client = client_new(transport, remote);
  struct http_copy *copy = client && authenticates ? roles_copy_http(exchange, request) : NULL;
  struct errand *errand = NULL;
  if (client && (copy || !authenticates)) errand = errand_new(ERRAND_JOIN, config, client, copy, channels, channel_count);
  if (errand) {
    errand->connects = true;
  } else {
    memory_free(copy);
  }
  mw_client_unref(client);
  return errand;
}

struct errand *roles_permit_errand(struct exchange *exchange, struct request *request, struct bytes transport,
                                   const struct errand_channel *channels, size_t channel_count) {
  struct errand *errand = roles_connect_errand(exchange, request, transport, channels, channel_count);
  if (!errand) return NULL;
  /* As the sender of one message is authorized, who is a client for just that; but there is no message. */
  atomic_store(&errand->client->gone, true);
  errand->type = ERRAND_MESSAGE;
  errand->connects = false;
  errand->transient = true;
  errand->relayed = true;
  return errand;
}

void roles_put_off(struct exchange *exchange) {
  if (exchange->flags & EXCHANGE_NO_BODY) {
    exchange_answer_stream_head(exchange);
    return;
  }
  char text[48];
  int len = snprintf(text, sizeof text, "retry: %u\n", worker_random(exchange_worker(exchange), 2000, 8000));
  exchange_stream(exchange, bytes_of(text, (size_t)len));
  exchange_end_stream(exchange);
}

/* ---- The small ones -------------------------------------------------------------------------------------------------------- */

static void start_health(struct exchange *exchange) {
  bool stopping = server_stopping(exchange_worker(exchange)->server);
  struct answer answer = {.status = stopping ? 503 : 200,
                          .fields = &http_fields_no_store,
                          .content_type = BYTES("application/json"),
                          .body = stopping ? BYTES("{\"status\":\"stopping\"}\n") : BYTES("{\"status\":\"ok\"}\n")};
  exchange_answer(exchange, &answer);
}

const struct role role_health = {.start = start_health, .on_end = role_nothing, ROLE_ANSWERS_AT_ONCE};

/* The browser client as a module, or, as /moonwire.js?classic, for a script element without a type. */
static void start_client(struct exchange *exchange) {
  const struct http_head *head = exchange_request(exchange)->head;
  const struct client_file *file = bytes_equal(head->query, BYTES("classic")) ? &client_classic : &client_module;
  struct http_fields fields;
  http_fields_init(&fields);
  http_fields_add(&fields, BYTES("ETag"), bytes_string(file->tag));
  http_fields_add(&fields, BYTES("Cache-Control"), BYTES("no-cache"));
  http_fields_add(&fields, BYTES("X-Content-Type-Options"), BYTES("nosniff"));
  /* The file is the same for everybody, and pages of other origins import it. */
  http_fields_add(&fields, BYTES("Access-Control-Allow-Origin"), BYTES("*"));
  http_fields_add(&fields, BYTES("Cross-Origin-Resource-Policy"), BYTES("cross-origin"));
  struct answer answer = {.status = 304, .fields = &fields};
  if (!http_head_has_tag(head, bytes_string(file->tag))) {
    answer.status = 200;
    answer.content_type = BYTES("text/javascript; charset=utf-8");
    answer.body = bytes_of((const char *)file->text, file->len);
  }
  exchange_answer(exchange, &answer);
  http_fields_deinit(&fields);
}

const struct role role_client = {.start = start_client, .on_end = role_nothing, ROLE_ANSWERS_AT_ONCE};

/* What may be asked of a path; on one that pages of other origins use, a preflight is refused or answered. */
static void start_options(struct exchange *exchange) {
  struct request *request = exchange_request(exchange);
  bool is_endpoint = is_shared(exchange_worker(exchange)->server->config, buffer_bytes(&request->path));
  if (is_endpoint && !cors_allows(exchange)) {
    exchange_refuse(exchange, 403, "forbidden", "the origin is not allowed", bytes_of(NULL, 0));
    return;
  }
  struct http_fields fields;
  http_fields_init(&fields);
  http_fields_add(&fields, BYTES("Allow"), bytes_string(request->allow));
  if (request->is_shared) cors_add_preflight(exchange, bytes_string(request->allow), &fields);
  struct answer answer = {.status = 204, .fields = &fields};
  exchange_answer(exchange, &answer);
  http_fields_deinit(&fields);
}

const struct role role_options = {.start = start_options, .on_end = role_nothing, ROLE_ANSWERS_AT_ONCE};
