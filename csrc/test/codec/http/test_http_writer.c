#include "codec/http/http_writer.h"
#include "test/support.h"

static void writes_a_head(void **state) {
  (void)state;
  struct buffer out = {0};
  http_write_status(&out, 200, UINT64_C(784111777000));
  assert_true(http_write_field(&out, BYTES("Content-Length"), BYTES("0")));
  assert_true(http_write_field(&out, BYTES("X"), BYTES("")));
  assert_true(http_write_field(&out, BYTES("Y"), BYTES("a\tb \xff")));
  http_write_end(&out);
  assert_bytes_string(buffer_bytes(&out), "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 0\r\n"
                                          "X: \r\nY: a\tb \xff\r\n\r\n");
  buffer_deinit(&out);
}

static void refuses_fields_that_would_split_the_head(void **state) {
  (void)state;
  static const struct {
    struct bytes name, value;
  } refused[] = {
      {{"", 0}, {"a", 1}},         {{"a b", 3}, {"a", 1}},       {{"a:", 2}, {"a", 1}},   {{"a\r\nb", 4}, {"a", 1}},
      {{"\xc3\xa4", 2}, {"a", 1}}, {{"a", 1}, {"a\r\nb: c", 7}}, {{"a", 1}, {"a\nb", 3}}, {{"a", 1}, {"a\0b", 3}},
      {{"a", 1}, {"a\x7f", 2}},    {{"a", 1}, {"\r", 1}},
  };
  struct buffer out = {0};
  for (size_t i = 0; i < COUNT_OF(refused); i++) {
    assert_false(http_write_field(&out, refused[i].name, refused[i].value));
    assert_int_equal(out.len, 0);
  }
  buffer_deinit(&out);
}

static void names_statuses(void **state) {
  (void)state;
  assert_string_equal(http_reason(404), "Not Found");
  assert_string_equal(http_reason(431), "Request Header Fields Too Large");
  assert_string_equal(http_reason(299), "Unknown");
  struct buffer out = {0};
  http_write_status(&out, 299, 0);
  assert_true(bytes_starts_with(buffer_bytes(&out), BYTES("HTTP/1.1 299 Unknown\r\n")));
  buffer_deinit(&out);
}

static void writes_dates(void **state) {
  (void)state;
  static const struct {
    uint64_t ms;
    const char *date;
  } cases[] = {
      {0, "Thu, 01 Jan 1970 00:00:00 GMT"},
      {UINT64_C(951782399999), "Mon, 28 Feb 2000 23:59:59 GMT"},
      {UINT64_C(951782400000), "Tue, 29 Feb 2000 00:00:00 GMT"},
      {UINT64_C(4107542400000), "Mon, 01 Mar 2100 00:00:00 GMT"},
      {UINT64_C(253402300799999), "Fri, 31 Dec 9999 23:59:59 GMT"},
      {UINT64_MAX, "Fri, 31 Dec 9999 23:59:59 GMT"},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    char date[30];
    http_date(date, cases[i].ms);
    assert_string_equal(date, cases[i].date);
  }
}

static void writes_chunk_heads(void **state) {
  (void)state;
  static const struct {
    size_t len;
    const char *head;
  } cases[] = {
      {1, "1\r\n"},
      {15, "f\r\n"},
      {16, "10\r\n"},
      {255, "ff\r\n"},
      {256, "100\r\n"},
      {0xabcdef, "abcdef\r\n"},
      {UINT32_MAX, "ffffffff\r\n"},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    char out[CHUNK_HEAD_MAX];
    assert_bytes_string(bytes_of(out, http_chunk_head(out, cases[i].len)), cases[i].head);
  }
  char out[CHUNK_HEAD_MAX];
  assert_true(http_chunk_head(out, SIZE_MAX) <= CHUNK_HEAD_MAX);
  assert_bytes_string(http_last_chunk, "0\r\n\r\n");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(writes_a_head),      TEST(refuses_fields_that_would_split_the_head), TEST(names_statuses), TEST(writes_dates),
      TEST(writes_chunk_heads),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
