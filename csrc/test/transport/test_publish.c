/* POST /publish: one message, arrays, JSON lines, what is refused, and keys that make a retry
 * harmless. */
#include <string.h>

#include "test/support.h"
#include "test/support/memory_peer.h"

#define KEY "Authorization: Bearer secret\r\n"
#define REFUSED(code, reason) "{\"error\":{\"code\":\"" code "\",\"reason\":\"" reason "\"}}"

#define NO_OBJECT REFUSED("bad_request", "a publish must be a JSON object")
#define NO_HALL REFUSED("not_found", "no pattern matches the channel \\\"hall\\\"")
#define BAD_EVENT REFUSED("bad_request", "the event name has a character other than A-Z a-z 0-9 _ . : -")

struct fixture {
  struct mw_server *server;
  struct memory_peer back_end, subscriber;
};

static void start(struct fixture *fixture) {
  struct mw_config_options options;
  struct mw_config *config;
  mw_config_options_init(&options);
  options.publish_key = "secret";
  options.limits.message_size = 100;
  assert_int_equal(mw_config_new(&config, &options, NULL), 0);
  assert_int_equal(mw_config_channel(config, "room:{id}", &(struct mw_channel_options){0}, NULL), 0);
  assert_int_equal(mw_server_new(&fixture->server, &(struct mw_server_options){.config = config}, NULL), 0);
  mw_config_unref(config);
  mw_server_advance(fixture->server, 1);
  memory_peer_open(&fixture->back_end, fixture->server);
  memory_peer_open(&fixture->subscriber, fixture->server);
  memory_peer_upgrade(&fixture->subscriber, NULL);
  memory_peer_frame(&fixture->subscriber, WS_OPCODE_TEXT, BYTES("{\"subscribe\":\"room:1\"}"));
}

static void finish(struct fixture *fixture) {
  memory_peer_close(&fixture->back_end);
  memory_peer_close(&fixture->subscriber);
  server_finish(fixture->server);
}

static uint64_t published(struct fixture *fixture) {
  struct mw_stats stats;
  mw_server_stats(fixture->server, &stats);
  return stats.published;
}

/* Publishes and compares the answer, in which every id is replaced by "#". */
static void expect_at(struct fixture *fixture, const char *fields, const char *body, int status, const char *answer, int line) {
  const char *text;
  char got[65536] = "";
  size_t len = 0;
  int got_status = memory_peer_post(&fixture->back_end, "/publish", fields, bytes_string(body), &text);
  for (; *text && len < sizeof got - 2; text++) {
    got[len++] = *text;
    bool is_id = len >= 6 && memcmp(&got[len - 6], "\"id\":\"", 6) == 0;
    if (is_id) got[len++] = '#';
    while (is_id && text[1] != '"') text++;
  }
  if (len > 0 && got[len - 1] == '\n') got[len - 1] = '\0';
  if (got_status == status && strcmp(got, answer) == 0) return;
  print_error("sent: %s\nexpected: %d %s\n     got: %d %s\n", body, status, answer, got_status, got);
  _fail(__FILE__, line);
}
#define expect(fixture, fields, body, status, answer) expect_at((fixture), KEY fields, (body), (status), (answer), __LINE__)

static void publishes_one(void **state) {
  (void)state;
  struct fixture fixture;
  start(&fixture);
  expect(&fixture, "", "{\"channel\":\"room:1\",\"event\":\"said\",\"data\":{\"n\":1}}", 200, "{\"id\":\"#\"}");
  assert_non_null(strstr(memory_peer_take(&fixture.subscriber), "\"event\":\"said\""));
  expect(&fixture, "", "{\"channel\":\"room:1\",\"volatile\":true}", 200, "{}");
  memory_peer_expect(&fixture.subscriber, "{\"channel\":\"room:1\",\"event\":\"message\",\"data\":null}");
  expect(&fixture, "", " {\"channel\":\"room:\\u0031\",\n \"volatile\":true, \"data\":[1,\n2]}\n", 200, "{}");
  memory_peer_expect(&fixture.subscriber, "{\"channel\":\"room:1\",\"event\":\"message\",\"data\":[1,\n2]}");
  finish(&fixture);
}

