#include "codec/verb.h"

#include "base/memory.h"
#include "test/support.h"
#include "test/support/verb_answer.h"

#define C64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define C250 C64 C64 C64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789"

/* What was read, on one line: the type and whatever is there. */
static void describe(struct buffer *out, const struct verb *verb) {
  static const char *const types[VERB_COUNT] = {"subscribe", "unsubscribe", "send", "presence",
                                                "history",   "token",       "ping", "connect"};
  const struct {
    const char *name;
    struct bytes text;
  } texts[] = {{" channel=", verb->channel}, {" event=", verb->event},     {" key=", verb->idempotency_key},
               {" data=", verb->data.raw},   {" payload=", verb->payload}, {" since=", verb->since},
               {" before=", verb->before},   {" token=", verb->token},     {" ref=", verb->ref.raw}};
  buffer_append_string(out, types[verb->type]);
  for (size_t i = 0; i < COUNT_OF(texts); i++) {
    if (!texts[i].text.ptr) continue;
    buffer_append_string(out, texts[i].name);
    buffer_append(out, texts[i].text);
  }
  if (verb->limit > 0) buffer_append_format(out, " limit=%u", (unsigned)verb->limit);
  if (verb->is_binary) buffer_append_string(out, " binary");
}

struct verb_case {
  const char *text, *expected;
};

static const struct verb_case accepted[] = {
    {"{\"subscribe\":\"room:1\"}", "subscribe channel=room:1"},
    {"{\"subscribe\":\"room:1\",\"ref\":1,\"since\":\"k3x-42\"}", "subscribe channel=room:1 since=k3x-42 ref=1"},
    {" { \"ref\" : 1 , \"subscribe\" : \"room:1\" } ", "subscribe channel=room:1 ref=1"},
    {"{\"subscribe\":\"a\",\"since\":\"\"}", "subscribe channel=a since="},
    {"{\"unsubscribe\":\"room:1\",\"ref\":2}", "unsubscribe channel=room:1 ref=2"},
    {"{\"send\":\"room:1\",\"event\":\"say\",\"data\":{\"text\": [1, 2]},\"ref\":3}",
     "send channel=room:1 event=say data={\"text\": [1, 2]} ref=3"},
    {"{\"send\":\"a\"}", "send channel=a event=message"},
    {"{\"send\":\"a\",\"data\":null}", "send channel=a event=message data=null"},
    {"{\"presence\":\"room:1\",\"ref\":4}", "presence channel=room:1 ref=4"},
    {"{\"history\":\"room:1\",\"since\":\"0\",\"before\":\"x\",\"limit\":50,\"ref\":5}",
     "history channel=room:1 since=0 before=x ref=5 limit=50"},
    {"{\"history\":\"a\",\"limit\":4294967295}", "history channel=a limit=4294967295"},
    {"{\"history\":\"a\"}", "history channel=a"},
    {"{\"token\":\"ey.J.x\",\"ref\":6}", "token token=ey.J.x ref=6"},
    {"{\"token\":\"\"}", "token token="},
    {"{\"ping\":true,\"ref\":7}", "ping ref=7"},
    {"{\"connect\":{\"token\":\"t\",\"else\":1},\"ref\":0}", "connect token=t ref=0"},
    {"{\"connect\":{},\"ref\":0}", "connect ref=0"},
    {"{\"connect\":{\"token\":1,\"token\":\"t\"}}", "connect token=t"},

    /* refs */
    {"{\"ping\":true,\"ref\":9223372036854775807}", "ping ref=9223372036854775807"},
    {"{\"ping\":true,\"ref\":-9223372036854775808}", "ping ref=-9223372036854775808"},
    {"{\"ping\":true,\"ref\":-0}", "ping ref=-0"},
    {"{\"ping\":true,\"ref\":\"\"}", "ping ref=\"\""},
    {"{\"ping\":true,\"ref\":\"" C64 "\"}", "ping ref=\"" C64 "\""},
    {"{\"ping\":true,\"ref\":\"\\u0061\\n\\\"\"}", "ping ref=\"\\u0061\\n\\\"\""},

    /* names */
    {"{\"subscribe\":\"" C250 "abcde\"}", "subscribe channel=" C250 "abcde"},
    {"{\"subscribe\":\"r\\u006f\\u00e9\\/\\ud83c\\udf19\",\"since\":\"\\t\"}",
     "subscribe channel=ro\xc3\xa9/\xf0\x9f\x8c\x99 since=\t"},
    {"{\"s\\u0065nd\":\"\\u0061\",\"event\":\"\\u0062\",\"data\":\"\\u0063\"}", "send channel=a event=b data=\"\\u0063\""},
    {"{\"send\":\"a\",\"event\":\"" C64 "\"}", "send channel=a event=" C64},
    {"{\"send\":\"a\",\"idempotency_key\":\"" C64 C64 "\"}", "send channel=a event=message key=" C64 C64},
    {"{\"subscribe\":\"a\",\"idempotency_key\":5}", "subscribe channel=a"},
    {"{\"send\":\"a\",\"base64\":\"aGk=\"}", "send channel=a event=message payload=hi binary"},
    {"{\"send\":\"\\u0061\",\"base64\":\"aG\\u006b=\",\"event\":\"\\u0062\",\"ref\":1}",
     "send channel=a event=b payload=hi ref=1 binary"},
    {"{\"subscribe\":\"a\",\"base64\":5}", "subscribe channel=a"},

    /* what the verb does not know, what no one knows, what is given twice */
    {"{\"subscribe\":\"a\",\"event\":5,\"limit\":{},\"before\":1,\"data\":2}", "subscribe channel=a"},
    {"{\"ping\":true,\"since\":1,\"event\":\"moonwire:x\"}", "ping"},
    {"{\"subscribe\":\"a\",\"\":1,\"Subscribe\":2,\"subscribe \":3,\"x\":{\"send\":\"b\"}}", "subscribe channel=a"},
    {"{\"subscribe\":1,\"subscribe\":\"a\",\"ref\":[],\"ref\":1}", "subscribe channel=a ref=1"},
    {"{\"send\":\"a\",\"data\":1,\"send\":\"b\",\"data\":2,\"event\":\"open\",\"event\":\"e\"}", "send channel=b event=e data=2"},
};

