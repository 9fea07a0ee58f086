/* Answers byte for byte: header fields, bodies and framing, and the times between what a stream
 * sends by itself. */
#include <stdlib.h>
#include <string.h>

#include "server/server.h"
#include "test/support.h"
#include "test/support/memory_peer.h"

static struct mw_server *server;
static struct memory_peer peer;

static void on_request(void *context, struct mw_request *request) {
  (void)context;
  struct mw_response response = {.status = 200, .content_type = {"text/plain", 10}, .body = {"hello", 5}};
  if (mw_request_type(request) == MW_REQUEST_HTTP) {
    mw_request_respond(request, &response, NULL);
  } else {
    mw_request_refuse(request, 401, "unauthorized", "a token is required");
  }
}

static void make_server(void) {
  struct mw_config_options options;
  struct mw_config *config;
  mw_config_options_init(&options);
  options.on_request = on_request;
  options.publish_key = "key";
  assert_int_equal(mw_config_new(&config, &options, NULL), 0);
  assert_int_equal(mw_config_channel(config, "keep:{x}", &(struct mw_channel_options){.history_size = 2}, NULL), 0);
  assert_int_equal(mw_config_channel(config, "ask:{x}", &(struct mw_channel_options){.hooks = MW_HOOK_AUTHORIZE}, NULL), 1);
  assert_true(mw_config_route(config, "GET", "/hello", NULL) >= 0);
  assert_int_equal(mw_config_origin(config, "*", NULL), 0);
  assert_int_equal(mw_server_new(&server, &(struct mw_server_options){.config = config}, NULL), 0);
  mw_config_unref(config);
  mw_server_advance(server, 1);
}

static int begin(void **state) {
  int status = support_setup(state);
  make_server();
  memory_peer_open(&peer, server);
  return status;
}

static int end(void **state) {
  memory_peer_close(&peer);
  server_finish(server);
  return support_teardown(state);
}

static char published_id[MW_ID_MAX];

static void publish(const char *data) {
  struct mw_publish message = {.channel = {"keep:a", 6}, .data = {data, strlen(data)}};
  assert_int_equal(mw_publish(server, &message, published_id, NULL), 0);
  server_settle(server);
}

/* Sends a request line with Host and returns all that has come of it. */
static const char *ask(const char *line) {
  char text[400];
  snprintf(text, sizeof text, "%s HTTP/1.1\r\nHost: t\r\n\r\n", line);
  memory_peer_send_text(&peer, text);
  return memory_peer_take(&peer);
}

static const char *body_of(const char *answer) {
  const char *end = strstr(answer, "\r\n\r\n");
  assert_non_null(end);
  return end + 4;
}

static bool has(const char *answer, const char *name, const char *value) {
  char field[200];
  snprintf(field, sizeof field, "\r\n%s: %s\r\n", name, value);
  const char *at = strstr(answer, field);
  return at && at < body_of(answer);
}

static long length_of(const char *answer) {
  const char *at = strstr(answer, "\r\nContent-Length: ");
  return at && at < body_of(answer) ? strtol(at + 18, NULL, 10) : -1;
}

#define FAULT(code, reason) "{\"error\":{\"code\":\"" code "\",\"reason\":\"" reason "\"}}\n"

