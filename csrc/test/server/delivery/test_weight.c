/* What a client holds of the server's memory once it has joined, in bytes: nothing of its request,
 * on every transport. */
#define _GNU_SOURCE /* memmem */

#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "test/support.h"
#include "test/support/memory_peer.h"

enum { COOKIE_LEN = 4096, JOINED_LEN = 10000, BODY_LEN = 60000 };

/* ---- Bytes ----------------------------------------------------------------------------------- */

union prefix {
  size_t size;
  max_align_t align;
};

static size_t held;

static void *resize(void *context, void *ptr, size_t size) {
  (void)context;
  union prefix *old = ptr ? (union prefix *)ptr - 1 : NULL;
  size_t old_size = old ? old->size : 0;
  if (size == 0) {
    held -= old_size;
    free(old);
    return NULL;
  }
  union prefix *grown = realloc(old, sizeof *grown + size);
  if (!grown) return NULL;
  grown->size = size;
  held += size - old_size;
  return grown + 1;
}

/* ---- The app --------------------------------------------------------------------------------- */

static char joined[JOINED_LEN];
static struct mw_stream *stream;
static struct mw_socket *raw;
static size_t cookie_seen; /* bytes of the cookie that AUTHENTICATE, or a route, was shown last */

static size_t cookie_len(const struct mw_http *http) {
  for (size_t i = 0; i < http->field_count; i++) {
    if (http->fields[i].name.len == 6 && memcmp(http->fields[i].name.ptr, "Cookie", 6) == 0) return http->fields[i].value.len;
  }
  return 0;
}

static void on_request(void *context, struct mw_request *request) {
  (void)context;
  if (mw_request_http(request)) cookie_seen = cookie_len(mw_request_http(request));
  switch (mw_request_type(request)) {
    case MW_REQUEST_JOIN: mw_request_accept(request, joined, sizeof joined); break;
    case MW_REQUEST_HTTP: mw_request_respond(request, &(struct mw_response){.status = 200}, NULL); break;
    case MW_REQUEST_STREAM: mw_request_stream(request, NULL, &stream, NULL, NULL, NULL); break;
    case MW_REQUEST_WEBSOCKET: mw_request_websocket(request, &raw); break;
    default: mw_request_accept(request, NULL, 0); break;
  }
}

static struct mw_server *start(void) {
  struct mw_config_options options;
  struct mw_config *config;
  struct mw_server *server;
  struct mw_channel_options plain = {.hooks = MW_HOOK_AUTHORIZE};
  struct mw_channel_options hooked = {.hooks = MW_HOOK_AUTHORIZE | MW_HOOK_OPEN | MW_HOOK_JOIN | MW_HOOK_LEAVE | MW_HOOK_CLOSE |
                                               MW_HOOK_PRESENCE,
                                      .presence = MW_PRESENCE_FULL};
  struct mw_websocket_options websocket;
  joined[0] = joined[sizeof joined - 1] = '"';
  memset(joined + 1, 'j', sizeof joined - 2);
  mw_config_options_init(&options);
  options.authenticate = options.connects = options.disconnects = true;
  options.on_request = on_request;
  assert_int_equal(mw_config_new(&config, &options, NULL), 0);
  assert_int_equal(mw_config_channel(config, "plain", &plain, NULL), 0);
  assert_int_equal(mw_config_channel(config, "hooked", &hooked, NULL), 1);
  mw_websocket_options_init(&websocket);
  assert_true(mw_config_stream(config, "GET", "/stream", NULL) > 0);
  assert_true(mw_config_route(config, "POST", "/route", NULL) > 0);
  assert_true(mw_config_websocket(config, "/raw", &websocket, NULL) > 0);
  assert_int_equal(mw_server_new(&server, &(struct mw_server_options){.config = config}, NULL), 0);
  mw_config_unref(config);
  return server;
}

/* ---- Clients --------------------------------------------------------------------------------- */

struct way {
  const char *name, *method, *target;
  const char *fields;      /* further ones */
  size_t body_len;         /* of a body that is sent */
  const char *messages[3]; /* what is said after the upgrade */
  const char *sign;        /* what comes of it in the end; NULL: nothing, it waits */
};

#define UPGRADE                                                                                                                  \
  "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

