/* HEAD, OPTIONS and PATCH at every path: the same head as for GET and never content, what a path
 * allows, and preflights of routes. */
#define _GNU_SOURCE /* memmem */

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/support.h"
#include "test/support/memory_peer.h"

static struct mw_server *server;
static int joins, streams_closed;
static bool authenticates = true;
static struct mw_request *kept;

static void on_stream_close(void *context) {
  struct mw_stream **stream = context;
  mw_stream_unref(*stream);
  *stream = NULL;
  streams_closed++;
}

static void respond(struct mw_request *request) {
  const struct mw_http *http = mw_request_http(request);
  static const struct mw_http_field own = {{"Access-Control-Allow-Origin", 27}, {"https://own.example", 19}};
  struct mw_response response = {.status = 200, .body = http->path, .content_type = {"text/plain", 10}};
  if (memcmp(http->path.ptr, "/own", 4) == 0) {
    response.fields = &own;
    response.field_count = 1;
  }
  if (http->path.len == 6 && memcmp(http->path.ptr, "/empty", 6) == 0) response.status = 204;
  mw_request_respond(request, &response, NULL);
}

static void on_request(void *context, struct mw_request *request) {
  (void)context;
  static struct mw_stream *stream;
  const struct mw_http *http = mw_request_http(request);
  struct mw_bytes name = mw_request_channel(request);
  switch (mw_request_type(request)) {
    case MW_REQUEST_AUTHENTICATE:
      if (memmem(http->query.ptr, http->query.len, "nobody", 6)) {
        mw_request_refuse(request, 401, "unauthorized", "who are you");
      } else if (memmem(http->query.ptr, http->query.len, "slow", 4)) {
        kept = request;
      } else {
        mw_request_accept(request, NULL, 0);
      }
      break;
    case MW_REQUEST_AUTHORIZE:
      if (name.ptr[name.len - 1] == 'x') {
        mw_request_refuse(request, 403, "forbidden", "not you");
      } else {
        mw_request_accept(request, NULL, 0);
      }
      break;
    case MW_REQUEST_HTTP: respond(request); break;
    case MW_REQUEST_STREAM:
      if (http->path.ptr[http->path.len - 1] == 'x') {
        mw_request_refuse(request, 403, "forbidden", "not you");
      } else if (http->path.ptr[http->path.len - 1] == 'o') {
        mw_request_respond(request, &(struct mw_response){.status = 200, .body = {"other", 5}}, NULL);
      } else if (mw_request_stream(request, NULL, &stream, on_stream_close, &stream, NULL) == 0) {
        mw_stream_send(stream, &(struct mw_stream_event){.data = {"event", 5}, .retry_ms = -1});
      }
      break;
    case MW_REQUEST_JOIN: joins++; /* fall through */
    default: mw_request_accept(request, NULL, 0); break;
  }
}

static void begin(bool has_origins) {
  struct mw_config_options options;
  struct mw_config *config;
  struct mw_channel_options room = {.hooks = MW_HOOK_AUTHORIZE | MW_HOOK_JOIN, .history_size = 5};
  struct mw_websocket_options websocket;
  mw_config_options_init(&options);
  mw_websocket_options_init(&websocket);
  options.on_request = on_request;
  options.authenticate = authenticates;
  options.publish_key = "key";
  assert_int_equal(mw_config_new(&config, &options, NULL), 0);
  assert_true(mw_config_channel(config, "room:{x}", &room, NULL) >= 0);
  struct mw_channel_options unasked = {.history_size = 5};
  assert_true(mw_config_channel(config, "open:{x}", &unasked, NULL) >= 0);
  if (has_origins) assert_int_equal(mw_config_origin(config, "https://a.example", NULL), 0);
  static const char *const routes[][2] = {{"GET", "/get"},
                                          {"GET", "/empty"},
                                          {"POST", "/post"},
                                          {"PATCH", "/get"},
                                          {"GET", "/own"},
                                          {"PUT", "/own"},
                                          {"OPTIONS", "/own"},
                                          {"DELETE", "/all/{path...}"},
                                          {"OPTIONS", "/options/{path...}"}};
  for (size_t i = 0; i < COUNT_OF(routes); i++) assert_true(mw_config_route(config, routes[i][0], routes[i][1], NULL) > 0);
  assert_true(mw_config_stream(config, "GET", "/stream/{x}", NULL) > 0);
  assert_true(mw_config_websocket(config, "/socket", &websocket, NULL) > 0);
  assert_int_equal(mw_config_static(config, "/options", "csrc/test/server/life", NULL, NULL), 0);
  assert_int_equal(mw_server_new(&server, &(struct mw_server_options){.config = config}, NULL), 0);
  mw_config_unref(config);
  mw_server_advance(server, 0);
  joins = streams_closed = 0;
  kept = NULL;
}