static void each_answer_has_its_body(void **state) {
  (void)state;
  static const struct {
    const char *line;
    int status;
    const char *type, *body;
  } cases[] = {
      {"GET /health", 200, "application/json", "{\"status\":\"ok\"}\n"},
      {"GET /ready", 200, "application/json", "{\"status\":\"ok\"}\n"},
      {"GET /hello", 200, "text/plain", "hello"},
      {"GET /nothing", 404, "application/json", FAULT("not_found", "not found")},
      {"GET /sse", 400, "application/json", FAULT("bad_request", "a channel is required: ?channel=NAME")},
      {"GET /sse?channel=ask:a", 401, "application/json",
       "{\"channel\":\"ask:a\",\"error\":{\"code\":\"unauthorized\",\"reason\":\"a token is required\"}}\n"},
      {"GET /poll?channel=ask:a", 401, "application/json",
       "{\"channel\":\"ask:a\",\"error\":{\"code\":\"unauthorized\",\"reason\":\"a token is required\"}}\n"},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    const char *answer = ask(cases[i].line);
    bool fine = atoi(answer + strlen("HTTP/1.1 ")) == cases[i].status && has(answer, "Content-Type", cases[i].type) &&
                has(answer, "Connection", "keep-alive") && length_of(answer) == (long)strlen(cases[i].body) &&
                strcmp(body_of(answer), cases[i].body) == 0 &&
                (strstr(answer, "\r\nWWW-Authenticate: Bearer\r\n") != NULL) == (cases[i].status == 401);
    if (!fine) print_error("%s: %s\n", cases[i].line, answer);
    assert_true(fine);
    /* The same head without the body: the next answer follows immediately. */
    char line[100];
    snprintf(line, sizeof line, "HEAD%s", cases[i].line + 3);
    answer = ask(line);
    assert_true(has(answer, "Content-Type", cases[i].type));
    assert_string_equal(body_of(answer), "");
    if (!strstr(line, "/sse")) assert_int_equal(length_of(answer), strlen(cases[i].body));
  }
  /* An answer that may have none says no length. */
  const char *answer = ask("OPTIONS /hello");
  assert_memory_equal(answer, "HTTP/1.1 204 ", 13);
  assert_int_equal(length_of(answer), -1);
  assert_string_equal(body_of(answer), "");
}

/* The client for browsers is fetched once, and after that only asked whether it has changed. */
static void the_client_script_has_a_tag(void **state) {
  (void)state;
  static const char *const lines[] = {"GET /moonwire.js", "GET /moonwire.js?classic"};
  for (size_t i = 0; i < COUNT_OF(lines); i++) {
    char text[400], tag[100];
    const char *answer = ask(lines[i]), *at = strstr(answer, "\r\nETag: ");
    assert_memory_equal(answer, "HTTP/1.1 200 ", 13);
    assert_non_null(at);
    snprintf(tag, sizeof tag, "%.*s", (int)strcspn(at + 8, "\r"), at + 8);
    snprintf(text, sizeof text, "%s HTTP/1.1\r\nHost: t\r\nIf-None-Match: %s\r\n\r\n", lines[i], tag);
    memory_peer_send_text(&peer, text);
    answer = memory_peer_take(&peer);
    assert_memory_equal(answer, "HTTP/1.1 304 ", 13);
    assert_true(has(answer, "ETag", tag));
    assert_string_equal(body_of(answer), "");
  }
}

static void a_poll_says_what_it_is(void **state) {
  (void)state;
  publish("1");
  const char *answer = ask("GET /poll?channel=keep:a&since=0");
  assert_memory_equal(answer, "HTTP/1.1 200 ", 13);
  assert_true(has(answer, "Content-Type", "application/json"));
  assert_true(has(answer, "Cache-Control", "no-store"));
  assert_true(has(answer, "X-Content-Type-Options", "nosniff"));
  assert_int_equal(length_of(answer), strlen(body_of(answer)));
  assert_memory_equal(body_of(answer), "{\"id\":\"", 7);
  answer = ask("HEAD /poll?channel=keep:a&since=0");
  assert_true(length_of(answer) > 0);
  assert_string_equal(body_of(answer), "");
}

/* A head that ends in the middle: whether its answer has a body is up to its method, if that is
 * there to its end. */
static void a_late_head_is_answered_by_its_method(void **state) {
  static const struct {
    const char *head;
    bool has_body;
  } cases[] = {{"HEAD", true}, {"HEAD ", false}, {"HEAD /health HTTP/1.1\r\nHo", false}, {"HEADS /health", true}, {"GE", true}};
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    memory_peer_send_text(&peer, cases[i].head);
    mw_server_advance(server, 12000);
    const char *answer = memory_peer_take(&peer);
    assert_memory_equal(answer, "HTTP/1.1 408 ", 13);
    if ((body_of(answer)[0] != '\0') != cases[i].has_body) print_error("%s: %s\n", cases[i].head, answer);
    assert_int_equal(body_of(answer)[0] != '\0', cases[i].has_body);
    assert_true(length_of(answer) > 0);
    end(state);
    begin(state);
  }
}