static const struct way ways[] = {
    {.name = "a stream", .target = "/sse?channel=plain", .sign = "text/event-stream"},
    {.name = "a stream with all hooks", .target = "/sse?channel=hooked&envelope=1", .sign = "jjjj"},
    {.name = "a stream of two channels", .target = "/sse?channel=hooked&channel=plain", .sign = "moonwire:presence"},
    {.name = "a WebSocket",
     .target = "/ws",
     .fields = UPGRADE,
     .messages = {"{\"subscribe\":\"hooked\",\"ref\":1}"},
     .sign = "\"ref\":1,\"ok\""},
    {.name = "moonwire.1",
     .target = "/ws",
     .fields = UPGRADE "Sec-WebSocket-Protocol: moonwire.1\r\n",
     .messages = {"{\"connect\":{\"token\":\"t\"},\"ref\":0}", "{\"subscribe\":\"hooked\",\"ref\":1}"},
     .sign = "\"ref\":1,\"ok\""},
    {.name = "moonwire.1 with a newer token",
     .target = "/ws",
     .fields = UPGRADE "Sec-WebSocket-Protocol: moonwire.1\r\n",
     .messages = {"{\"connect\":{},\"ref\":0}", "{\"token\":\"newer\",\"ref\":1}"},
     .sign = "\"ref\":1,\"ok\""},
    {.name = "a raw WebSocket", .target = "/raw", .fields = UPGRADE, .sign = "101 Switching"},
    {.name = "a raw stream", .target = "/stream", .sign = "text/event-stream"},
    {.name = "a poll that waits", .target = "/poll?channel=plain&since=0"},
    {.name = "a connection that is kept",
     .method = "POST",
     .target = "/route",
     .fields = "Content-Type: application/json\r\n",
     .body_len = BODY_LEN,
     .sign = "200 OK"},
};

static char cookie[COOKIE_LEN + 16], big_body[BODY_LEN + 1];

static void connect_by(struct memory_peer *peer, struct mw_server *server, const struct way *way, const char *target,
                       const char *more_fields, size_t body_len) {
  struct buffer request;
  buffer_init(&request);
  buffer_append_format(&request, "%s %s HTTP/1.1\r\nHost: a\r\n%s%s", way->method ? way->method : "GET", target,
                       way->fields ? way->fields : "", more_fields);
  if (body_len > 0) buffer_append_format(&request, "Content-Length: %zu\r\n", body_len);
  buffer_append_string(&request, "\r\n");
  memory_peer_open(peer, server);
  memory_peer_send(peer, buffer_bytes(&request));
  if (body_len > 0) memory_peer_send(peer, bytes_of(big_body, body_len));
  buffer_deinit(&request);
  for (size_t i = 0; i < COUNT_OF(way->messages) && way->messages[i]; i++) {
    memory_peer_frame(peer, WS_OPCODE_TEXT, bytes_string(way->messages[i]));
  }
}

static bool came(struct memory_peer *peer, const char *text) {
  struct bytes in = memory_peer_fetch(peer);
  return in.len > 0 && memmem(in.ptr, in.len, text, strlen(text));
}

static void leave(struct memory_peer *peer) {
  mw_stream_unref(stream);
  mw_socket_unref(raw);
  stream = NULL;
  raw = NULL;
  struct mw_server *server = peer->server;
  memory_peer_close(peer);
  server_settle(server);
  mw_server_advance(server, 60000);
  server_settle(server);
}

/* How much more is held when it has joined than before it came, without the peer's own. */
static size_t weigh(struct mw_server *server, const struct way *way, const char *more_fields, size_t body_len) {
  struct memory_peer peer;
  size_t before = held;
  connect_by(&peer, server, way, way->target, more_fields, body_len);
  if (way->sign ? !came(&peer, way->sign) : memory_peer_fetch(&peer).len > 0)
    fail_msg("%s: %.*s", way->name, (int)peer.in.len, peer.in.data);
  buffer_deinit(&peer.in);
  size_t weight = held - before;
  leave(&peer);
  return weight;
}

static void begin(void) {
  memory_set_allocator(resize, NULL);
  held = 0;
  snprintf(cookie, sizeof cookie, "Cookie: a=");
  memset(cookie + 10, 'c', COOKIE_LEN - 10);
  memcpy(cookie + COOKIE_LEN, "\r\n", 3);
  memset(big_body, 'b', BODY_LEN);
}

static void end(struct mw_server *server) {
  server_finish(server);
  assert_int_equal(held, 0);
  memory_set_allocator(NULL, NULL);
}

static void cookies_and_bodies_cost_nothing_afterwards(void **state) {
  (void)state;
  begin();
  struct mw_server *server = start();
  for (size_t i = 0; i < COUNT_OF(ways); i++) {
    /* what is made once is there now */
    for (int k = 0; k < 3; k++) weigh(server, &ways[i], cookie, ways[i].body_len);
    size_t light = weigh(server, &ways[i], "", 0);
    cookie_seen = 0;
    size_t heavy = weigh(server, &ways[i], cookie, ways[i].body_len);
    if (heavy != light) print_error("%s: %zu bytes, with a cookie of 4 KB %zu\n", ways[i].name, light, heavy);
    assert_int_equal(heavy, light);
    if (!strstr(ways[i].name, "newer")) assert_int_equal(cookie_seen, COOKIE_LEN - 8);
  }
  end(server);
}

