#include "codec/envelope.h"
#include "test/support.h"

static const char *read_text(const char *text, struct envelope_publish *publish) {
  struct json_value value;
  if (!json_scan(bytes_string(text), &value, NULL)) fail_msg("not JSON: %s", text);
  static char fault[ENVELOPE_FAULT_MAX];
  return envelope_read_publish(value, publish, fault) ? NULL : fault;
}

static void reads_a_publish(void **state) {
  (void)state;
  struct envelope_publish publish;
  assert_null(read_text("{\"channel\":\"a\"}", &publish));
  assert_true(json_string_equal(publish.channel, BYTES("a")));
  assert_int_equal(publish.event.type, JSON_NONE);
  assert_int_equal(publish.data.type, JSON_NONE);

  assert_null(
      read_text("{\"data\": [1, 2] ,\"ch\\u0061nnel\":\"a\",\"event\":\"e\",\"key\":\"k\",\"volatile\":true,\"final\":false,"
                "\"idempotency_key\":\"i\"}",
                &publish));
  assert_bytes_string(publish.channel.raw, "\"a\"");
  assert_bytes_string(publish.event.raw, "\"e\"");
  assert_bytes_string(publish.data.raw, "[1, 2]");
  assert_bytes_string(publish.key.raw, "\"k\"");
  assert_int_equal(publish.is_volatile.type, JSON_TRUE);
  assert_int_equal(publish.is_final.type, JSON_FALSE);
  assert_bytes_string(publish.idempotency_key.raw, "\"i\"");

  assert_null(read_text("{\"channel\":1,\"channel\":\"b\",\"data\":1,\"data\":null}", &publish));
  assert_bytes_string(publish.channel.raw, "\"b\"");
  assert_int_equal(publish.data.type, JSON_NULL);
}

static void says_what_is_wrong(void **state) {
  (void)state;
  static const struct {
    const char *text, *fault;
  } cases[] = {
      {"[]", "a publish must be a JSON object"},
      {"\"channel\"", "a publish must be a JSON object"},
      {"{}", "channel is missing"},
      {"{\"channels\":\"a\"}", "unknown member \"channels\" (did you mean \"channel\"?)"},
      {"{\"channel\":\"a\",\"evnt\":1}", "unknown member \"evnt\" (did you mean \"event\"?)"},
      {"{\"channel\":\"a\",\"Volatile\":true}", "unknown member \"Volatile\" (did you mean \"volatile\"?)"},
      {"{\"channel\":\"a\",\"\":1}", "unknown member \"\""},
      {"{\"x\":{\"channel\":1},\"channel\":\"a\"}", "unknown member \"x\""},
      {"{\"\\u0078\":1}", "unknown member \"\\u0078\""},
      {"{\"a name that is longer than what an answer sh\xc3\xa9ws\":1}",
       "unknown member \"a name that is longer than what an answe\xe2\x80\xa6\""},
      {"{\"a name that is longer than what an answ\xc3\xa9r shows\":1}",
       "unknown member \"a name that is longer than what an answ\xe2\x80\xa6\""},
      {"{\"channel\":null}", "channel must be a string"},
      {"{\"channel\":\"a\",\"channel\":[]}", "channel must be a string"},
      {"{\"channel\":\"a\",\"event\":1}", "event must be a string"},
      {"{\"channel\":\"a\",\"key\":{}}", "key must be a string"},
      {"{\"channel\":\"a\",\"volatile\":1}", "volatile must be true or false"},
      {"{\"channel\":\"a\",\"final\":\"true\"}", "final must be true or false"},
      {"{\"channel\":\"a\",\"idempotency_key\":5}", "idempotency_key must be a string"},
  };
  struct envelope_publish publish;
  for (size_t i = 0; i < COUNT_OF(cases); i++) assert_string_equal(read_text(cases[i].text, &publish), cases[i].fault);
}