static void publishes_bytes(void **state) {
  (void)state;
  struct fixture fixture;
  enum ws_opcode opcode;
  struct bytes payload;
  start(&fixture);
  expect(&fixture, "", "{\"channel\":\"room:1\",\"volatile\":true,\"base64\":\"AAr\\/\"}", 200, "{}");
  assert_true(memory_peer_next_frame(&fixture.subscriber, &opcode, &payload));
  assert_int_equal(opcode, WS_OPCODE_BINARY);
  assert_bytes(payload, BYTES("{\"channel\":\"room:1\",\"event\":\"message\"}\n\0\n\xff"));
  expect(&fixture, "", "{\"channel\":\"room:1\",\"base64\":\"AAr\"}", 400,
         REFUSED("bad_request", "invalid base64; padding is required"));
  expect(&fixture, "", "{\"channel\":\"room:1\",\"base64\":\"AA==\",\"data\":1}", 400,
         REFUSED("bad_request", "data and base64 cannot be combined"));
  finish(&fixture);
}

static void says_what_is_wrong(void **state) {
  (void)state;
  static const struct {
    const char *body;
    int status;
    const char *answer;
  } cases[] = {
      {"", 400, REFUSED("bad_request", "invalid JSON in the body at byte 0: unexpected end")},
      {"{\"channel\":\"room:1\"", 400, NULL},
      {"[{\"channel\":\"room:1\"}", 400, NULL},
      {"[{\"channel\":\"room:1\"},]", 400, NULL},
      {"\xff", 400, NULL},
      {"1", 400, REFUSED("bad_request", "a publish must be a JSON object")},
      {"{}", 400, REFUSED("bad_request", "channel is missing")},
      {"{\"channel\":1}", 400, REFUSED("bad_request", "channel must be a string")},
      {"{\"channel\":\"\"}", 400, REFUSED("bad_request", "the channel name is empty")},
      {"{\"channel\":\"room:1\",\"event\":\"open\"}", 400,
       REFUSED("bad_request", "the event names open and error are reserved for EventSource")},
      {"{\"channel\":\"room:1\",\"event\":[]}", 400, REFUSED("bad_request", "event must be a string")},
      {"{\"channel\":\"room:1\",\"volatile\":1}", 400, REFUSED("bad_request", "volatile must be true or false")},
      {"{\"channel\":\"hall\"}", 404, NO_HALL},
      {"{\"channel\":\"room:1\",\"idempotency_key\":1}", 400, REFUSED("bad_request", "idempotency_key must be a string")},
      {"{\"channel\":\"room:1\",\"idempotency_key\":\"\"}", 400,
       REFUSED("bad_request", "idempotency_key must be 1 to 128 bytes long")},
      {"{\"channel\":\"room:1\",\"data\":\"0123456789012345678901234567890123456789012345678901234567890123456789"
       "0123456789012345678901234567890123456789\"}",
       413, REFUSED("too_large", "the data is larger than limits.message_size")},
  };
  struct fixture fixture;
  start(&fixture);
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    const char *text;
    if (cases[i].answer) {
      expect(&fixture, "", cases[i].body, cases[i].status, cases[i].answer);
    } else {
      assert_int_equal(memory_peer_post(&fixture.back_end, "/publish", KEY, bytes_string(cases[i].body), &text), 400);
      assert_non_null(strstr(text, "\"reason\":\"invalid JSON in the body at byte "));
    }
  }
  assert_int_equal(published(&fixture), 0);
  memory_peer_expect(&fixture.subscriber, NULL);
  finish(&fixture);
}