/* A connection that is kept may be silent for long; a request that has begun on it may not. */
static void a_further_head_has_a_deadline_of_its_own(void **state) {
  (void)state;
  ask("GET /health");
  mw_server_advance(server, 40000);
  memory_peer_send_text(&peer, "GET /he");
  mw_server_advance(server, 8000);
  assert_string_equal(memory_peer_take(&peer), "");
  mw_server_advance(server, 4000);
  assert_memory_equal(memory_peer_take(&peer), "HTTP/1.1 408 ", 13);
}

/* What is posted to /publish: one message, or lines of them. */
static void bodies_are_read_by_their_type(void **state) {
  (void)state;
  static const struct {
    const char *type;
    bool is_lines;
  } cases[] = {{"application/x-ndjson", true},
               {"application/x-ndjson ; charset=utf-8", true},
               {"Application/JSONL;x=y", true},
               {"application/json", false},
               {"text/plain; application/jsonl", false}};
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    char fields[200];
    const char *answer;
    snprintf(fields, sizeof fields, "Authorization: Bearer key\r\nContent-Type: %s\r\n", cases[i].type);
    assert_int_equal(memory_peer_post(&peer, "/publish", fields, BYTES("{\"channel\":\"keep:a\",\"data\":1}"), &answer), 200);
    if ((answer[0] == '[') != cases[i].is_lines) print_error("%s: %s\n", cases[i].type, answer);
    assert_int_equal(answer[0] == '[', cases[i].is_lines);
  }
}

static void keys_of_publishes_have_a_length(void **state) {
  (void)state;
  static const struct {
    size_t len;
    int status;
  } cases[] = {{0, 400}, {1, 200}, {128, 200}, {129, 400}};
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    char body[300], key[130];
    const char *answer;
    memset(key, 'k', sizeof key);
    snprintf(body, sizeof body, "{\"channel\":\"keep:a\",\"idempotency_key\":\"%.*s\"}", (int)cases[i].len, key);
    int status = memory_peer_post(&peer, "/publish", "Authorization: Bearer key\r\n", bytes_string(body), &answer);
    if (status != cases[i].status) print_error("%zu bytes: %s\n", cases[i].len, answer);
    assert_int_equal(status, cases[i].status);
  }
}

/* Also behind a question to the app, when most of the request has been released. */
static void the_own_origin_needs_no_leave(void **state) {
  (void)state;
  static const char *const targets[] = {"/sse?channel=ask:a", "/poll?channel=ask:a", "/poll?channel=keep:a"};
  for (size_t i = 0; i < COUNT_OF(targets); i++) {
    for (unsigned is_own = 0; is_own < 2; is_own++) {
      char text[200];
      snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nOrigin: http://%s\r\nHost: own.example\r\n\r\n", targets[i],
               is_own ? "own.example" : "another.example");
      memory_peer_send_text(&peer, text);
      const char *answer = memory_peer_take(&peer);
      if (has(answer, "Access-Control-Allow-Origin", "*") == is_own) print_error("%s: %s\n", targets[i], answer);
      assert_int_equal(has(answer, "Access-Control-Allow-Origin", "*"), !is_own);
      assert_true(has(answer, "Vary", "Origin"));
    }
  }
}

static void what_is_posted_is_answered_with_its_fault(void **state) {
  (void)state;
  static const struct {
    const char *target, *fields, *body;
    int status;
    const char *code, *word; /* what the reason is about */
  } cases[] = {
      {"/send", "", "{}", 400, "bad_request", "verb"},
      {"/send", "", "{\"subscribe\":\"keep:a\",\"ref\":1}", 400, "bad_request", "X-Moonwire-Client"},
      {"/send", "", "{\"send\":\"keep:a\",\"ref\":", 400, "bad_request", "byte 23"},
      {"/send", "", "{\"send\":\"none\",\"event\":\"e\"}", 404, "not_found", "channel"},
      {"/send", "", "{\"send\":\"none\",\"ref\":1}", 404, "not_found", "channel"},
      {"/send", "", "{\"send\":\"keep:a\",\"event\":\"none\",\"ref\":1}", 400, "unknown_event", "event"},
      {"/send", "X-Moonwire-Client: nobody\r\n", "{\"ping\":true}", 404, "not_found", "client"},
      {"/send", "X-Moonwire-Client: nobody\r\n", "{\"ping\":true,\"ref\":1}", 404, "not_found", "client"},
      {"/send", "X-Moonwire-Client: nobody\r\n", "{\"ping\":tru,\"ref\":1}", 404, "not_found", "client"},
      {"/send", "Cookie: a=b\r\n", "{\"send\":\"keep:a\",\"ref\":1}", 403, "forbidden", "Content-Type"},
      {"/publish", "", "{}", 401, "unauthorized", "key"},
      {"/publish", "Authorization: Bearer key\r\n", "{}", 400, "bad_request", "channel"},
      {"/publish", "Authorization: Bearer key\r\n", "{\"channel\":\"none\"}", 404, "not_found", "none"},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    const char *answer;
    char beginning[100];
    const char *ref = strstr(cases[i].body, "\"ref\":1}") ? "\"ref\":1," : "";
    int len = snprintf(beginning, sizeof beginning, "{%s\"error\":{\"code\":\"%s\",\"reason\":\"", ref, cases[i].code);
    int status = memory_peer_post(&peer, cases[i].target, cases[i].fields, bytes_string(cases[i].body), &answer);
    bool fine = status == cases[i].status && strncmp(answer, beginning, (size_t)len) == 0 && strstr(answer, cases[i].word) &&
                strstr(answer, "\"}}");
    if (!fine) print_error("%s: %d %s\n", cases[i].body, status, answer);
    assert_true(fine);
  }
}