static void writes_pushes(void **state) {
  (void)state;
  const struct bytes none = {NULL, 0};
  const struct {
    struct envelope_push push;
    const char *text;
  } cases[] = {
      {{.channel = BYTES("a"), .event = BYTES("e"), .id = BYTES("1-2"), .data = BYTES("{\"x\":1}")},
       "{\"channel\":\"a\",\"event\":\"e\",\"id\":\"1-2\",\"data\":{\"x\":1}}"},
      {{.channel = BYTES("a\"\n"), .event = BYTES("e"), .data = BYTES("null")},
       "{\"channel\":\"a\\\"\\n\",\"event\":\"e\",\"data\":null}"},
      {{.event = BYTES("e"), .id = BYTES("")}, "{\"event\":\"e\",\"id\":\"\"}"},
      {{.event = BYTES("e"), .from = BYTES("7"), .base64 = BYTES("AA==")},
       "{\"event\":\"e\",\"from\":\"7\",\"base64\":\"AA==\"}"},
      {{.data = BYTES("1")}, "{\"data\":1}"},
      {{.channel = none}, "{}"},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    struct buffer out = {0};
    struct json_value value;
    envelope_write_push(&out, &cases[i].push);
    assert_bytes_string(buffer_bytes(&out), cases[i].text);
    assert_true(json_scan(buffer_bytes(&out), &value, NULL));
    buffer_deinit(&out);
  }
}

static bool decode_and_write(void *context) {
  (void)context;
  struct buffer channel = {0}, out = {0};
  struct json_value value;
  json_scan(BYTES("\"a\\n\\u00e9bcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz\""), &value, NULL);
  json_string_decode(value, &channel);
  envelope_write_push(
      &out,
      &(struct envelope_push){.channel = buffer_bytes(&channel), .event = BYTES("e"), .id = BYTES("1-2"), .data = BYTES("null")});
  bool ok = !channel.failed && !out.failed;
  buffer_deinit(&channel);
  buffer_deinit(&out);
  return ok;
}

static void stands_failing_memory(void **state) {
  (void)state;
  assert_true(support_fail_each(decode_and_write, NULL) > 3);
}

static void checks_channel_names(void **state) {
  (void)state;
  char name[256];
  memset(name, 'a', sizeof(name));
  assert_null(channel_name_fault(BYTES("room:1/x y")));
  assert_null(channel_name_fault(BYTES("\xe2\x82\xac\xc2\xa0")));
  assert_null(channel_name_fault(bytes_of(name, 255)));
  assert_string_equal(channel_name_fault(bytes_of(name, 256)), "the channel name is longer than 255 bytes");
  assert_string_equal(channel_name_fault(BYTES("")), "the channel name is empty");
  assert_string_equal(channel_name_fault(BYTES("a\xff")), "the channel name is not UTF-8");
  static const struct bytes controls[] = {{"a\n", 2}, {"a\0", 2}, {"\x1f", 1}, {"\x7f", 1}, {"\xc2\x80", 2}, {"\xc2\x9f", 2}};
  for (size_t i = 0; i < COUNT_OF(controls); i++) {
    assert_string_equal(channel_name_fault(controls[i]), "the channel name has a control character");
  }
}

static void checks_event_names(void **state) {
  (void)state;
  char name[65];
  memset(name, 'a', sizeof(name));
  static const char *const right[] = {"a",      "message",  "chat:said", "A-z_0.9",     "opens",
                                      "errors", "moonwire", "Open",      "moonwire-gap"};
  for (size_t i = 0; i < COUNT_OF(right); i++) assert_null(event_name_fault(bytes_string(right[i])));
  assert_null(event_name_fault(bytes_of(name, 64)));
  assert_non_null(event_name_fault(bytes_of(name, 65)));
  static const char *const wrong[] = {"", "a b", "a\n", "\xc3\xa9", "a/b", "open", "error", "moonwire:", "moonwire:gap"};
  for (size_t i = 0; i < COUNT_OF(wrong); i++) assert_non_null(event_name_fault(bytes_string(wrong[i])));
  assert_non_null(event_name_fault(BYTES("a\0")));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(reads_a_publish),       TEST(says_what_is_wrong),   TEST(writes_pushes),
      TEST(stands_failing_memory), TEST(checks_channel_names), TEST(checks_event_names),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