#define BAD_REF "ref must be an integer of 64 bits or a string of at most 64 bytes"
#define REFUSED(text, reason)                                                                                                    \
  { text, "{\"error\":{\"code\":\"bad_request\",\"reason\":\"" reason "\"}}" }
#define REFUSED_REF(text, reason)                                                                                                \
  { text, "{\"ref\":1,\"error\":{\"code\":\"bad_request\",\"reason\":\"" reason "\"}}" }
#define REFUSED_CHANNEL(text, reason)                                                                                            \
  { text, "{\"channel\":\"a\",\"error\":{\"code\":\"bad_request\",\"reason\":\"" reason "\"}}" }

#define NO_VERB "the object has no verb: subscribe, unsubscribe, send, presence, history, token, ping, or connect"

/* The answer that each gets. */
static const struct verb_case refused[] = {
    REFUSED("", "invalid JSON at byte 0: unexpected end"),
    REFUSED("{\"ping\":true", "invalid JSON at byte 12: unexpected end"),
    REFUSED("{\"ping\":true}x", "invalid JSON at byte 13: unexpected text after the value"),
    REFUSED("{'ping':true}", "invalid JSON at byte 1: expected a member name"),
    REFUSED_REF("{\"subscribe\":\"\xff\",\"ref\":1}", "invalid JSON at byte 14: invalid UTF-8"),
    REFUSED_REF("{\"subscribe\":\"\\ud800\",\"ref\":1}", "invalid JSON at byte 14: invalid \\\\u escape"),
    REFUSED_REF("{\"ref\":1,\"ping\":true", "invalid JSON at byte 20: unexpected end"),
    REFUSED_REF("{\"ping\":tru,\"ref\":1}", "invalid JSON at byte 11: expected a value"),
    REFUSED("{\"ping\":tru,\"ref\":1.5}", "invalid JSON at byte 11: expected a value"),
    REFUSED("{\"ping\":tru,\"ref\":\"" C64 "x\"}", "invalid JSON at byte 11: expected a value"),
    REFUSED("{\"ping\":tru,\"ref\":[1]}", "invalid JSON at byte 11: expected a value"),
    REFUSED("{\"ref\":01,\"ping\":true}", "invalid JSON at byte 8: expected a comma or }"),
    REFUSED("[]", "a message must be a JSON object"),
    REFUSED("null", "a message must be a JSON object"),
    REFUSED("\"subscribe\"", "a message must be a JSON object"),
    REFUSED("[{\"ping\":true,\"ref\":1}]", "a message must be a JSON object"),
    REFUSED("{}", NO_VERB),
    REFUSED_REF("{\"ref\":1}", NO_VERB),
    REFUSED_REF("{\"ref\":1,\"Ping\":true,\"event\":\"e\",\"data\":1}", NO_VERB),
    REFUSED_REF("{\"subscribe\":\"a\",\"unsubscribe\":\"a\",\"ref\":1}", "the object has more than one verb"),
    REFUSED_REF("{\"subscribe\":\"a\",\"ping\":null,\"ref\":1}", "the object has more than one verb"),
    REFUSED("{\"subscribe\":\"a\",\"send\":\"a\",\"token\":\"t\"}", "the object has more than one verb"),

    REFUSED("{\"ref\":true}", NO_VERB),
    REFUSED("{\"ping\":true,\"ref\":null}", BAD_REF),
    REFUSED("{\"ping\":true,\"ref\":true}", BAD_REF),
    REFUSED("{\"ping\":true,\"ref\":{}}", BAD_REF),
    REFUSED("{\"ping\":true,\"ref\":[1]}", BAD_REF),
    REFUSED("{\"ping\":true,\"ref\":1.0}", BAD_REF),
    REFUSED("{\"ping\":true,\"ref\":1e2}", BAD_REF),
    REFUSED("{\"ping\":true,\"ref\":-1E0}", BAD_REF),
    REFUSED("{\"ping\":true,\"ref\":9223372036854775808}", BAD_REF),
    REFUSED("{\"ping\":true,\"ref\":-9223372036854775809}", BAD_REF),
    REFUSED("{\"ping\":true,\"ref\":100000000000000000000000}", BAD_REF),
    REFUSED("{\"ping\":true,\"ref\":\"" C64 "x\"}", BAD_REF),
    REFUSED("{\"ping\":true,\"ref\":\"" C64 "\\n\"}", BAD_REF),
    REFUSED("{\"ping\":true,\"ref\":1,\"ref\":1.5}", BAD_REF),
    REFUSED_CHANNEL("{\"subscribe\":\"a\",\"ref\":1.5}", BAD_REF),
    REFUSED_CHANNEL("{\"ref\":null,\"send\":\"a\",\"event\":\"open\"}", BAD_REF),

    REFUSED_REF("{\"subscribe\":1,\"ref\":1}", "the channel name must be a string"),
    REFUSED_REF("{\"unsubscribe\":null,\"ref\":1}", "the channel name must be a string"),
    REFUSED_REF("{\"send\":[\"a\"],\"ref\":1}", "the channel name must be a string"),
    REFUSED_REF("{\"presence\":{},\"ref\":1}", "the channel name must be a string"),
    REFUSED_REF("{\"history\":true,\"ref\":1}", "the channel name must be a string"),
    REFUSED_REF("{\"subscribe\":\"a\",\"subscribe\":2,\"ref\":1}", "the channel name must be a string"),
    REFUSED_REF("{\"subscribe\":\"\",\"ref\":1}", "the channel name is empty"),
    REFUSED("{\"subscribe\":\"" C250 "abcdef\"}", "the channel name is longer than 255 bytes"),
    REFUSED("{\"subscribe\":\"a\\n\"}", "the channel name has a control character"),
    REFUSED("{\"subscribe\":\"a\\u0000\"}", "the channel name has a control character"),
    REFUSED("{\"subscribe\":\"a\x7f\"}", "the channel name has a control character"),

    REFUSED_CHANNEL("{\"subscribe\":\"a\",\"since\":0}", "since must be a string"),
    REFUSED_CHANNEL("{\"subscribe\":\"a\",\"since\":null}", "since must be a string"),
    REFUSED_CHANNEL("{\"history\":\"a\",\"since\":{}}", "since must be a string"),
    REFUSED_CHANNEL("{\"history\":\"a\",\"before\":5}", "before must be a string"),
    REFUSED_CHANNEL("{\"history\":\"a\",\"limit\":0}", "limit must be an integer between 1 and 4294967295"),
    REFUSED_CHANNEL("{\"history\":\"a\",\"limit\":-1}", "limit must be an integer between 1 and 4294967295"),
    REFUSED_CHANNEL("{\"history\":\"a\",\"limit\":1.5}", "limit must be an integer between 1 and 4294967295"),
    REFUSED_CHANNEL("{\"history\":\"a\",\"limit\":\"5\"}", "limit must be an integer between 1 and 4294967295"),
    REFUSED_CHANNEL("{\"history\":\"a\",\"limit\":4294967296}", "limit must be an integer between 1 and 4294967295"),
    REFUSED_CHANNEL("{\"history\":\"a\",\"limit\":18446744073709551617}", "limit must be an integer between 1 and 4294967295"),
    REFUSED_CHANNEL("{\"send\":\"a\",\"event\":null}", "event must be a string"),
    REFUSED_CHANNEL("{\"send\":\"a\",\"event\":\"\"}", "the event name is empty"),
    REFUSED_CHANNEL("{\"send\":\"a\",\"base64\":5}", "base64 must be a string"),
    REFUSED_CHANNEL("{\"send\":\"a\",\"base64\":\"aGk\"}", "invalid base64; padding is required"),
    REFUSED_CHANNEL("{\"send\":\"a\",\"base64\":\"aGk=\",\"data\":null}", "a send must have data or base64, not both"),
    REFUSED_CHANNEL("{\"send\":\"a\",\"idempotency_key\":5}", "idempotency_key must be a string"),
    REFUSED_CHANNEL("{\"send\":\"a\",\"idempotency_key\":\"\"}", "idempotency_key must be 1 to 128 bytes long"),
    REFUSED_CHANNEL("{\"send\":\"a\",\"idempotency_key\":\"" C64 C64 "0\"}", "idempotency_key must be 1 to 128 bytes long"),
    REFUSED_CHANNEL("{\"send\":\"a\",\"event\":\"" C64 "0\"}", "the event name is longer than 64 bytes"),
    REFUSED_CHANNEL("{\"send\":\"a\",\"event\":\"a b\"}", "the event name has a character other than A-Z a-z 0-9 _ . : -"),
    REFUSED_CHANNEL("{\"send\":\"a\",\"event\":\"moonwire:gap\"}", "event names that begin with moonwire: are reserved"),
    REFUSED_REF("{\"send\":\"a\",\"event\":\"open\",\"ref\":1}", "the event names open and error are reserved for EventSource"),

    REFUSED_REF("{\"token\":null,\"ref\":1}", "the token must be a string"),
    REFUSED_REF("{\"token\":{},\"ref\":1}", "the token must be a string"),
    REFUSED_REF("{\"ping\":false,\"ref\":1}", "ping must be true"),
    REFUSED_REF("{\"ping\":1,\"ref\":1}", "ping must be true"),
    REFUSED_REF("{\"connect\":\"t\",\"ref\":1}", "connect must be an object"),
    REFUSED_REF("{\"connect\":true,\"ref\":1}", "connect must be an object"),
    REFUSED_REF("{\"connect\":{\"token\":null},\"ref\":1}", "the token must be a string"),
};

