#include "codec/json_salvage.h"

#include <stdlib.h>

#include "test/support.h"

struct salvage_case {
  struct bytes text;
  const char *found; /* the value; NULL: none */
};

#define CASE(text, found)                                                                                                        \
  { {text, sizeof(text) - 1}, found }

static const struct salvage_case cases[] = {
    CASE("", NULL),
    CASE(" ", NULL),
    CASE("[", NULL),
    CASE("{", NULL),
    CASE("\"ref\":1", NULL),
    CASE("[\"ref\":1]", NULL),
    CASE("{\"ref\"", NULL),
    CASE("{\"ref\":", NULL),
    CASE("{\"ref\" 1}", NULL),
    CASE("{ref:1}", NULL),
    CASE("{\"ref\":\"a", NULL),
    CASE("{\"ref\":\"a\\\"", NULL),
    CASE("{\"ref\":\"\\ud800\"}", NULL),
    CASE("{\"ref\":\"\xff\"}", NULL),
    CASE("{\"ref\":01}", NULL),
    CASE("{\"ref\":1x}", NULL),
    CASE("{\"ref\":true}", NULL),
    CASE("{\"ref\":null}", NULL),
    CASE("{\"ref\":{}}", NULL),
    CASE("{\"ref\":1", "1"),
    CASE(" {\n\"ref\" :\t-1 }", "-1"),
    CASE("{\"r\\u0065f\":\"a\\n\"}", "\"a\\n\""),
    CASE("{\"ref\":\"\"}", "\"\""),
    /* what surrounds it may be anything */
    CASE("{\"a\":\"\\ud800\",\"ref\":1}", "1"),
    CASE("{\"a\":\"\\x\",\"ref\":1}", "1"),
    CASE("{\"a\":\"\xff\x01\n\",\"ref\":1}", "1"),
    CASE("{\"a\":nan,\"ref\":1}", "1"),
    CASE("{\"a\":'x',b:2,\"ref\":1}", "1"),
    CASE("{\"a\":1,,\"ref\":1}", "1"),
    CASE("{,\"ref\":1}", "1"),
    CASE("{\"a\" \"ref\":1}", "1"),
    CASE("{\"a\":\"ref\",\"b\":2}", NULL),
    CASE("{\"a\":{\"ref\":2},\"ref\":1}", "1"),
    CASE("{\"a\":{\"ref\":2}", NULL),
    CASE("{\"a\":[{\"ref\":2}],x", NULL),
    CASE("{\"a\":\"\\\"ref\\\":2\",x}", NULL),
    /* the last one counts, as with valid JSON */
    CASE("{\"ref\":2,\"ref\":1,x", "1"),
    CASE("{\"ref\":2,\"ref\":[1],x", NULL),
    /* after brackets that do not match, or after the end, nothing says what belongs to what */
    CASE("{\"a\":[},\"ref\":1}", NULL),
    CASE("{\"a\":{],\"ref\":1}", NULL),
    CASE("{\"a\":{\"b\":[1},\"ref\":2},\"ref\":3}", NULL),
    CASE("{},\"ref\":1", NULL),
    CASE("{\"ref\":1},\"ref\":2", "1"),
    CASE("{\"ref\":1,\"a\":[},\"ref\":2}", "1"),
};

static void finds_what_can_be_read(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    struct json_value value;
    bool found = json_salvage(cases[i].text, BYTES("ref"), &value);
    if (found != (cases[i].found != NULL)) fail_msg("%.*s", (int)cases[i].text.len, cases[i].text.ptr);
    if (!found) continue;
    assert_true(bytes_equal(value.raw, bytes_string(cases[i].found)));
    assert_true(value.raw.ptr >= cases[i].text.ptr && value.raw.ptr + value.raw.len <= cases[i].text.ptr + cases[i].text.len);
  }
}

/* Reads nothing that is not there, wherever the text ends. */
static void may_be_cut_anywhere(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    for (size_t len = 0; len <= cases[i].text.len; len++) {
      struct json_value value;
      char *copy = malloc(len); /* its own block, so that the sanitizer sees a byte beyond its end */
      if (len > 0) memcpy(copy, cases[i].text.ptr, len);
      json_salvage(bytes_of(copy, len), BYTES("ref"), &value);
      free(copy);
    }
  }
}

static void goes_into_1024_levels(void **state) {
  (void)state;
  for (size_t levels = 1022; levels <= 1025; levels++) {
    struct buffer text;
    struct json_value value;
    buffer_init(&text);
    buffer_append_string(&text, "{\"a\":");
    for (size_t i = 1; i < levels; i++) buffer_append_string(&text, i % 3 == 0 ? "{\"a\":" : "[");
    for (size_t i = levels - 1; i > 0; i--) buffer_append_string(&text, i % 3 == 0 ? "}" : "]");
    buffer_append_string(&text, ",\"ref\":1}");
    assert_int_equal(json_salvage(buffer_bytes(&text), BYTES("ref"), &value), levels <= 1024);
    buffer_deinit(&text);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {TEST(finds_what_can_be_read), TEST(may_be_cut_anywhere), TEST(goes_into_1024_levels)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