static void a_long_target_costs_nothing_afterwards(void **state) {
  (void)state;
  static const struct way get = {.name = "a kept connection"};
  static char target[6001];
  size_t weights[2];
  begin();
  struct mw_server *server = start();
  memset(target, 'x', sizeof target - 1);
  target[0] = '/';
  for (int i = 0; i < 6; i++) {
    struct memory_peer peer;
    size_t before = held;
    connect_by(&peer, server, &get, i % 2 == 0 ? "/x" : target, i % 2 == 0 ? "" : cookie, 0);
    assert_non_null(strstr(memory_peer_take(&peer), "404 Not Found"));
    buffer_deinit(&peer.in);
    memory_peer_take(&peer);
    weights[i % 2] = held - before;
    leave(&peer);
  }
  assert_in_range(weights[1], 1, weights[0] + 64); /* a small path is kept for the next request */
  end(server);
}

/* The one that waits without an answer is the poll: first where to go on, then the waiting. */
static size_t weigh_poll(struct mw_server *server, const char *query, const char *more_fields, bool answered) {
  static const struct way first = {.name = "a poll"};
  struct memory_peer peer, waiting;
  char target[256], id[64] = "", client[64] = "";
  snprintf(target, sizeof target, "/poll?channel=plain%s", query);
  connect_by(&peer, server, &first, target, more_fields, 0);
  const char *text = memory_peer_take(&peer);
  const char *at = strstr(text, "{\"id\":\""), *named = strstr(text, "\"client\":\"");
  assert_non_null(at);
  snprintf(id, sizeof id, "%.*s", (int)strcspn(at + 7, "\""), at + 7);
  if (named) snprintf(client, sizeof client, "%.*s", (int)strcspn(named + 10, "\""), named + 10);
  size_t before = held;
  snprintf(target, sizeof target, "/poll?channel=plain%s%s&since=%s", query, client, id);
  connect_by(&waiting, server, &first, target, more_fields, 0);
  assert_int_equal(memory_peer_fetch(&waiting).len, 0);
  buffer_deinit(&waiting.in);
  if (answered) {
    mw_server_advance(server, 31000);
    server_settle(server);
    assert_non_null(strstr(memory_peer_take(&waiting), "200 OK"));
  }
  size_t weight = held - before;
  memory_peer_close(&waiting);
  leave(&peer);
  return weight;
}

static void a_poll_that_waits_holds_no_cookie(void **state) {
  (void)state;
  begin();
  struct mw_server *server = start();
  static const char *const queries[] = {"", "&client="};
  for (size_t i = 0; i < COUNT_OF(queries); i++) {
    weigh_poll(server, queries[i], "", false);
    size_t light = weigh_poll(server, queries[i], "", false);
    assert_int_equal(weigh_poll(server, queries[i], cookie, false), light);
  }
  end(server);
}

static void refused(struct mw_server *server, const char *request, const char *status) {
  struct memory_peer peer;
  memory_peer_open(&peer, server);
  memory_peer_send_text(&peer, request);
  const char *answer = memory_peer_take(&peer);
  if (!strstr(answer, status)) fail_msg("%s\n%s", request, answer);
  memory_peer_close(&peer);
  server_settle(server);
}

static void streams_take_no_body(void **state) {
  (void)state;
  begin();
  struct mw_server *server = start();
  static const char *const targets[] = {"/sse?channel=plain", "/ws", "/raw", "/stream", "/poll?channel=plain"};
  for (size_t i = 0; i < COUNT_OF(targets); i++) {
    char request[512];
    /* Refused by its head: no byte of the body is waited for. */
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n", targets[i]);
    refused(server, request, " 400 Bad Request");
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", targets[i]);
    refused(server, request, "must not have a body");
  }
  refused(server, "GET /sse?channel=plain HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "text/event-stream");
  refused(server, "GET /poll?channel=plain HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", " 200 OK");
  end(server);
}

int main(void) {
  const struct CMUnitTest tests[] = {TEST(cookies_and_bodies_cost_nothing_afterwards),
                                     TEST(a_long_target_costs_nothing_afterwards), TEST(a_poll_that_waits_holds_no_cookie),
                                     TEST(streams_take_no_body)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