static void check_fault(const char *text, struct verb_fault fault, const struct verb *verb, const char *expected) {
  struct buffer out = {0};
  struct json_value value;
  if (!fault.code) fail_msg("accepted: %s", text);
  write_fault(&out, verb, &fault);
  if (!bytes_equal(buffer_bytes(&out), bytes_string(expected))) print_error("%s\n", text);
  assert_bytes_string(buffer_bytes(&out), expected);
  assert_true(json_scan(buffer_bytes(&out), &value, NULL));
  buffer_deinit(&out);
}

static void reads_what_is_right(void **state) {
  (void)state;
  struct buffer text = {0}, out = {0};
  for (size_t i = 0; i < COUNT_OF(accepted); i++) {
    struct verb verb;
    struct verb_fault fault = verb_read(bytes_string(accepted[i].text), &text, &verb);
    if (fault.code) fail_msg("%s: %s", accepted[i].text, fault.reason);
    assert_null(fault.reason);
    buffer_clear(&out);
    describe(&out, &verb);
    assert_bytes_string(buffer_bytes(&out), accepted[i].expected);
  }
  buffer_deinit(&text);
  buffer_deinit(&out);
}

static void refuses_what_is_wrong(void **state) {
  (void)state;
  struct buffer text = {0};
  for (size_t i = 0; i < COUNT_OF(refused); i++) {
    struct verb verb;
    struct verb_fault fault = verb_read(bytes_string(refused[i].text), &text, &verb);
    check_fault(refused[i].text, fault, &verb, refused[i].expected);
  }
  buffer_deinit(&text);
}