static void http_1_0_gets_no_chunks(void **state) {
  (void)state;
  memory_peer_send_text(&peer, "GET /sse?channel=keep:a HTTP/1.0\r\n\r\n");
  publish("1");
  const char *answer = memory_peer_take(&peer);
  assert_false(has(answer, "Transfer-Encoding", "chunked"));
  assert_true(has(answer, "Connection", "close"));
  unsigned retry;
  char id[2][64];
  int len = 0;
  assert_int_equal(sscanf(body_of(answer), "retry: %u\nid: %63s\n\ndata: 1\nid: %63s\n\n%n", &retry, id[0], id[1], &len), 3);
  assert_int_equal(len, strlen(body_of(answer)));
  mw_server_advance(server, 16000);
  assert_string_equal(memory_peer_take(&peer), ":\n");
}

/* Its bytes are one chunk that begins so; what is between its head and its end. */
static const char *chunk_of(const char *at, const char *beginning) {
  static char data[400];
  char *after;
  unsigned long len = strtoul(at, &after, 16);
  assert_int_equal(strlen(after), 2 + len + 2);
  assert_memory_equal(after, "\r\n", 2);
  assert_string_equal(after + 2 + len, "\r\n");
  assert_memory_equal(after + 2, beginning, strlen(beginning));
  snprintf(data, sizeof data, "%.*s", (int)len, after + 2);
  return data;
}

static void http_1_1_gets_chunks(void **state) {
  (void)state;
  const char *answer = ask("GET /sse?channel=keep:a");
  assert_true(has(answer, "Transfer-Encoding", "chunked"));
  chunk_of(body_of(answer), "retry: ");
  publish("1");
  const char *data = chunk_of(memory_peer_take(&peer), "data: 1\nid: ");
  assert_string_equal(data + strlen(data) - 2, "\n\n");
  mw_server_stop(server, NULL, NULL);
  server_settle(server);
  assert_string_equal(memory_peer_take(&peer), "0\r\n\r\n");
  assert_true(memory_peer_ended(&peer));
}

/* A stream that says something needs no heartbeat until it has been silent for
 * limits.heartbeat_ms. */
static void heartbeats_follow_silence(void **state) {
  (void)state;
  ask("GET /sse?channel=keep:a");
  mw_server_advance(server, 10000);
  assert_string_equal(memory_peer_take(&peer), "");
  publish("1");
  assert_non_null(strstr(memory_peer_take(&peer), "data: 1\n"));
  mw_server_advance(server, 12000);
  assert_string_equal(memory_peer_take(&peer), "");
  mw_server_advance(server, 5000);
  assert_string_equal(memory_peer_take(&peer), "2\r\n:\n\r\n");
  mw_server_advance(server, 12000);
  assert_string_equal(memory_peer_take(&peer), "");
  mw_server_advance(server, 5000);
  assert_string_equal(memory_peer_take(&peer), "2\r\n:\n\r\n");
}

static uint64_t gaps_now(void) {
  struct mw_stats stats;
  mw_server_stats(server, &stats);
  return stats.gaps;
}

