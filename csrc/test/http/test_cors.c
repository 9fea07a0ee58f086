/* Whatever is answered to a page of a listed origin, the page may read it; no one else may. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/support.h"
#include "test/support/memory_peer.h"

static struct mw_server *server;
static struct mw_request *kept;
static int refuse_with; /* a status; 0: nothing is refused */

static void on_request(void *context, struct mw_request *request) {
  (void)context;
  if (mw_request_type(request) == MW_REQUEST_AUTHENTICATE && refuse_with == 408) {
    kept = request;
  } else if (mw_request_type(request) == MW_REQUEST_AUTHENTICATE && refuse_with > 0) {
    mw_request_refuse(request, refuse_with, "word", "the app's");
  } else {
    mw_request_accept(request, NULL, 0);
  }
}

static void begin(void) {
  static const struct mw_event_rule events[] = {{.event = "say"}, {.event = "typing", .relay = true}};
  struct mw_config_options options;
  struct mw_config *config;
  mw_config_options_init(&options);
  options.on_request = on_request;
  options.authenticate = true;
  options.publish_key = "key";
  options.limits.body = 200;
  options.limits.message_size = 50;
  options.limits.head = 2000;
  options.limits.fields = 10;
  kept = NULL;
  refuse_with = 0;
  assert_int_equal(mw_config_new(&config, &options, NULL), 0);
  struct mw_channel_options room = {.events = events, .event_count = 2, .history_size = 5};
  assert_true(mw_config_channel(config, "room:{x}", &room, NULL) >= 0);
  assert_int_equal(mw_config_origin(config, "https://a.example", NULL), 0);
  assert_int_equal(mw_server_new(&server, &(struct mw_server_options){.config = config}, NULL), 0);
  mw_config_unref(config);
  mw_server_advance(server, 0);
}

#define BODY "\1" /* the length of what follows is written in its place */
#define LENGTH(n) "Content-Length: " #n "\r\n\r\n"
#define TEN "0123456789"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

struct cors_case {
  int app; /* what the app refuses with */
  int status;
  const char *line, *rest; /* the request without its version, Host and Origin */
};