/* Of a good object, whatever its end removes: bad JSON, and no memory touched behind it. */
static void refuses_what_is_cut(void **state) {
  (void)state;
  struct buffer text = {0};
  for (size_t i = 0; i < COUNT_OF(accepted); i++) {
    struct bytes whole = bytes_trim(bytes_string(accepted[i].text));
    for (size_t len = 0; len < whole.len; len++) {
      char *copy = memory_copy(whole.ptr, len);
      char *exact = memory_realloc(copy, len > 0 ? len : 1);
      struct verb verb;
      struct verb_fault fault = verb_read(bytes_of(exact, len), &text, &verb);
      assert_string_equal(fault.code, "bad_request");
      assert_in_range(fault.offset, 0, len);
      memory_free(exact);
    }
  }
  buffer_deinit(&text);
}

static void text_without_escapes_is_not_copied(void **state) {
  (void)state;
  struct buffer text = {0};
  struct verb verb;
  struct bytes json = BYTES("{\"subscribe\":\"room:1\",\"since\":\"x\",\"ref\":\"r\"}");
  assert_null(verb_read(json, &text, &verb).code);
  assert_null(text.data);
  assert_ptr_equal(verb.channel.ptr, json.ptr + 14);
}

/* Where there are many escapes, what was decoded first stays in its place. */
static void decoded_text_does_not_move(void **state) {
  (void)state;
  struct buffer text = {0}, json = {0};
  struct verb verb;
  buffer_append_string(&json, "{\"history\":\"\\u0061\",\"since\":\"");
  for (int i = 0; i < 1000; i++) buffer_append_string(&json, "\\n");
  buffer_append_string(&json, "\",\"before\":\"");
  for (int i = 0; i < 5000; i++) buffer_append_string(&json, "\\t");
  buffer_append_string(&json, "\",\"ref\":\"\\r\"}");
  assert_null(verb_read(buffer_bytes(&json), &text, &verb).code);
  assert_bytes_string(verb.channel, "a");
  assert_int_equal(verb.since.len, 1000);
  assert_int_equal(verb.before.len, 5000);
  assert_int_equal(verb.since.ptr[999], '\n');
  assert_int_equal(verb.before.ptr[4999], '\t');
  buffer_deinit(&text);
  buffer_deinit(&json);
}

