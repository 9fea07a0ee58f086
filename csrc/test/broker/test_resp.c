#include "base/memory.h"
#include "base/status.h"
#include "broker/resp.h"
#include "test/support.h"

/* ---- Reading --------------------------------------------------------------------------------- */

/* What a reader finds, as text: `string +status -error :7 nil [a b]`; at the end "..." if a reply is
 * incomplete, or the problem. */
static void print_value(struct buffer *out, const struct resp_value *value) {
  static const char *const marks[] = {[RESP_STRING] = "", [RESP_STATUS] = "+", [RESP_ERROR] = "-"};
  switch (value->type) {
    case RESP_STRING:
    case RESP_STATUS:
    case RESP_ERROR:
      buffer_append_string(out, marks[value->type]);
      buffer_append(out, value->text);
      assert_int_equal(value->text.ptr[value->text.len], '\0');
      break;
    case RESP_INTEGER: buffer_append_format(out, ":%lld", (long long)value->integer); break;
    case RESP_NIL: buffer_append_string(out, "nil"); break;
    case RESP_ARRAY:
      buffer_append_char(out, '[');
      for (size_t i = 0; i < value->count; i++) {
        if (i > 0) buffer_append_char(out, ' ');
        print_value(out, resp_item(value, i));
      }
      buffer_append_char(out, ']');
      break;
  }
}

static int print_next(struct resp_reader *reader, struct buffer *out) {
  struct resp_value *value;
  int status;
  while ((status = resp_next(reader, &value)) == 0) {
    print_value(out, value);
    buffer_append_char(out, ' ');
    resp_value_free(value);
  }
  return status;
}

/* Reads `sent` in parts of `first` bytes, and then of `step` bytes each. */
static void read_parts(struct bytes sent, size_t first, size_t step, const char *expected) {
  struct resp_reader reader;
  struct buffer out;
  resp_reader_init(&reader);
  buffer_init(&out);
  int status = MW_PENDING;
  for (size_t at = 0, len = first; at < sent.len && status == MW_PENDING; at += len, len = step) {
    if (len > sent.len - at) len = sent.len - at;
    assert_int_equal(resp_feed(&reader, bytes_of(sent.ptr + at, len)), 0);
    status = print_next(&reader, &out);
  }
  if (status < 0) {
    buffer_append_string(&out, reader.problem);
    assert_int_equal(resp_feed(&reader, BYTES("+OK\r\n")), status);
    struct resp_value *value;
    assert_int_equal(resp_next(&reader, &value), status);
  }
  assert_bytes_string(buffer_bytes(&out), expected);
  buffer_deinit(&out);
  resp_reader_deinit(&reader);
}

static void reads_replies_however_they_are_split(void **state) {
  (void)state;
  static const struct {
    struct bytes sent;
    const char *expected;
  } cases[] = {
      {BYTES("+OK\r\n"), "+OK "},
      {BYTES("-ERR no\r\n"), "-ERR no "},
      {BYTES(":0\r\n:-7\r\n:9223372036854775807\r\n"), ":0 :-7 :9223372036854775807 "},
      {BYTES("$0\r\n\r\n$3\r\na\r\n\r\n"), " a\r\n "},
      {BYTES("$-1\r\n*-1\r\n*0\r\n"), "nil nil [] "},
      {BYTES("*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\nhi\r\n"), "[message c hi] "},
      {BYTES("*2\r\n*2\r\n:1\r\n$-1\r\n*1\r\n-ERR in\r\n+after\r\n"), "[[:1 nil] [-ERR in]] +after "},
      {BYTES("*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:5\r\n"), "[[[[[:5]]]]] "},
      {BYTES("$5\r\nab"), ""},
      {BYTES("*2\r\n:1\r\n"), ""},
      {BYTES("+OK\r\nHTTP/1.1 400 Bad Request\r\n"), "+OK Protocol error, got \"H\" as reply type byte"},
      {BYTES("\r\n"), "Protocol error, got \"\\r\" as reply type byte"},
      {BYTES("*2\r\n:1\r\n!\r\n"), "Protocol error, got \"!\" as reply type byte"},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    struct bytes sent = cases[i].sent;
    read_parts(sent, sent.len, sent.len, cases[i].expected);
    read_parts(sent, 1, 1, cases[i].expected);
    for (size_t at = 1; at < sent.len; at++) read_parts(sent, at, sent.len, cases[i].expected);
  }
}

static void refuses_what_is_too_large(void **state) {
  (void)state;
  struct resp_reader reader;
  struct resp_value *value;
  resp_reader_init(&reader);
  /* before anything is allocated for it */
  assert_int_equal(resp_feed(&reader, BYTES("*65537\r\n")), 0);
  assert_int_equal(resp_next(&reader, &value), MW_ETOOLARGE);
  assert_string_equal(reader.problem, "a reply has more than 65536 values");
  resp_reader_deinit(&reader);
  /* in all arrays together */
  assert_int_equal(resp_feed(&reader, BYTES("*2\r\n*40000\r\n")), 0);
  for (int i = 0; i < 40000; i++) assert_int_equal(resp_feed(&reader, BYTES(":1\r\n")), 0);
  assert_int_equal(resp_feed(&reader, BYTES("*40000\r\n")), 0);
  assert_int_equal(resp_next(&reader, &value), MW_ETOOLARGE);
  resp_reader_deinit(&reader);
  static char block[1 << 20];
  memset(block, 'a', sizeof block);
  static const char *const beginnings[] = {"$99999999\r\n", "$9223372036854775807\r\n", "+"};
  for (size_t i = 0; i < COUNT_OF(beginnings); i++) {
    int status = MW_PENDING;
    assert_int_equal(resp_feed(&reader, bytes_string(beginnings[i])), 0);
    for (int fed = 0; status == MW_PENDING; fed++) {
      assert_true(fed <= RESP_REPLY_MAX / (int)sizeof block);
      assert_int_equal(resp_feed(&reader, bytes_of(block, sizeof block)), 0);
      status = resp_next(&reader, &value);
    }
    assert_true(status == MW_ETOOLARGE || status == MW_EFORGED); /* of a length that is not one */
    resp_reader_deinit(&reader);
  }
}

