/* What is refused, and how: names that an app gives, verbs that ask for what there is not, and
 * clients that the app keeps waiting. */
#include <stdlib.h>
#include <string.h>

#include "test/support.h"
#include "test/support/memory_peer.h"

static struct mw_server *server;
static struct memory_peer peer, other;
static unsigned asked[16]; /* by type of request */
static unsigned keep;      /* bits of request types */
static struct mw_request *kept[4];
static size_t kept_count;
static char newest_token[20]; /* that the app was shown */
static char newest_data[20];  /* of a message */

static void accept_request(struct mw_request *request) {
  if (mw_request_type(request) == MW_REQUEST_AUTHENTICATE) {
    struct mw_bytes token = mw_request_http(request)->token;
    snprintf(newest_token, sizeof newest_token, "%.*s", (int)token.len, token.ptr ? token.ptr : "");
    mw_request_accept(request, "{\"id\":\"ann\"}", 12);
  } else {
    const struct mw_message *message = mw_request_message(request);
    if (message) snprintf(newest_data, sizeof newest_data, "%.*s", (int)message->data.len, message->data.ptr);
    mw_request_accept(request, NULL, 0);
  }
}

static void on_request(void *context, struct mw_request *request) {
  (void)context;
  enum mw_request_type type = mw_request_type(request);
  asked[type]++;
  if (keep & (1u << type)) {
    assert_true(kept_count < COUNT_OF(kept));
    kept[kept_count++] = request;
  } else {
    accept_request(request);
  }
}

static void start(bool authenticates) {
  static const struct mw_event_rule events[] = {{.event = "typing", .relay = true}, {.event = "say"}};
  struct mw_config_options options;
  struct mw_config *config;
  memset(asked, 0, sizeof asked);
  keep = 0;
  kept_count = 0;
  mw_config_options_init(&options);
  options.on_request = on_request;
  options.connects = true;
  options.authenticate = authenticates;
  options.limits.queue = 6000;
  options.limits.ping_ms = UINT32_MAX;
  assert_int_equal(mw_config_new(&config, &options, NULL), 0);
  struct mw_channel_options room = {
      .history_size = 10, .history_readable = true, .events = events, .event_count = COUNT_OF(events)};
  assert_int_equal(mw_config_channel(config, "room:{x}", &room, NULL), 0);
  assert_true(mw_config_route(config, "POST", "/app", NULL) >= 0);
  assert_int_equal(mw_server_new(&server, &(struct mw_server_options){.config = config}, NULL), 0);
  mw_config_unref(config);
  mw_server_advance(server, 1);
  memory_peer_open(&peer, server);
  memory_peer_open(&other, server);
}

static void finish(void) {
  memory_peer_close(&peer);
  memory_peer_close(&other);
  while (kept_count > 0) accept_request(kept[--kept_count]);
  server_finish(server);
}

static void say(const char *text) { memory_peer_frame(&peer, WS_OPCODE_TEXT, bytes_string(text)); }

static void expect_fault(const char *text, const char *code) {
  char expected[200];
  say(text);
  const char *got = memory_peer_take(&peer);
  snprintf(expected, sizeof expected, "\"error\":{\"code\":\"%s\"", code);
  if (!strstr(got, expected)) print_error("%s: %s\n", text, got);
  assert_non_null(strstr(got, expected));
}

