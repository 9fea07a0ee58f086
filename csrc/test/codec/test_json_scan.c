#include "codec/json_scan.h"
#include "test/support.h"
#include "test/support/jansson_peer.h"

static const char *const accepted[] = {
    "null",
    "true",
    "false",
    "0",
    "-0",
    "12",
    "-1.5",
    "1e5",
    "1E+5",
    "0.0e-0",
    "123456789012345678901234567890",
    "\"\"",
    "\"a\"",
    "[]",
    "{}",
    " [ ] ",
    "\t\r\n{ }\n",
    "[1,2]",
    "[ 1 , [ ] , { } ]",
    "{\"a\":1}",
    "{ \"a\" : 1 , \"b\" : [ null ] }",
    "{\"a\":1,\"a\":2}",
    "{\"\":0}",
    "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
    "\"\\u0041\\u00e9\\uFFFF\"",
    "\"\\ud83d\\ude00\"",
    "\"\\uD83D\\uDE00x\"",
    "\"\\u0000\"",
    "\"\x7f\"",
    "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"",
    "\"\xe2\x80\xa8\"",
    "\"12345678\xe2\x82\xac_1234567\\n12345678\"",
};

struct refused_case {
  struct bytes text;
  size_t offset;
  const char *reason;
};

#define END "unexpected end"
#define VALUE "expected a value"
#define TEXT(literal)                                                                                                            \
  { literal, sizeof(literal) - 1 }

static const struct refused_case refused[] = {
    {TEXT(""), 0, END},
    {TEXT(" \n"), 2, END},
    {TEXT("nul"), 3, END},
    {TEXT("nulL"), 3, VALUE},
    {TEXT("True"), 0, VALUE},
    {TEXT("nullx"), 4, "unexpected text after the value"},
    {TEXT("1 2"), 2, "unexpected text after the value"},
    {TEXT("null\0"), 4, "unexpected text after the value"},
    {TEXT("\0"), 0, VALUE},
    {TEXT("\xef\xbb\xbf"
          "1"),
     0, VALUE},
    {TEXT("\x0b"
          "1"),
     0, VALUE},
    {TEXT("'a'"), 0, VALUE},
    {TEXT("NaN"), 0, VALUE},
    {TEXT("+1"), 0, VALUE},
    {TEXT(".5"), 0, VALUE},
    {TEXT("-"), 1, END},
    {TEXT("-a"), 1, "expected a digit"},
    {TEXT("1."), 2, END},
    {TEXT("1.e5"), 2, "expected a digit"},
    {TEXT("1e"), 2, END},
    {TEXT("1e+]"), 3, "expected a digit"},
    {TEXT("01"), 1, "unexpected text after the value"},
    {TEXT("0x1"), 1, "unexpected text after the value"},
    {TEXT("["), 1, END},
    {TEXT("[1"), 2, END},
    {TEXT("[1,"), 3, END},
    {TEXT("[1,]"), 3, VALUE},
    {TEXT("[,1]"), 1, VALUE},
    {TEXT("[1 2]"), 3, "expected a comma or ]"},
    {TEXT("[1}"), 2, "expected a comma or ]"},
    {TEXT("]"), 0, VALUE},
    {TEXT("{"), 1, END},
    {TEXT("{\"a\""), 4, END},
    {TEXT("{\"a\" 1}"), 5, "expected a colon"},
    {TEXT("{\"a\":}"), 5, VALUE},
    {TEXT("{\"a\":1,}"), 7, "expected a member name"},
    {TEXT("{a:1}"), 1, "expected a member name"},
    {TEXT("{1:1}"), 1, "expected a member name"},
    {TEXT("{\"a\":1]"), 6, "expected a comma or }"},
    {TEXT("{\"a\\u0000\":1}"), 3, "NUL in a member name"},
    {TEXT("\""), 1, END},
    {TEXT("\"a"), 2, END},
    {TEXT("\"abcdefghijkl"), 13, END},
    {TEXT("\"\\"), 1, "invalid escape"},
    {TEXT("\"\\\""), 3, END},
    {TEXT("\"\\x41\""), 1, "invalid escape"},
    {TEXT("\"\\\0\""), 1, "invalid escape"},
    {TEXT("\"\\u12\""), 1, "invalid \\u escape"},
    {TEXT("\"\\u12g4\""), 1, "invalid \\u escape"},
    {TEXT("\"\\ud800\""), 1, "invalid \\u escape"},
    {TEXT("\"\\ud800x\""), 1, "invalid \\u escape"},
    {TEXT("\"\\ud800\\u0041\""), 1, "invalid \\u escape"},
    {TEXT("\"\\udc00\""), 1, "invalid \\u escape"},
    {TEXT("\"\\ude00\\ud83d\""), 1, "invalid \\u escape"},
    {TEXT("\"\\udfff\""), 1, "invalid \\u escape"},
    {TEXT("\"\\udbff\""), 1, "invalid \\u escape"},
    {TEXT("\"\\ud800\\udbff\""), 1, "invalid \\u escape"},
    {TEXT("\"\\udbff\\ue000\""), 1, "invalid \\u escape"},
    {TEXT("\"a\nb\""), 2, "control character in a string"},
    {TEXT("\"a\0b\""), 2, "control character in a string"},
    {TEXT("\"1234\t56789012\""), 5, "control character in a string"},
    {TEXT("\"12345\xff_56789012\""), 6, "invalid UTF-8"},
    {TEXT("\"12345678\t\""), 9, "control character in a string"},
    {TEXT("\"\xff\""), 1, "invalid UTF-8"},
    {TEXT("\"\xc0\x80\""), 1, "invalid UTF-8"},
    {TEXT("\"\xed\xa0\x80\""), 1, "invalid UTF-8"},
    {TEXT("\"\xe2\x82\""), 1, "invalid UTF-8"},
    {TEXT("\"12345678\x80\""), 9, "invalid UTF-8"},
};