static void reads_binary_frames(void **state) {
  (void)state;
  static const struct {
    struct bytes frame;
    const char *expected;
  } right[] = {
      {BYTES("{\"send\":\"a\",\"ref\":1}\n\x00\xff\n\x01"), "send channel=a event=message payload=-4 ref=1 binary"},
      {BYTES("{\"send\":\"a\",\"event\":\"e\"}\n"), "send channel=a event=e payload=-0 binary"},
      {BYTES(" {\"send\":\"a\"} \n\n"), "send channel=a event=message payload=-1 binary"},
  };
  static const struct {
    struct bytes frame;
    const char *answer;
  } wrong[] = {
      {BYTES(""), "{\"error\":{\"code\":\"bad_request\",\"reason\":\"a binary message must have a newline after its JSON\"}}"},
      {BYTES("{\"send\":\"a\"}"),
       "{\"error\":{\"code\":\"bad_request\",\"reason\":\"a binary message must have a newline after its JSON\"}}"},
      {BYTES("{\"send\":\"a\",\"ref\":1}"),
       "{\"ref\":1,\"error\":{\"code\":\"bad_request\",\"reason\":\"a binary message must have a newline after its JSON\"}}"},
      {BYTES("\n"), "{\"error\":{\"code\":\"bad_request\",\"reason\":\"invalid JSON at byte 0: unexpected end\"}}"},
      {BYTES("{\n\"send\":\"a\"}\nx"),
       "{\"error\":{\"code\":\"bad_request\",\"reason\":\"invalid JSON at byte 1: unexpected end\"}}"},
      {BYTES("{\"send\":\"a\",\"event\":\"open\",\"ref\":1}\nx"),
       "{\"ref\":1,\"error\":{\"code\":\"bad_request\",\"reason\":\"the event names open and error are reserved for "
       "EventSource\"}}"},
      {BYTES("{\"subscribe\":\"a\"}\nx"),
       "{\"channel\":\"a\",\"error\":{\"code\":\"bad_request\",\"reason\":\"a binary message must be a send\"}}"},
      {BYTES("{\"send\":\"a\",\"data\":null,\"ref\":1}\nx"),
       "{\"ref\":1,\"error\":{\"code\":\"bad_request\",\"reason\":\"the data of a binary message must follow the newline, not be "
       "in its JSON\"}}"},
  };
  struct buffer text = {0}, out = {0};
  struct verb verb;
  for (size_t i = 0; i < COUNT_OF(right); i++) {
    struct verb_fault fault = verb_read_binary(right[i].frame, &text, &verb);
    if (fault.code) fail_msg("%s", fault.reason);
    /* The payload ends with the frame; its length stands for it. */
    assert_ptr_equal(verb.payload.ptr + verb.payload.len, right[i].frame.ptr + right[i].frame.len);
    char len[8];
    (void)snprintf(len, sizeof(len), "-%zu", verb.payload.len);
    verb.payload = bytes_string(len);
    buffer_clear(&out);
    describe(&out, &verb);
    assert_bytes_string(buffer_bytes(&out), right[i].expected);
  }
  for (size_t i = 0; i < COUNT_OF(wrong); i++) {
    struct verb_fault fault = verb_read_binary(wrong[i].frame, &text, &verb);
    check_fault(wrong[i].frame.ptr, fault, &verb, wrong[i].answer);
    assert_false(verb.is_binary);
  }
  buffer_deinit(&text);
  buffer_deinit(&out);
}