/* A pattern matches any of these; a malformed name is refused before that. */
static void names_of_the_app_are_checked(void **state) {
  (void)state;
  start(false);
  memory_peer_upgrade(&peer, NULL);
  struct mw_client *client = mw_client_next(server, NULL);
  assert_non_null(client);
  char longest[256];
  memset(longest, 'x', sizeof longest);
  memcpy(longest, "room:", 5);
  static const struct mw_bytes names[] = {{"", 0}, {"room:a\n", 7}, {"room:\0", 6}, {"room:\xff", 6}, {"room:\x7f", 6}};
  for (size_t i = 0; i < COUNT_OF(names); i++) {
    assert_int_equal(mw_client_subscribe(server, client, names[i].ptr, names[i].len), MW_EINVAL);
    assert_int_equal(mw_client_unsubscribe(server, client, names[i].ptr, names[i].len, NULL, NULL), MW_EINVAL);
    struct mw_publish push = {.channel = names[i], .data = {"1", 1}};
    if (names[i].len > 0) assert_int_equal(mw_client_send(server, client, &push, NULL), MW_EINVAL);
    assert_int_equal(mw_publish(server, &push, NULL, NULL), MW_EINVAL);
    push = (struct mw_publish){.channel = {"room:1", 6}, .event = names[i], .data = {"1", 1}};
    if (names[i].len > 0) assert_int_equal(mw_publish(server, &push, NULL, NULL), MW_EINVAL);
  }
  assert_int_equal(mw_client_subscribe(server, client, longest, 256), MW_EINVAL);
  assert_int_equal(mw_client_subscribe(server, client, longest, 255), 0);
  assert_int_equal(mw_client_subscribe(server, client, "hall:a", 6), MW_ENOTFOUND);
  server_settle(server);
  assert_int_equal(mw_channel_count(server, longest, 255, NULL), 1);
  mw_client_unref(client);
  finish();
}

static void ids_that_are_none_are_refused(void **state) {
  (void)state;
  start(false);
  memory_peer_upgrade(&peer, NULL);
  say("{\"subscribe\":\"room:1\"}");
  memory_peer_take(&peer);
  static const char *const members[] = {"\"since\":\"x\"", "\"before\":\"x\"", "\"since\":\"\"", "\"before\":\"1\"",
                                        "\"since\":\"0\",\"before\":\"yesterday\""};
  for (size_t i = 0; i < COUNT_OF(members); i++) {
    char text[200];
    snprintf(text, sizeof text, "{\"history\":\"room:1\",%s,\"ref\":1}", members[i]);
    expect_fault(text, "bad_request");
  }
  say("{\"history\":\"room:1\",\"since\":\"0\",\"ref\":1}");
  assert_non_null(strstr(memory_peer_take(&peer), "\"ok\":"));
  finish();
}

/* The ids of an event stream only grow: older messages cannot be replayed into it. */
static void an_event_stream_takes_no_cursor_by_send(void **state) {
  (void)state;
  start(false);
  memory_peer_send_text(&peer, "GET /sse?channel=room:1&envelope=1 HTTP/1.1\r\nHost: t\r\n\r\n");
  const char *at = strstr(memory_peer_take(&peer), "\"client\":\"");
  assert_non_null(at);
  char fields[100];
  snprintf(fields, sizeof fields, "X-Moonwire-Client: %.*s\r\n", (int)strcspn(at + 10, "\""), at + 10);
  static const char *const verbs[] = {"{\"subscribe\":\"room:2\",\"since\":\"0\"}",
                                      "{\"subscribe\":\"room:2\",\"since\":\"abcdefghijkl\"}"};
  for (size_t i = 0; i < COUNT_OF(verbs); i++) {
    const char *answer;
    assert_int_equal(memory_peer_post(&other, "/send", fields, bytes_string(verbs[i]), &answer), 400);
    assert_non_null(strstr(answer, "an event stream resumes by its own id"));
  }
  assert_int_equal(mw_channel_count(server, "room:2", 6, NULL), 0);
  finish();
}

/* What is larger than limits.queue goes nowhere, and its sender is told. */
static void a_relayed_event_that_finds_no_room_is_refused(void **state) {
  (void)state;
  start(false);
  memory_peer_upgrade(&peer, NULL);
  memory_peer_upgrade(&other, NULL);
  say("{\"subscribe\":\"room:1\"}");
  memory_peer_frame(&other, WS_OPCODE_TEXT, BYTES("{\"subscribe\":\"room:1\"}"));
  memory_peer_take(&other);
  char data[8000], text[9000];
  memset(data, 'x', sizeof data);
  snprintf(text, sizeof text, "{\"send\":\"room:1\",\"event\":\"typing\",\"data\":\"%.*s\",\"ref\":7}", (int)sizeof data, data);
  expect_fault(text, "unavailable");
  assert_string_equal(memory_peer_take(&other), "");
  say("{\"send\":\"room:1\",\"event\":\"typing\",\"data\":1,\"ref\":8}");
  assert_non_null(strstr(memory_peer_take(&peer), "{\"ref\":8,\"ok\":"));
  assert_non_null(strstr(memory_peer_take(&other), "\"data\":1"));
  finish();
}