/* At the end of a page of its own, so that a sanitizer sees a read beyond the text. */
static bool scan_copy(struct bytes text, struct json_fault *fault) {
  struct json_value value;
  char *copy = test_malloc(text.len + 1);
  memcpy(copy + 1, text.ptr, text.len);
  bool ok = json_scan(bytes_of(copy + 1, text.len), &value, fault);
  if (ok) assert_true(value.raw.len > 0 && value.raw.ptr > copy && value.raw.ptr + value.raw.len <= copy + 1 + text.len);
  test_free(copy);
  return ok;
}

static void accepts_what_jansson_accepts(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(accepted); i++) {
    struct json_fault fault = {0};
    if (!scan_copy(bytes_string(accepted[i]), &fault)) fail_msg("%s: %s at byte %zu", accepted[i], fault.reason, fault.offset);
    assert_int_equal(jansson_check(bytes_string(accepted[i])), JANSSON_ACCEPTS);
  }
}

static void refuses_what_jansson_refuses_and_says_where(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(refused); i++) {
    struct json_fault fault = {0};
    if (scan_copy(refused[i].text, &fault)) fail_msg("accepted: %s", refused[i].text.ptr);
    if (fault.offset != refused[i].offset) print_error("%s\n", refused[i].text.ptr);
    assert_string_equal(fault.reason, refused[i].reason);
    assert_int_equal(fault.offset, refused[i].offset);
    assert_int_equal(jansson_check(refused[i].text), JANSSON_REFUSES);
    assert_false(scan_copy(refused[i].text, NULL));
  }
}

/* Every beginning of a text that is one value in brackets is incomplete. */
static void every_beginning_is_refused(void **state) {
  (void)state;
  const char *text = "{\"a\\u00e9\\ud83d\\ude00\":[1.5e+3,true,null,\"x\\\"\"],\"b\":{\"c\":false}}";
  struct json_value value;
  for (size_t len = 0; len < strlen(text); len++) assert_false(scan_copy(bytes_of(text, len), NULL));
  assert_true(json_scan(bytes_string(text), &value, NULL));
}