static void asks_for_the_key(void **state) {
  (void)state;
  static const char *const fields[] = {"", "Authorization: Bearer wrong\r\n", "Authorization: Bearer\r\n",
                                       "Authorization: Basic secret\r\n", "Authorization: Bearer secretive\r\n"};
  struct fixture fixture;
  start(&fixture);
  for (size_t i = 0; i < COUNT_OF(fields); i++) {
    expect_at(&fixture, fields[i], "[{\"channel\":\"room:1\"}]", 401,
              REFUSED("unauthorized", "the publish key is missing or wrong"), __LINE__);
  }
  assert_int_equal(published(&fixture), 0);
  finish(&fixture);
}

/* Pages have no business here: no answer allows them to read it. */
static void never_answers_cors(void **state) {
  (void)state;
  struct fixture fixture;
  start(&fixture);
  memory_peer_send_text(&fixture.back_end, "POST /publish HTTP/1.1\r\nHost: test\r\nOrigin: https://a.example\r\n" KEY
                                           "Content-Length: 2\r\n\r\n[]");
  assert_null(strstr(memory_peer_take(&fixture.back_end), "Access-Control"));
  memory_peer_send_text(&fixture.back_end, "OPTIONS /publish HTTP/1.1\r\nHost: test\r\nOrigin: https://a.example\r\n"
                                           "Access-Control-Request-Method: POST\r\n\r\n");
  assert_null(strstr(memory_peer_take(&fixture.back_end), "Access-Control"));
  finish(&fixture);
}

/* ---- Many ------------------------------------------------------------------------------------ */

static void publishes_arrays(void **state) {
  (void)state;
  static const char items[] = "[{\"channel\":\"room:1\",\"data\":1,\"volatile\":true}, 7, {\"channel\":\"hall\"},"
                              "{\"channel\":\"room:1\",\"event\":\"a b\"},{\"channel\":\"room:2\"},[],"
                              " {\"channel\":\"room:1\",\"data\":2,\"volatile\":true}]";
  static const char answer[] = "[{}," NO_OBJECT "," NO_HALL "," BAD_EVENT ",{\"id\":\"#\"}," NO_OBJECT ",{}]";
  struct fixture fixture;
  start(&fixture);
  expect(&fixture, "", "[]", 200, "[]");
  expect(&fixture, "", items, 200, answer);
  memory_peer_expect(&fixture.subscriber, "{\"channel\":\"room:1\",\"event\":\"message\",\"data\":1}");
  memory_peer_expect(&fixture.subscriber, "{\"channel\":\"room:1\",\"event\":\"message\",\"data\":2}");
  memory_peer_expect(&fixture.subscriber, NULL);
  assert_int_equal(published(&fixture), 3);
  finish(&fixture);
}

static void publishes_lines(void **state) {
  (void)state;
  static const char lines[] = "{\"channel\":\"room:1\",\"data\":1,\"volatile\":true}\r\n\n  \n{\"channel\":\n"
                              "{\"channel\":\"room:2\"}\n{\"channel\":\"room:1\",\"data\":2,\"volatile\":true}";
  static const char answer[] =
      "[{}," REFUSED("bad_request", "invalid JSON in the line at byte 11: unexpected end") ",{\"id\":\"#\"},{}]";
  struct fixture fixture;
  start(&fixture);
  expect(&fixture, "Content-Type: application/x-ndjson\r\n", lines, 200, answer);
  expect(&fixture, "Content-Type: Application/JSONL; charset=utf-8\r\n", lines, 200, answer);
  expect(&fixture, "", lines, 200, answer);
  for (int i = 0; i < 6; i++) {
    const char *push = i % 2 == 0 ? "{\"channel\":\"room:1\",\"event\":\"message\",\"data\":1}"
                                  : "{\"channel\":\"room:1\",\"event\":\"message\",\"data\":2}";
    memory_peer_expect(&fixture.subscriber, push);
  }
  /* One line is a list if its type says so, and else an object. */
  expect(&fixture, "Content-Type: application/jsonl\r\n", "{\"channel\":\"room:2\"}\n", 200, "[{\"id\":\"#\"}]");
  expect(&fixture, "Content-Type: application/jsonl\r\n", "", 200, "[]");
  expect(&fixture, "", "{\"channel\":\"room:2\"}\n", 200, "{\"id\":\"#\"}");
  finish(&fixture);
}