/* The bodies of requests that wait for a handler are bounded all together. */
static void bodies_that_wait_have_a_limit(void **state) {
  (void)state;
  struct buffer out = {0};
  char body[4000];
  start(false);
  keep = 1u << MW_REQUEST_HTTP;
  memset(body, 'x', sizeof body);
  buffer_append_format(&out, "POST /app HTTP/1.1\r\nHost: t\r\nContent-Length: %zu\r\n\r\n", sizeof body);
  buffer_append(&out, bytes_of(body, sizeof body));
  memory_peer_send(&peer, buffer_bytes(&out));
  assert_int_equal(kept_count, 1);
  memory_peer_send(&other, buffer_bytes(&out));
  assert_int_equal(kept_count, 1);
  assert_memory_equal(memory_peer_take(&other), "HTTP/1.1 503 ", 13);
  /* Until the first is answered. */
  mw_request_refuse(kept[--kept_count], 403, "forbidden", "no");
  server_settle(server);
  assert_memory_equal(memory_peer_take(&peer), "HTTP/1.1 403 ", 13);
  memory_peer_send(&other, buffer_bytes(&out));
  assert_int_equal(kept_count, 1);
  mw_request_refuse(kept[--kept_count], 403, "forbidden", "no");
  server_settle(server);
  buffer_deinit(&out);
  finish();
}

/* A newer token says who the client is; the client has connected once. */
static void a_newer_token_is_no_connect(void **state) {
  (void)state;
  start(true);
  memory_peer_upgrade(&peer, "moonwire.1");
  say("{\"connect\":{\"token\":\"a\"},\"ref\":1}");
  assert_non_null(strstr(memory_peer_take(&peer), "\"client\":"));
  assert_int_equal(asked[MW_REQUEST_AUTHENTICATE], 1);
  assert_int_equal(asked[MW_REQUEST_CONNECT], 1);
  say("{\"token\":\"b\",\"ref\":2}");
  assert_non_null(strstr(memory_peer_take(&peer), "{\"ref\":2,\"ok\":"));
  assert_int_equal(asked[MW_REQUEST_AUTHENTICATE], 2);
  assert_int_equal(asked[MW_REQUEST_CONNECT], 1);
  expect_fault("{\"connect\":{\"token\":\"a\"},\"ref\":3}", "bad_request");
  finish();
}

static void channels_that_no_pattern_matches_are_refused(void **state) {
  (void)state;
  start(false);
  memory_peer_upgrade(&peer, NULL);
  static const char *const verbs[] = {"subscribe", "unsubscribe", "send", "presence", "history"};
  for (size_t i = 0; i < COUNT_OF(verbs); i++) {
    char text[100];
    snprintf(text, sizeof text, "{\"%s\":\"hall:1\",\"event\":\"say\",\"ref\":1}", verbs[i]);
    expect_fault(text, "not_found");
  }
  finish();
}

/* An event without data has the data null, for a handler as for subscribers. */
static void an_event_without_data_has_null(void **state) {
  (void)state;
  start(false);
  memory_peer_upgrade(&peer, NULL);
  memory_peer_upgrade(&other, NULL);
  say("{\"subscribe\":\"room:1\"}");
  memory_peer_frame(&other, WS_OPCODE_TEXT, BYTES("{\"subscribe\":\"room:1\"}"));
  newest_data[0] = '\0';
  say("{\"send\":\"room:1\",\"event\":\"say\"}");
  assert_string_equal(newest_data, "null");
  say("{\"send\":\"room:1\",\"event\":\"say\",\"data\":[1]}");
  assert_string_equal(newest_data, "[1]");
  memory_peer_take(&other);
  say("{\"send\":\"room:1\",\"event\":\"typing\"}");
  assert_non_null(strstr(memory_peer_take(&other), "\"data\":null"));
  finish();
}