static void depth_is_bounded(void **state) {
  (void)state;
  char text[2 * (JSON_DEPTH_MAX + 1)];
  struct json_value value;
  struct json_fault fault;
  memset(text, '[', JSON_DEPTH_MAX);
  memset(text + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
  assert_true(json_scan(bytes_of(text, 2 * JSON_DEPTH_MAX), &value, NULL));
  memset(text, '[', JSON_DEPTH_MAX + 1);
  memset(text + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
  assert_false(json_scan(bytes_of(text, sizeof(text)), &value, &fault));
  assert_int_equal(fault.offset, JSON_DEPTH_MAX);
  assert_string_equal(fault.reason, "nested too deeply; at most 64 levels");
}

static void types_and_raw_text(void **state) {
  (void)state;
  static const struct {
    const char *text;
    enum json_type type;
    const char *raw;
  } cases[] = {
      {" null ", JSON_NULL, "null"},    {"true", JSON_TRUE, "true"},         {"\tfalse\n", JSON_FALSE, "false"},
      {" -1.5 ", JSON_NUMBER, "-1.5"},  {" \" a\" ", JSON_STRING, "\" a\""}, {" [ 1 ] ", JSON_ARRAY, "[ 1 ]"},
      {"\r\n{ } ", JSON_OBJECT, "{ }"},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    struct json_value value;
    assert_true(json_scan(bytes_string(cases[i].text), &value, NULL));
    assert_int_equal(value.type, cases[i].type);
    assert_bytes_string(value.raw, cases[i].raw);
  }
}

static struct json_value scan(const char *text) {
  struct json_value value;
  if (!json_scan(bytes_string(text), &value, NULL)) fail_msg("not JSON: %s", text);
  return value;
}

static void walks_members(void **state) {
  (void)state;
  static const char *const expected[][2] = {
      {"\"a\"", "1"},    {"\"b}\"", "[ {\"x\":\"]\"}, 2 ]"}, {"\"c\\\"\"", "\"\\\\\""}, {"\"d\"", "{ }"}, {"\"e\"", "null"},
      {"\"f\"", "-1e5"},
  };
  struct json_value object =
                        scan("{ \"a\":1 , \"b}\" : [ {\"x\":\"]\"}, 2 ],\"c\\\"\":\"\\\\\",\"d\":{ },\"e\":null ,\n\"f\":-1e5 }"),
                    name, value;
  struct bytes rest = object.raw;
  for (size_t i = 0; i < COUNT_OF(expected); i++) {
    assert_true(json_next_member(&rest, &name, &value));
    assert_int_equal(name.type, JSON_STRING);
    assert_bytes_string(name.raw, expected[i][0]);
    assert_bytes_string(value.raw, expected[i][1]);
  }
  assert_false(json_next_member(&rest, &name, &value));
  assert_false(json_next_member(&rest, &name, &value));
  rest = scan("{ }").raw;
  assert_false(json_next_member(&rest, &name, &value));
}

static void walks_items(void **state) {
  (void)state;
  static const char *const expected[] = {"1", "[2,[3]]", "\",]\"", "{\"a\":[]}", "true"};
  struct bytes rest = scan("[ 1,[2,[3]] ,\",]\",{\"a\":[]} , true ]").raw;
  struct json_value value;
  for (size_t i = 0; i < COUNT_OF(expected); i++) {
    assert_true(json_next_item(&rest, &value));
    assert_bytes_string(value.raw, expected[i]);
  }
  assert_int_equal(value.type, JSON_TRUE);
  assert_false(json_next_item(&rest, &value));
  rest = scan("[]").raw;
  assert_false(json_next_item(&rest, &value));
}

static void decodes_strings(void **state) {
  (void)state;
  static const struct {
    const char *text;
    struct bytes decoded;
  } cases[] = {
      {"\"\"", TEXT("")},
      {"\"plain\"", TEXT("plain")},
      {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", TEXT("\"\\/\b\f\n\r\t")},
      {"\"a\\u0041\\u00e9\\u20AC\\ud83d\\ude00z\"", TEXT("aA\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z")},
      {"\"a\\u0000b\"", TEXT("a\0b")},
      {"\"\\\\u0041\"", TEXT("\\u0041")},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    struct buffer out = {0};
    struct json_value string = scan(cases[i].text);
    json_string_decode(string, &out);
    assert_bytes(buffer_bytes(&out), cases[i].decoded);
    assert_true(json_string_equal(string, cases[i].decoded));
    buffer_append_char(&out, 'x');
    assert_false(json_string_equal(string, buffer_bytes(&out)));
    if (out.len > 1) assert_false(json_string_equal(string, bytes_of(out.data, out.len - 2)));
    buffer_deinit(&out);
  }
}

static void writes_strings(void **state) {
  (void)state;
  struct buffer out = {0};
  json_write_string(&out, BYTES("a\"\\/\b\f\n\r\t\x01\x1f\x7f\0\xc3\xa9\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa\xf0\x9f\x98\x80"));
  assert_bytes_string(buffer_bytes(&out),
                      "\"a\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\\u0000\xc3\xa9\\u2028\\u2029\xe2\x80\xaa\xf0\x9f\x98\x80\"");
  struct json_value value;
  assert_true(json_scan(buffer_bytes(&out), &value, NULL));
  buffer_clear(&out);
  json_write_string(&out, bytes_of(NULL, 0));
  assert_bytes_string(buffer_bytes(&out), "\"\"");
  buffer_deinit(&out);
}

static void drops_white_space_between_tokens_only(void **state) {
  (void)state;
  struct buffer out = {0};
  json_write_compact(&out, BYTES(" { \"a b\" : [ 1 ,\t2 , \" \\\" \\\\\" ] ,\r\n\"c\":null } "));
  assert_bytes_string(buffer_bytes(&out), "{\"a b\":[1,2,\" \\\" \\\\\"],\"c\":null}");
  buffer_deinit(&out);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(accepts_what_jansson_accepts),
      TEST(refuses_what_jansson_refuses_and_says_where),
      TEST(every_beginning_is_refused),
      TEST(depth_is_bounded),
      TEST(types_and_raw_text),
      TEST(walks_members),
      TEST(walks_items),
      TEST(decodes_strings),
      TEST(writes_strings),
      TEST(drops_white_space_between_tokens_only),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