static void bounds_the_number(void **state) {
  (void)state;
  struct fixture fixture;
  const char *text;
  start(&fixture);
  for (int count = 1000; count <= 1001; count++) {
    for (int are_lines = 0; are_lines < 2; are_lines++) {
      struct buffer body = {0};
      buffer_append_string(&body, are_lines ? "" : "[");
      for (int i = 0; i < count; i++) {
        buffer_append_string(&body, i == 0 ? "" : are_lines ? "\n" : ",");
        buffer_append_string(&body, "{\"channel\":\"room:2\"}");
      }
      buffer_append_string(&body, are_lines ? "" : "]");
      int status = memory_peer_post(&fixture.back_end, "/publish", KEY, buffer_bytes(&body), &text);
      assert_int_equal(status, count > 1000 ? 413 : 200);
      if (count > 1000) assert_non_null(strstr(text, "at most 1000 messages in one request"));
      buffer_deinit(&body);
    }
  }
  assert_int_equal(published(&fixture), 2000);
  finish(&fixture);
}

/* ---- Keys ------------------------------------------------------------------------------------ */

static void publish_keyed(struct fixture *fixture, const char *key, char answer[64]) {
  char body[256];
  const char *text;
  snprintf(body, sizeof body, "{\"channel\":\"room:1\",\"idempotency_key\":\"%s\"}", key);
  assert_int_equal(memory_peer_post(&fixture->back_end, "/publish", KEY, bytes_string(body), &text), 200);
  snprintf(answer, 64, "%s", text);
}

static void answers_a_retry_as_before(void **state) {
  (void)state;
  struct fixture fixture;
  char first[64], second[64], other[64];
  start(&fixture);
  publish_keyed(&fixture, "a", first);
  publish_keyed(&fixture, "\\u0061", second);
  publish_keyed(&fixture, "b", other);
  assert_string_equal(first, second);
  assert_string_not_equal(first, other);
  assert_int_equal(published(&fixture), 2);
  /* Also within one array, and a volatile one. */
  expect(
      &fixture, "",
      "[{\"channel\":\"room:1\",\"idempotency_key\":\"v\",\"volatile\":true},{\"channel\":\"room:1\",\"idempotency_key\":\"v\"}]",
      200, "[{},{}]");
  assert_int_equal(published(&fixture), 3);
  /* What was refused is tried anew. */
  expect(&fixture, "", "{\"channel\":\"hall\",\"idempotency_key\":\"c\"}", 404,
         REFUSED("not_found", "no pattern matches the channel \\\"hall\\\""));
  publish_keyed(&fixture, "c", other);
  assert_int_equal(published(&fixture), 4);
  /* Keys are at most 128 bytes long. */
  char key[130];
  memset(key, 'k', sizeof key);
  key[128] = '\0';
  publish_keyed(&fixture, key, first);
  publish_keyed(&fixture, key, second);
  assert_string_equal(first, second);
  char body[256];
  snprintf(body, sizeof body, "{\"channel\":\"room:1\",\"idempotency_key\":\"%sk\"}", key);
  expect(&fixture, "", body, 400, REFUSED("bad_request", "idempotency_key must be 1 to 128 bytes long"));
  assert_int_equal(published(&fixture), 5);
  finish(&fixture);
}