/* limits.connect_ms is from the upgrade on, regardless of what else the client says in the
 * meantime. */
static void talk_is_no_connect(void **state) {
  (void)state;
  start(true);
  memory_peer_upgrade(&peer, "moonwire.1");
  for (unsigned n = 0; n < 3; n++) {
    mw_server_advance(server, 3000);
    expect_fault("{\"ping\":true,\"ref\":1}", "unauthorized");
  }
  mw_server_advance(server, 3000);
  memory_peer_expect_close(&peer, 4408);
  finish();
}

/* A client that says nothing else is checked by the token of its upgrade. */
static void a_connect_without_a_token_has_that_of_the_upgrade(void **state) {
  (void)state;
  start(true);
  memory_peer_send_text(&peer, "GET /ws?token=url HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                               "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: moonwire.1\r\n"
                               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
  assert_memory_equal(memory_peer_take(&peer), "HTTP/1.1 101 ", 13);
  say("{\"connect\":{},\"ref\":1}");
  assert_non_null(strstr(memory_peer_take(&peer), "\"client\":"));
  assert_string_equal(newest_token, "url");
  say("{\"token\":\"newer\",\"ref\":2}");
  assert_non_null(strstr(memory_peer_take(&peer), "{\"ref\":2,\"ok\":"));
  assert_string_equal(newest_token, "newer");
  finish();
}

/* A page cannot see the status of a refused upgrade: it gets its WebSocket, and the reason in a
 * close frame. */
static void an_app_that_does_not_answer_holds_no_websocket(void **state) {
  (void)state;
  start(true);
  keep = 1u << MW_REQUEST_AUTHENTICATE;
  memory_peer_send_text(&peer, "GET /ws?token=a HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                               "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
  mw_server_advance(server, 29000);
  assert_string_equal(memory_peer_take(&peer), "");
  mw_server_advance(server, 3000);
  const char *answer = memory_peer_take(&peer), *body = strstr(answer, "\r\n\r\n");
  assert_memory_equal(answer, "HTTP/1.1 101 ", 13);
  assert_non_null(body);
  assert_memory_equal(body + 4, "\x88\x20\x03\xf5the app did not answer in time", 34);
  /* A peer that does not close its side is not waited for. */
  assert_false(memory_peer_ended(&peer));
  mw_server_advance(server, 7000);
  assert_true(memory_peer_ended(&peer));
  finish();
}

/* Also a client that was let in: the server's close frame is followed by the end, whether the peer
 * answers it or not. */
static void a_closed_websocket_ends_in_time(void **state) {
  (void)state;
  start(false);
  memory_peer_upgrade(&peer, NULL);
  struct mw_client *client = mw_client_next(server, NULL);
  assert_int_equal(mw_client_close(server, client, 4403, "out"), 0);
  server_settle(server);
  memory_peer_expect_close(&peer, 4403);
  mw_server_advance(server, 4000);
  assert_false(memory_peer_ended(&peer));
  mw_server_advance(server, 3000);
  assert_true(memory_peer_ended(&peer));
  mw_client_unref(client);
  finish();
}

int main(void) {
  mw_log_to(MW_LOG_ERROR + 1, NULL, NULL);
  const struct CMUnitTest tests[] = {
      TEST(names_of_the_app_are_checked),
      TEST(ids_that_are_none_are_refused),
      TEST(an_event_stream_takes_no_cursor_by_send),
      TEST(a_relayed_event_that_finds_no_room_is_refused),
      TEST(bodies_that_wait_have_a_limit),
      TEST(a_newer_token_is_no_connect),
      TEST(channels_that_no_pattern_matches_are_refused),
      TEST(an_event_without_data_has_null),
      TEST(talk_is_no_connect),
      TEST(a_connect_without_a_token_has_that_of_the_upgrade),
      TEST(an_app_that_does_not_answer_holds_no_websocket),
      TEST(a_closed_websocket_ends_in_time),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