static const struct cors_case cases[] = {
    {0, 200, "GET /sse?channel=room:1", "\r\n"},
    {0, 200, "GET /%73se?channel=room:1", "\r\n"},
    {0, 400, "GET /sse", "\r\n"},
    {0, 404, "GET /sse?channel=nowhere", "\r\n"},
    {0, 405, "POST /sse?channel=room:1", LENGTH(0)},
    {0, 405, "DELETE /sse", LENGTH(3) "abc"}, /* refused before its body */
    {401, 401, "GET /sse?channel=room:1", "\r\n"},
    {403, 403, "GET /sse?channel=room:1", "\r\n"},
    {500, 500, "GET /sse?channel=room:1", "\r\n"},
    {503, 200, "GET /sse?channel=room:1", "\r\n"},
    {408, 200, "GET /sse?channel=room:1", "\r\n"}, /* the app does not answer in time */
    {0, 204, "OPTIONS /sse", "\r\n"},

    {0, 200, "GET /poll?channel=room:1", "\r\n"},
    {0, 200, "GET /poll?channel=room:1&client=", "\r\n"},
    {0, 200, "HEAD /poll?channel=room:1", "\r\n"},
    {0, 400, "GET /poll?channel=room:1&wait=x", "\r\n"},
    {0, 404, "GET /poll?channel=nowhere", "\r\n"},
    {0, 405, "PUT /poll?channel=room:1", LENGTH(0)},
    {401, 401, "GET /poll?channel=room:1", "\r\n"},
    {429, 200, "GET /sse?channel=room:1", "\r\n"},
    {429, 429, "GET /poll?channel=room:1", "\r\n"},
    {429, 429, "GET /poll?channel=room:1&client=", "\r\n"},
    {503, 503, "GET /poll?channel=room:1", "\r\n"},
    {408, 503, "GET /poll?channel=room:1", "\r\n"},
    {0, 204, "OPTIONS /poll", "\r\n"},

    {0, 200, "POST /send", LENGTH(34) "{\"send\":\"room:1\",\"event\":\"typing\"}"},
    {0, 200, "POST /send", LENGTH(31) "{\"send\":\"room:1\",\"event\":\"say\"}"},
    {0, 400, "POST /send", BODY "{}"},
    {0, 400, "POST /send", BODY "x"},
    {0, 400, "POST /send", BODY "{\"subscribe\":\"room\"}"},
    {0, 400, "POST /send", LENGTH(33) "{\"send\":\"room:1\",\"event\":\"nobody\"}"},
    {0, 400, "POST /send", "Cookie: a=b\r\n" BODY "{}"},
    {0, 404, "POST /send", BODY "{\"send\":\"nowhere\"}"},
    {0, 404, "POST /send", "X-Moonwire-Client: none\r\n" BODY "{\"ping\":true}"},
    {0, 405, "GET /send", "\r\n"},
    {0, 411, "POST /send", "\r\n"},
    {0, 413, "POST /send", LENGTH(1000)},
    {0, 413, "POST /send", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n400\r\n"},
    {0, 400, "POST /send", "Transfer-Encoding: chunked\r\n\r\nx\r\n"},
    {0, 400, "POST /send", "Content-Length: x\r\n\r\n"},
    {0, 417, "POST /send", "Expect: miracles\r\n" BODY "{}"},
    {0, 501, "POST /send", "Transfer-Encoding: gzip\r\n\r\n"},
    {0, 413, "POST /send", BODY "{\"send\":\"room:1\",\"event\":\"say\",\"data\":\"" HUNDRED "\"}      "},
    {0, 431, "POST /send", "1: a\r\n2: a\r\n3: a\r\n4: a\r\n5: a\r\n6: a\r\n7: a\r\n8: a\r\n9: a\r\n\r\n"},
    {0, 431, "GET /sse?channel=room:1",
     "1: " HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED "\r\n"
     "2: " HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED "\r\n\r\n"},
    {0, 400, "GET /sse?channel=room:1", "b\xc3\xa4: c\r\n\r\n"},
    {0, 408, "POST /send", LENGTH(5) "{"},            /* its body does not come in time */
    {0, 408, "GET /poll?channel=room:1", "Cookie: "}, /* nor does this one's head */
    {401, 401, "POST /send", LENGTH(31) "{\"send\":\"room:1\",\"event\":\"say\"}"},
    {500, 500, "POST /send", LENGTH(31) "{\"send\":\"room:1\",\"event\":\"say\"}"},
    {503, 503, "POST /send", LENGTH(31) "{\"send\":\"room:1\",\"event\":\"say\"}"},
    {408, 503, "POST /send", LENGTH(31) "{\"send\":\"room:1\",\"event\":\"say\"}"},
    {0, 204, "OPTIONS /send", "Access-Control-Request-Method: POST\r\n\r\n"},
};

static const char *ask(const struct cors_case *c, const char *origin) {
  struct memory_peer peer;
  struct buffer request = {0};
  static char answer[4096];
  refuse_with = c->app;
  memory_peer_open(&peer, server);
  const char *body = strchr(c->rest, '\1');
  int rest_len = (int)(body ? (size_t)(body - c->rest) : strlen(c->rest));
  buffer_append_format(&request, "%s HTTP/1.1\r\nHost: t\r\nOrigin: %s\r\n%.*s", c->line, origin, rest_len, c->rest);
  if (body) buffer_append_format(&request, "Content-Length: %zu\r\n\r\n%s", strlen(body + 1), body + 1);
  memory_peer_send(&peer, buffer_bytes(&request));
  buffer_deinit(&request);
  if (c->status == 408 || c->app == 408) {
    mw_server_advance(server, 40000);
    server_settle(server);
  }
  snprintf(answer, sizeof answer, "%s", memory_peer_take(&peer));
  if (kept) mw_request_refuse(kept, 503, "unavailable", "late");
  kept = NULL;
  memory_peer_close(&peer);
  server_settle(server);
  return answer;
}

static size_t count(const char *text, const char *part) {
  size_t found = 0;
  for (const char *at = text; (at = strstr(at, part)); at += strlen(part)) found++;
  return found;
}

static void check_status(const struct cors_case *c, const char *answer) {
  if (strncmp(answer, "HTTP/1.1 ", 9) == 0 && atoi(answer + 9) == c->status) return;
  fail_msg("%s %s: expected %d, got %s", c->line, c->rest, c->status, answer);
}

static void a_listed_page_reads_every_answer(void **state) {
  (void)state;
  begin();
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    const char *answer = ask(&cases[i], "https://a.example");
    check_status(&cases[i], answer);
    if (count(answer, "\r\nAccess-Control-Allow-Origin: https://a.example\r\n") != 1) fail_msg("%s: %s", cases[i].line, answer);
    assert_int_equal(count(answer, "\r\nAccess-Control-Allow-Credentials: true\r\n"), 1);
    assert_int_equal(count(answer, "\r\nVary: Origin\r\n"), 1);
    assert_int_equal(count(answer, "\r\nAccess-Control-Expose-Headers: Retry-After\r\n"), 1);
  }
  server_finish(server);
}