static void reads_a_record_of_a_mebibyte(void **state) {
  (void)state;
  enum { SIZE = 1 << 20 };
  static char block[SIZE];
  struct resp_reader reader;
  struct resp_value *value;
  resp_reader_init(&reader);
  memset(block, 'r', SIZE);
  assert_int_equal(resp_feed(&reader, BYTES("$1048576\r\n")), 0);
  for (size_t at = 0; at < SIZE; at += 65536) {
    assert_int_equal(resp_next(&reader, &value), MW_PENDING);
    assert_int_equal(resp_feed(&reader, bytes_of(block + at, 65536)), 0);
  }
  assert_int_equal(resp_feed(&reader, BYTES("\r\n")), 0);
  assert_int_equal(resp_next(&reader, &value), 0);
  assert_bytes(resp_text(value), bytes_of(block, SIZE));
  resp_value_free(value);
  resp_reader_deinit(&reader);
}

static void reads_numbers_exactly(void **state) {
  (void)state;
  struct resp_reader reader;
  struct resp_value *value;
  resp_reader_init(&reader);
  uint64_t number = 0;
  assert_int_equal(
      resp_feed(&reader,
                BYTES("*6\r\n$19\r\n9007199254740993123\r\n:12\r\n:-1\r\n$2\r\n1x\r\n$-1\r\n$20\r\n18446744073709551615\r\n")),
      0);
  assert_int_equal(resp_next(&reader, &value), 0);
  assert_true(resp_u64(resp_item(value, 0), &number));
  assert_true(number == 9007199254740993123u);
  assert_true(resp_u64(resp_item(value, 1), &number));
  assert_int_equal(number, 12);
  assert_false(resp_u64(resp_item(value, 2), &number));
  assert_false(resp_u64(resp_item(value, 3), &number));
  assert_false(resp_u64(resp_item(value, 4), &number));
  assert_true(resp_u64(resp_item(value, 5), &number));
  assert_true(number == UINT64_MAX);
  assert_null(resp_item(value, 6));
  assert_null(resp_item(resp_item(value, 0), 0));
  assert_int_equal(resp_text(resp_item(value, 6)).len, 0);
  assert_false(resp_u64(NULL, &number));
  resp_value_free(value);
  resp_reader_deinit(&reader);
}

static bool read_once(void *context) {
  (void)context;
  struct resp_reader reader;
  struct resp_value *value;
  resp_reader_init(&reader);
  int status = resp_feed(&reader, BYTES("*3\r\n*2\r\n$1\r\na\r\n:1\r\n+OK\r\n$-1\r\n"));
  if (status == 0) status = resp_next(&reader, &value);
  if (status == 0) resp_value_free(value);
  if (status < 0) assert_int_equal(status, MW_ENOMEM);
  resp_reader_deinit(&reader);
  return status == 0;
}

static void survives_failed_allocations(void **state) {
  (void)state;
  assert_true(support_fail_each(read_once, NULL) > 5);
}

/* ---- Writing --------------------------------------------------------------------------------- */

static void writes_commands(void **state) {
  (void)state;
  struct buffer out;
  buffer_init(&out);
  struct bytes arguments[] = {BYTES("SET"), BYTES("k\0y"), {NULL, 0}};
  assert_int_equal(resp_write(&out, arguments, 3), 0);
  assert_bytes(buffer_bytes(&out), BYTES("*3\r\n$3\r\nSET\r\n$3\r\nk\0y\r\n$0\r\n\r\n"));
  assert_int_equal(resp_write(&out, arguments, 0), MW_ETOOLARGE);
  static struct bytes many[RESP_ARGUMENTS_MAX + 1];
  for (size_t i = 0; i < COUNT_OF(many); i++) many[i] = BYTES("x");
  assert_int_equal(resp_write(&out, many, COUNT_OF(many)), MW_ETOOLARGE);
  buffer_clear(&out);
  assert_int_equal(resp_write(&out, many, RESP_ARGUMENTS_MAX), 0);
  assert_int_equal(out.len, 7 + RESP_ARGUMENTS_MAX * 7);
  buffer_deinit(&out);
}

static bool write_once(void *context) {
  (void)context;
  struct buffer out;
  buffer_init(&out);
  static struct bytes many[100];
  int status = resp_write(&out, many, COUNT_OF(many));
  if (status < 0) assert_int_equal(status, MW_ENOMEM);
  if (status < 0) assert_int_equal(out.len, 0);
  buffer_deinit(&out);
  return status == 0;
}

static void writes_whole_commands_or_nothing(void **state) {
  (void)state;
  assert_true(support_fail_each(write_once, NULL) > 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(reads_replies_however_they_are_split), TEST(refuses_what_is_too_large),
      TEST(reads_a_record_of_a_mebibyte),         TEST(reads_numbers_exactly),
      TEST(survives_failed_allocations),          TEST(writes_commands),
      TEST(writes_whole_commands_or_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