static void gaps_are_counted(void **state) {
  (void)state;
  char line[200], first[MW_ID_MAX];
  publish("1");
  memcpy(first, published_id, sizeof first);
  for (int i = 0; i < 5; i++) publish("1");
  assert_int_equal(gaps_now(), 0);
  snprintf(line, sizeof line, "GET /poll?channel=keep:a&since=%s", first);
  assert_non_null(strstr(ask(line), "\"gaps\":[\"keep:a\"]"));
  assert_int_equal(gaps_now(), 1);
  snprintf(line, sizeof line, "GET /sse?channel=keep:a&since=%s", first);
  assert_non_null(strstr(ask(line), "event: moonwire:gap\n"));
  assert_int_equal(gaps_now(), 2);
  struct memory_peer other;
  memory_peer_open(&other, server);
  memory_peer_upgrade(&other, NULL);
  snprintf(line, sizeof line, "{\"subscribe\":\"keep:a\",\"since\":\"%s\",\"ref\":1}", first);
  memory_peer_frame(&other, WS_OPCODE_TEXT, bytes_string(line));
  assert_non_null(strstr(memory_peer_take(&other), "\"recovered\":false"));
  assert_int_equal(gaps_now(), 3);
  memory_peer_close(&other);
}

/* The times after which clients reconnect differ, also from server to server: not all of them come
 * back in one moment. */
static void clients_return_at_different_times(void **state) {
  enum { SERVERS = 8, STREAMS = 3 };
  unsigned retries[SERVERS][STREAMS], different = 0;
  for (size_t i = 0; i < SERVERS; i++) {
    for (size_t k = 0; k < STREAMS; k++) {
      const char *at = strstr(ask("GET /sse?channel=keep:a"), "retry: ");
      assert_non_null(at);
      retries[i][k] = (unsigned)atoi(at + 7);
      assert_in_range(retries[i][k], 1000, 3000);
      memory_peer_close(&peer);
      memory_peer_open(&peer, server);
    }
    bool is_new = true;
    for (size_t before = 0; before < i; before++) is_new = is_new && memcmp(retries[before], retries[i], sizeof retries[i]) != 0;
    different += is_new;
    end(state);
    begin(state);
  }
  assert_true(different > 3);
}

static void a_server_that_cannot_publish_is_not_ready(void **state) {
  (void)state;
  static const char expected[] = "{\"status\":\"unavailable\",\"reason\":\"no connection\"}\n";
  atomic_store(&server->app.unready, "no connection");
  const char *answer = ask("GET /ready");
  assert_int_equal(atoi(answer + strlen("HTTP/1.1 ")), 503);
  assert_string_equal(body_of(answer), expected);
  assert_int_equal(length_of(answer), strlen(expected));
  answer = ask("HEAD /ready");
  assert_int_equal(atoi(answer + strlen("HTTP/1.1 ")), 503);
  assert_string_equal(body_of(answer), "");
  assert_int_equal(atoi(ask("GET /health") + strlen("HTTP/1.1 ")), 200);
  atomic_store(&server->app.unready, NULL);
  assert_string_equal(body_of(ask("GET /ready")), "{\"status\":\"ok\"}\n");
}

int main(void) {
  mw_log_to(MW_LOG_ERROR + 1, NULL, NULL);
#define ANSWERS(name) cmocka_unit_test_setup_teardown(name, begin, end)
  const struct CMUnitTest tests[] = {
      ANSWERS(each_answer_has_its_body),
      ANSWERS(the_client_script_has_a_tag),
      ANSWERS(a_poll_says_what_it_is),
      ANSWERS(the_own_origin_needs_no_leave),
      ANSWERS(a_further_head_has_a_deadline_of_its_own),
      ANSWERS(bodies_are_read_by_their_type),
      ANSWERS(keys_of_publishes_have_a_length),
      ANSWERS(what_is_posted_is_answered_with_its_fault),
      ANSWERS(a_late_head_is_answered_by_its_method),
      ANSWERS(http_1_0_gets_no_chunks),
      ANSWERS(http_1_1_gets_chunks),
      ANSWERS(heartbeats_follow_silence),
      ANSWERS(gaps_are_counted),
      ANSWERS(a_server_that_cannot_publish_is_not_ready),
      ANSWERS(clients_return_at_different_times),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
