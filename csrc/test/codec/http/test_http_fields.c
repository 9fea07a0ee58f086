/* Fields are kept as names and values, and what would break a head is not taken. */
#include "codec/http/http_fields.h"

#include "base/memory.h"
#include "test/support.h"

/* "Name=value;" of each. */
static void assert_fields(const struct http_fields *fields, const char *expected) {
  struct buffer text = {0};
  struct http_field field;
  for (size_t cursor = 0; http_fields_next(fields, &cursor, &field);) {
    buffer_append(&text, field.name);
    buffer_append_char(&text, '=');
    buffer_append(&text, field.value);
    buffer_append_char(&text, ';');
  }
  assert_bytes_string(buffer_bytes(&text), expected);
  buffer_deinit(&text);
}

static void names_and_values_come_back_in_order(void **state) {
  (void)state;
  struct http_fields fields, more;
  http_fields_init(&fields);
  http_fields_init(&more);
  assert_fields(&fields, "");
  assert_fields(NULL, "");
  assert_true(http_fields_add(&fields, BYTES("ETag"), BYTES("\"1\"")));
  assert_true(http_fields_add(&fields, BYTES("Empty"), bytes_of(NULL, 0)));
  assert_true(http_fields_add(&more, BYTES("Vary"), BYTES("Origin")));
  http_fields_add_all(&fields, &more);
  http_fields_add_all(&fields, &http_fields_no_store);
  http_fields_add_all(&fields, NULL);
  assert_fields(&fields, "ETag=\"1\";Empty=;Vary=Origin;Cache-Control=no-store;");
  assert_true(http_fields_have(&fields, BYTES("etag")));
  assert_true(http_fields_have(&fields, BYTES("EMPTY")));
  assert_false(http_fields_have(&fields, BYTES("Origin")));
  assert_false(http_fields_have(NULL, BYTES("etag")));
  struct blob *blob = http_fields_keep(&fields);
  http_fields_deinit(&fields);
  fields = http_fields_kept(blob);
  assert_fields(&fields, "ETag=\"1\";Empty=;Vary=Origin;Cache-Control=no-store;");
  blob_unref(blob);
  http_fields_deinit(&more);
}

static void what_breaks_a_head_is_not_taken(void **state) {
  (void)state;
  static const struct {
    struct bytes name, value;
  } cases[] = {{{"", 0}, {"a", 1}},       {{"A B", 3}, {"a", 1}},  {{"A:", 2}, {"a", 1}},   {{"A\0B", 3}, {"a", 1}},
               {{"A", 1}, {"a\r\nb", 4}}, {{"A", 1}, {"a\nb", 3}}, {{"A", 1}, {"a\0b", 3}}, {{"A", 1}, {"\x7f", 1}}};
  struct http_fields fields;
  http_fields_init(&fields);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) assert_false(http_fields_add(&fields, cases[i].name, cases[i].value));
  assert_fields(&fields, "");
  assert_true(http_fields_add(&fields, BYTES("A"), BYTES("tab\tand \xc3\xa4")));
  assert_fields(&fields, "A=tab\tand \xc3\xa4;");
  http_fields_deinit(&fields);
}

static void a_failure_sticks(void **state) {
  (void)state;
  struct http_fields fields, whole;
  http_fields_init(&fields);
  http_fields_init(&whole);
  memory_fail_after(1);
  assert_true(http_fields_add(&fields, BYTES("A"), BYTES("a")));
  memory_fail_after(0);
  assert_null(http_fields_keep(&fields));
  http_fields_add_all(&whole, &fields);
  assert_null(http_fields_keep(&whole));
  http_fields_deinit(&fields);
  http_fields_deinit(&whole);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(names_and_values_come_back_in_order),
      TEST(what_breaks_a_head_is_not_taken),
      TEST(a_failure_sticks),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