/* The answer to a request, terminated; it holds until the next call. */
static const char *ask(const char *line, const char *rest) {
  static char answer[16384];
  struct memory_peer peer;
  struct buffer request;
  buffer_init(&request);
  buffer_append_format(&request, "%s HTTP/1.1\r\nHost: a\r\n%s", line, rest);
  memory_peer_open(&peer, server);
  memory_peer_send(&peer, buffer_bytes(&request));
  /* Files are read by other threads. */
  for (int i = 0; i < 100000 && memory_peer_fetch(&peer).len == 0; i++) {
    sched_yield();
    if (kept) {
      mw_server_advance(server, 31000); /* the app takes too long */
      mw_request_refuse(kept, 503, "unavailable", "late");
      kept = NULL;
    }
    server_settle(server);
  }
  snprintf(answer, sizeof answer, "%s", memory_peer_take(&peer));
  buffer_deinit(&request);
  memory_peer_close(&peer);
  server_settle(server);
  return answer;
}

/* The head without what differs between two answers, or between GET and HEAD of a stream. */
static void reduce(char *head) {
  static const char *const skipped[] = {"Date:", "Connection:", "Transfer-Encoding:", "Retry-After:"};
  char *out = head;
  for (char *line = head, *next; *line; line = next) {
    next = strstr(line, "\r\n");
    next = next ? next + 2 : line + strlen(line);
    bool skip = false;
    for (size_t i = 0; i < COUNT_OF(skipped); i++) skip = skip || strncmp(line, skipped[i], strlen(skipped[i])) == 0;
    if (skip) continue;
    memmove(out, line, (size_t)(next - line));
    out += next - line;
  }
  *out = '\0';
}

static void head_is_that_of_get_and_has_no_content(void **state) {
  (void)state;
  static const char *const targets[] = {"/get",
                                        "/empty",
                                        "/own",
                                        "/post",
                                        "/none",
                                        "/health",
                                        "/ready",
                                        "/publish",
                                        "/stream/1",
                                        "/stream/x",
                                        "/stream/o",
                                        "/ws",
                                        "/socket",
                                        "/sse?channel=room:1",
                                        "/sse?channel=room:1&envelope=1",
                                        "/sse?channel=room:x",
                                        "/sse?channel=room:1&nobody",
                                        "/sse",
                                        "/sse?channel=room:1&slow",
                                        "/sse?channel=none",
                                        "/poll?channel=room:1",
                                        "/poll?channel=room:x",
                                        "/poll?channel=room:1&nobody",
                                        "/poll",
                                        "/send",
                                        "/%zz",
                                        "/get#",
                                        "/\xff",
                                        "/options/malformed.h",
                                        "/options/none",
                                        "/options"};
  static const char *const rests[] = {"\r\n", "Origin: https://a.example\r\n\r\n", "Content-Length: 3\r\n\r\nabc",
                                      "Transfer-Encoding: x\r\n\r\n", "Host: b\r\n\r\n"};
  begin(true);
  for (size_t i = 0; i < COUNT_OF(targets) * COUNT_OF(rests); i++) {
    const char *target = targets[i / COUNT_OF(rests)], *rest = rests[i % COUNT_OF(rests)];
    char line[128], got[16384], head[16384];
    snprintf(line, sizeof line, "GET %s", target);
    snprintf(got, sizeof got, "%s", ask(line, rest));
    char *end = strstr(got, "\r\n\r\n");
    if (!end) fail_msg("%s: %s", line, got);
    end[4] = '\0';
    snprintf(line, sizeof line, "HEAD %s", target);
    snprintf(head, sizeof head, "%s", ask(line, rest));
    end = strstr(head, "\r\n\r\n");
    if (!end || end[4] != '\0') fail_msg("%s: %s", line, head);
    reduce(got);
    reduce(head);
    if (strcmp(got, head) != 0) print_error("%s\n%s", line, rest);
    assert_string_equal(head, got);
  }
  server_finish(server);
}