static void splits_binary_frames_at_the_first_line_feed(void **state) {
  (void)state;
  struct bytes json, payload;
  assert_true(verb_split_binary(BYTES("{}\na\nb"), &json, &payload));
  assert_bytes_string(json, "{}");
  assert_bytes_string(payload, "a\nb");
  assert_true(verb_split_binary(BYTES("\n"), &json, &payload));
  assert_int_equal(json.len + payload.len, 0);
  assert_false(verb_split_binary(BYTES("{}"), &json, &payload));
  assert_false(verb_split_binary(bytes_of(NULL, 0), &json, &payload));
}

static void writes_answers(void **state) {
  (void)state;
  const struct bytes none = {NULL, 0};
  struct buffer out = {0};
  write_ok(&out, BYTES("3"), BYTES("{\"id\":\"x\"}"));
  assert_bytes_string(buffer_bytes(&out), "{\"ref\":3,\"ok\":{\"id\":\"x\"}}");
  buffer_clear(&out);
  write_ok(&out, BYTES("\"a\\n\""), none);
  assert_bytes_string(buffer_bytes(&out), "{\"ref\":\"a\\n\",\"ok\":true}");
  buffer_clear(&out);
  write_ok(&out, none, BYTES("null"));
  assert_bytes_string(buffer_bytes(&out), "{\"ok\":null}");
  buffer_clear(&out);
  verb_write_error(&out, BYTES("3"), BYTES("a"), BYTES("forbidden"), BYTES("say \"what\"?"));
  assert_bytes_string(buffer_bytes(&out), "{\"ref\":3,\"error\":{\"code\":\"forbidden\",\"reason\":\"say \\\"what\\\"?\"}}");
  buffer_clear(&out);
  verb_write_error(&out, none, BYTES("a\"b"), BYTES("refused"), none);
  assert_bytes_string(buffer_bytes(&out), "{\"channel\":\"a\\\"b\",\"error\":{\"code\":\"refused\",\"reason\":\"\"}}");
  buffer_clear(&out);
  verb_write_error(&out, none, none, BYTES("internal"), BYTES("x"));
  assert_bytes_string(buffer_bytes(&out), "{\"error\":{\"code\":\"internal\",\"reason\":\"x\"}}");
  buffer_deinit(&out);
}

/* If out of memory the fault says so, and never is a name cut short. */
static bool read_and_answer(void *context) {
  (void)context;
  struct buffer text = {0}, out = {0};
  struct verb verb;
  struct bytes json = BYTES("{\"history\":\"r\\u006f\",\"since\":\"\\t\",\"ref\":\"\\n\"}");
  struct verb_fault fault = verb_read(json, &text, &verb);
  if (fault.code) {
    assert_string_equal(fault.code, "unavailable");
    assert_string_equal(fault.reason, "out of memory");
  } else {
    assert_bytes_string(verb.channel, "ro");
    assert_bytes_string(verb.since, "\t");
    write_ok(&out, verb.ref.raw, BYTES("{\"messages\":[],\"more\":false,\"and\":\"something to make it longer\"}"));
  }
  bool ok = !fault.code && !out.failed;
  buffer_deinit(&text);
  buffer_deinit(&out);
  return ok;
}

static void stands_failing_memory(void **state) {
  (void)state;
  assert_true(support_fail_each(read_and_answer, NULL) > 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(reads_what_is_right),
      TEST(refuses_what_is_wrong),
      TEST(refuses_what_is_cut),
      TEST(text_without_escapes_is_not_copied),
      TEST(decoded_text_does_not_move),
      TEST(reads_binary_frames),
      TEST(splits_binary_frames_at_the_first_line_feed),
      TEST(writes_answers),
      TEST(stands_failing_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