static void another_page_reads_none(void **state) {
  (void)state;
  static const char *const origins[] = {"https://evil.example", "null", "https://a.example\r\nOrigin: https://a.example"};
  begin();
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    for (size_t k = 0; k < COUNT_OF(origins); k++) {
      const char *answer = ask(&cases[i], origins[k]);
      assert_memory_equal(answer, "HTTP/1.1 ", 9);
      assert_int_equal(count(answer, "Access-Control-"), 0);
      assert_int_equal(count(answer, "\r\nVary: Origin\r\n"), 1);
      if (cases[i].status < 400) assert_true(atoi(answer + 9) == 403 || atoi(answer + 9) == 400);
    }
  }
  server_finish(server);
}

static void nothing_else_is_shared(void **state) {
  (void)state;
  static const struct cors_case others[] = {
      {0, 404, "GET /nothing", "\r\n"},        {0, 401, "POST /publish", BODY "{}"}, {0, 405, "GET /publish", "\r\n"},
      {0, 200, "GET /health", "\r\n"},         {0, 403, "GET /ws", "\r\n"},          {0, 400, "GET /sse%zz", "\r\n"},
      {0, 413, "POST /publish", LENGTH(1000)},
  };
  begin();
  for (size_t i = 0; i < COUNT_OF(others); i++) {
    const char *answer = ask(&others[i], "https://a.example");
    if (others[i].status != 403) check_status(&others[i], answer);
    assert_int_equal(count(answer, "Access-Control-"), 0);
  }
  server_finish(server);
}

/* An EventSource would not reconnect after a 408. */
static void a_late_stream_is_not_refused(void **state) {
  (void)state;
  begin();
  const char *answer = ask(&(struct cors_case){0, 408, "GET /sse?channel=room:1", "Cookie: "}, "https://a.example");
  assert_string_equal(answer, "");
  server_finish(server);
}

static void a_preflight_may_ask_for_any_header(void **state) {
  (void)state;
  begin();
  struct cors_case wanted = {
      0, 204, "OPTIONS /sse",
      "Access-Control-Request-Method: GET\r\nAccess-Control-Request-Headers: x-csrf, authorization\r\n\r\n"};
  const char *answer = ask(&wanted, "https://a.example");
  assert_int_equal(count(answer, "\r\nAccess-Control-Allow-Headers: x-csrf, authorization\r\n"), 1);
  assert_int_equal(count(answer, "\r\nVary: Access-Control-Request-Headers\r\n"), 1);
  assert_int_equal(count(answer, "\r\nAccess-Control-Allow-Methods: GET, HEAD, OPTIONS\r\n"), 1);
  wanted.line = "OPTIONS /send";
  answer = ask(&wanted, "https://a.example");
  assert_int_equal(count(answer, "\r\nAccess-Control-Allow-Methods: POST, OPTIONS\r\n"), 1);
  server_finish(server);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(a_listed_page_reads_every_answer),
      TEST(another_page_reads_none),
      TEST(nothing_else_is_shared),
      TEST(a_late_stream_is_not_refused),
      TEST(a_preflight_may_ask_for_any_header),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