static void head_of_a_stream_joins_nothing_and_keeps_the_connection(void **state) {
  (void)state;
  static const char *const targets[] = {"/sse?channel=room:1", "/sse?channel=room:1&channel=room:2", "/stream/1"};
  begin(false);
  for (size_t i = 0; i < COUNT_OF(targets); i++) {
    char rest[128];
    snprintf(rest, sizeof rest, "\r\nGET /get HTTP/1.1\r\nHost: a\r\n\r\n");
    char line[128];
    snprintf(line, sizeof line, "HEAD %s", targets[i]);
    const char *answer = ask(line, rest);
    if (strncmp(answer, "HTTP/1.1 200 OK\r\n", 17) != 0) fail_msg("%s: %s", line, answer);
    assert_non_null(strstr(answer, "\r\nContent-Type: text/event-stream\r\n"));
    assert_null(strstr(answer, "event\n"));
    const char *next = strstr(answer, "\r\n\r\n") + 4;
    if (strncmp(next, "HTTP/1.1 200 OK\r\n", 17) != 0) fail_msg("%s: %s", line, answer);
    assert_string_equal(strstr(next, "\r\n\r\n") + 4, "/get");
  }
  assert_int_equal(joins, 0);
  assert_int_equal(streams_closed, 1);
  assert_int_equal(mw_live("subscription"), 0);
  server_finish(server);
}

static void publish_last(const char *channel, char id[MW_ID_MAX]) {
  struct mw_publish what = {.channel = {channel, strlen(channel)}, .data = {"1", 1}, .is_final = true};
  assert_int_equal(mw_publish(server, &what, id, NULL), 0);
  server_settle(server);
}

static void head_of_a_stream_that_has_ended_is_that_of_get(void **state) {
  (void)state;
  char first[MW_ID_MAX], second[MW_ID_MAX];
  for (int asks = 0; asks < 2; asks++) {
    authenticates = asks;
    begin(false);
    authenticates = true;
    const char *name = asks ? "room:1" : "open:1", *other = asks ? "room:2" : "open:2";
    publish_last(name, first);
    publish_last(other, second);
    for (int i = 0; i < 5; i++) {
      static const int statuses[] = {204, 200, 204, 200, 200};
      char rest[128], query[128], get[160], head[160], expected[16];
      bool both = i == 1 || i == 2;
      snprintf(rest, sizeof rest, "Last-Event-ID: %s\r\n\r\n", i == 2 ? second : i == 3 ? "0" : first);
      if (i == 4) snprintf(rest, sizeof rest, "\r\n");
      snprintf(query, sizeof query, "/sse?channel=%s%s%s", name, both ? "&channel=" : "", both ? other : "");
      snprintf(head, sizeof head, "HEAD %s", query);
      snprintf(get, sizeof get, "GET %s", query);
      snprintf(expected, sizeof expected, "HTTP/1.1 %d ", statuses[i]);
      if (strncmp(ask(get, rest), expected, 13) != 0) fail_msg("%s %s: %s", get, rest, ask(get, rest));
      if (strncmp(ask(head, rest), expected, 13) != 0) fail_msg("%s %s: %s", head, rest, ask(head, rest));
    }
    server_finish(server);
  }
}

static const char *field(const char *answer, const char *name) {
  static char value[256];
  char wanted[64];
  snprintf(wanted, sizeof wanted, "\r\n%s: ", name);
  const char *at = strstr(answer, wanted);
  if (!at) return "";
  at += strlen(wanted);
  snprintf(value, sizeof value, "%.*s", (int)strcspn(at, "\r"), at);
  return value;
}

static void options_say_what_a_path_allows(void **state) {
  (void)state;
  static const struct {
    const char *line, *allow;
    int status;
  } cases[] = {
      {"OPTIONS *", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS", 204},
      {"OPTIONS /get", "GET, HEAD, PATCH, OPTIONS", 204},
      {"OPTIONS /post", "POST, OPTIONS", 204},
      {"OPTIONS /all/a/b", "DELETE, OPTIONS", 204},
      {"OPTIONS /stream/1", "GET, HEAD, OPTIONS", 204},
      {"OPTIONS /socket", "GET, HEAD, OPTIONS", 204},
      {"OPTIONS /sse", "GET, HEAD, OPTIONS", 204},
      {"OPTIONS /ws", "GET, HEAD, OPTIONS", 204},
      {"OPTIONS /publish", "POST, OPTIONS", 204},
      {"OPTIONS /own", "", 200}, /* the app's */
      {"OPTIONS /options/x", "", 200},
      {"OPTIONS /none", "", 404},
      {"PATCH /get", "", 200},
      {"PATCH /post", "POST, OPTIONS", 405},
      {"GET /post", "POST, OPTIONS", 405},
      {"GET /own", "", 200},
      {"DELETE /own", "GET, HEAD, PUT, OPTIONS", 405},
      {"POST /ws", "GET, HEAD, OPTIONS", 405},
      {"DELETE /all/", "", 200},
      {"DELETE /all", "", 404},
      {"GET /options/malformed.h", "", 200}, /* a file */
      {"POST /options/malformed.h", "GET, HEAD, OPTIONS", 405},
  };
  begin(false);
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    const char *answer = ask(cases[i].line, "\r\n");
    int status = atoi(answer + 9);
    if (status != cases[i].status || strcmp(field(answer, "Allow"), cases[i].allow) != 0) print_error("%s\n", cases[i].line);
    assert_int_equal(status, cases[i].status);
    assert_string_equal(field(answer, "Allow"), cases[i].allow);
    /* Without origins nothing depends on them. */
    if (!strstr(cases[i].line, "/sse")) assert_null(strstr(answer, "Vary"));
  }
  server_finish(server);
}