static void forgets_keys_after_five_minutes(void **state) {
  (void)state;
  struct fixture fixture;
  char first[64], again[64];
  start(&fixture);
  publish_keyed(&fixture, "a", first);
  mw_server_advance(fixture.server, 299000);
  memory_peer_close(&fixture.back_end); /* idle for too long */
  server_settle(fixture.server);
  memory_peer_open(&fixture.back_end, fixture.server);
  publish_keyed(&fixture, "a", again);
  assert_string_equal(first, again);
  mw_server_advance(fixture.server, 1000);
  publish_keyed(&fixture, "a", again);
  assert_string_not_equal(first, again);
  finish(&fixture);
}

static void forgets_the_oldest_of_many(void **state) {
  (void)state;
  struct fixture fixture;
  char first[64], second[64], answer[64];
  const char *text;
  start(&fixture);
  publish_keyed(&fixture, "first", first);
  publish_keyed(&fixture, "second", second);
  for (int round = 0; round < 10; round++) {
    struct buffer body = {0};
    for (int i = round * 1000; i < round * 1000 + (round < 9 ? 1000 : 999); i++)
      buffer_append_format(&body, "{\"channel\":\"room:2\",\"idempotency_key\":\"%d\"}\n", i);
    assert_int_equal(memory_peer_post(&fixture.back_end, "/publish", KEY, buffer_bytes(&body), &text), 200);
    buffer_deinit(&body);
  }
  publish_keyed(&fixture, "second", answer);
  assert_string_equal(answer, second);
  publish_keyed(&fixture, "first", answer);
  assert_string_not_equal(answer, first);
  finish(&fixture);
}

/* ---- If out of memory ------------------------------------------------------------------------ */

/* A server, a peer and a publish from beginning to end; true if the answer was the right one. */
static bool publish_with_what_there_is(void *context) {
  (void)context;
  static const char request[] =
      "POST /publish HTTP/1.1\r\nHost: test\r\nContent-Length: 86\r\n" KEY "\r\n"
      "[{\"channel\":\"room:1\",\"idempotency_key\":\"\\u0061\"},{\"channel\":\"room:1\",\"base64\":\"AAAA\"}]";
  struct mw_config_options options;
  struct mw_config *config = NULL;
  struct mw_server *server = NULL;
  struct mw_memory *memory = NULL;
  char answer[1024] = "";
  mw_config_options_init(&options);
  options.publish_key = "secret";
  if (mw_config_new(&config, &options, NULL) < 0) return false;
  bool ok = mw_config_channel(config, "room:{id}", &(struct mw_channel_options){.history_size = 2}, NULL) == 0 &&
            mw_server_new(&server, &(struct mw_server_options){.config = config}, NULL) == 0 &&
            mw_connect_memory(server, &memory) == 0 && mw_memory_write(memory, request, strlen(request)) == 0;
  if (ok) server_settle(server);
  if (ok) mw_memory_read(memory, answer, sizeof answer - 1);
  mw_memory_close(memory);
  mw_server_free(server);
  mw_config_unref(config);
  const char *first = strstr(answer, "[{\"id\":\"");
  return ok && first && strstr(first, "},{\"id\":\"");
}

static void nothing(void *context, enum mw_log_level level, const char *text, size_t text_len) {
  (void)context, (void)level, (void)text, (void)text_len;
}

static void stands_failing_memory(void **state) {
  (void)state;
  mw_log_to(MW_LOG_ERROR, nothing, NULL);
  assert_true(support_fail_each(publish_with_what_there_is, NULL) > 20);
  mw_log_to(MW_LOG_INFO, NULL, NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(publishes_one),
      TEST(publishes_bytes),
      TEST(says_what_is_wrong),
      TEST(asks_for_the_key),
      TEST(never_answers_cors),
      TEST(publishes_arrays),
      TEST(publishes_lines),
      TEST(bounds_the_number),
      TEST(answers_a_retry_as_before),
      TEST(forgets_keys_after_five_minutes),
      TEST(forgets_the_oldest_of_many),
      TEST(stands_failing_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