#define PREFLIGHT "Access-Control-Request-Method: PATCH\r\nAccess-Control-Request-Headers: x-csrf\r\n"
#define LISTED "Origin: https://a.example\r\n"
#define OTHER "Origin: https://b.example\r\n"

static void pages_of_listed_origins_read_routes(void **state) {
  (void)state;
  static const struct {
    const char *line, *rest;
    int status;
    const char *origin, *methods;
  } cases[] = {
      {"GET /get", LISTED "\r\n", 200, "https://a.example", ""},
      {"GET /empty", LISTED "\r\n", 204, "https://a.example", ""},
      {"GET /get", OTHER "\r\n", 200, "", ""},
      {"GET /get", "\r\n", 200, "", ""},
      {"GET /get", "Origin: http://a\r\n\r\n", 200, "", ""},
      {"PATCH /get", LISTED "Content-Length: 0\r\n\r\n", 200, "https://a.example", ""},
      {"POST /get", LISTED "Content-Length: 3\r\n\r\nabc", 405, "https://a.example", ""},
      {"GET /stream/1", LISTED "\r\n", 200, "https://a.example", ""},
      {"GET /stream/x", LISTED "\r\n", 403, "https://a.example", ""},
      {"GET /stream/1", OTHER "\r\n", 200, "", ""},
      {"GET /get", LISTED "X: \x01\r\n\r\n", 400, "https://a.example", ""},
      {"POST /post", LISTED "Content-Length: 9999999\r\n\r\n", 413, "https://a.example", ""},
      {"GET /own", LISTED "\r\n", 200, "https://own.example", ""}, /* the app has said it itself */
      {"OPTIONS /own", LISTED PREFLIGHT "\r\n", 200, "https://own.example", ""},
      {"OPTIONS /get", LISTED PREFLIGHT "\r\n", 204, "https://a.example", "GET, HEAD, PATCH, OPTIONS"},
      {"OPTIONS /all/a/b", LISTED PREFLIGHT "\r\n", 204, "https://a.example", "DELETE, OPTIONS"},
      {"OPTIONS /stream/1", LISTED PREFLIGHT "\r\n", 204, "https://a.example", "GET, HEAD, OPTIONS"},
      {"OPTIONS /get", OTHER PREFLIGHT "\r\n", 204, "", ""},
      {"OPTIONS /options/x", LISTED PREFLIGHT "\r\n", 200, "https://a.example", ""}, /* the app's */
      {"OPTIONS *", LISTED PREFLIGHT "\r\n", 204, "", ""},
      {"GET /none", LISTED "\r\n", 404, "", ""},
      /* files are not the app's answers */
      {"GET /options/malformed.h", LISTED "\r\n", 200, "", ""},
  };
  begin(true);
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    const char *answer = ask(cases[i].line, cases[i].rest);
    int status = atoi(answer + 9);
    bool fits = status == cases[i].status && strcmp(field(answer, "Access-Control-Allow-Origin"), cases[i].origin) == 0;
    if (!fits) print_error("%s\n%s\n%s\n", cases[i].line, cases[i].rest, answer);
    assert_true(fits);
    assert_string_equal(field(answer, "Access-Control-Allow-Methods"), cases[i].methods);
    if (cases[i].methods[0]) assert_string_equal(field(answer, "Access-Control-Allow-Headers"), "x-csrf");
    bool is_listed = strcmp(cases[i].origin, "https://a.example") == 0;
    assert_string_equal(field(answer, "Access-Control-Allow-Credentials"), is_listed ? "true" : "");
    if (is_listed) assert_non_null(strstr(answer, "\r\nVary: Origin\r\n"));
  }
  server_finish(server);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(head_is_that_of_get_and_has_no_content),
      TEST(head_of_a_stream_joins_nothing_and_keeps_the_connection),
      TEST(head_of_a_stream_that_has_ended_is_that_of_get),
      TEST(options_say_what_a_path_allows),
      TEST(pages_of_listed_origins_read_routes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
