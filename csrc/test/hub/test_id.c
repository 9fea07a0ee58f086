#include "hub/id.h"
#include "test/support.h"

static const struct epoch epoch = {.text = {'0', '1', '2', '3', 'a', 'b', 'c', 'v'}};

static void writes_a_fixed_width(void **state) {
  (void)state;
  static const struct {
    uint64_t position;
    const char *id;
  } cases[] = {
      {0, "0123abcv-0000000000000000"},
      {1, "0123abcv-0000000000000001"},
      {9876543210, "0123abcv-0000009876543210"},
      {9999999999999999, "0123abcv-9999999999999999"},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    char out[ID_LEN + 1] = "";
    out[ID_LEN] = '!';
    id_write(out, &epoch, cases[i].position);
    assert_int_equal(out[ID_LEN], '!');
    out[ID_LEN] = '\0';
    assert_string_equal(out, cases[i].id);
    struct since since = since_parse(bytes_of(out, ID_LEN), &epoch);
    assert_int_equal(since.kind, SINCE_POSITION);
    assert_int_equal(since.position, cases[i].position);
  }
}

static void reads_what_clients_send_back(void **state) {
  (void)state;
  static const struct {
    const char *text;
    enum since_kind kind;
  } cases[] = {
      {"", SINCE_NONE},
      {"0", SINCE_ALL},
      {"00", SINCE_FOREIGN},
      {"0123abcv-0000000000000007", SINCE_POSITION},
      {"0123abcw-0000000000000007", SINCE_FOREIGN},
      {"0123abcv-000000000000007", SINCE_FOREIGN},
      {"0123abcv-00000000000000007", SINCE_FOREIGN},
      {"0123abcv_0000000000000007", SINCE_FOREIGN},
      {"0123abcv-000000000000000x", SINCE_FOREIGN},
      {"0123abcv-+000000000000007", SINCE_FOREIGN},
      {"0123abcv- 000000000000007", SINCE_FOREIGN},
      {"0123abcv--000000000000007", SINCE_FOREIGN},
      {"0123ABCV-0000000000000007", SINCE_FOREIGN},
      {"-", SINCE_FOREIGN},
      {"17", SINCE_FOREIGN},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    struct since since = since_parse(bytes_string(cases[i].text), &epoch);
    if (since.kind != cases[i].kind) print_error("\"%s\"\n", cases[i].text);
    assert_int_equal(since.kind, cases[i].kind);
    if (since.kind == SINCE_POSITION) assert_int_equal(since.position, 7);
  }
}

/* An epoch that was not known when the id was read. */
static void judges_an_id_again(void **state) {
  (void)state;
  struct epoch next = {"0123abcu"};
  struct since since = since_parse(BYTES("0123abcu-0000000000000007"), &epoch);
  since_judge(&since, &epoch, 100);
  assert_int_equal(since.kind, SINCE_FOREIGN);
  since_judge(&since, &next, 6);
  assert_int_equal(since.kind, SINCE_FOREIGN);
  since_judge(&since, &next, 7);
  assert_int_equal(since.kind, SINCE_POSITION);
  since_judge(&since, &epoch, 7);
  assert_int_equal(since.kind, SINCE_FOREIGN);
  since = since_parse(BYTES("17"), &epoch);
  since_judge(&since, &epoch, 100);
  assert_int_equal(since.kind, SINCE_FOREIGN);
}

static void epochs_differ(void **state) {
  (void)state;
  struct epoch first, second;
  epoch_init(&first);
  epoch_init(&second);
  assert_memory_not_equal(first.text, second.text, EPOCH_LEN);
  for (size_t i = 0; i < EPOCH_LEN; i++) assert_non_null(memchr("0123456789abcdefghijklmnopqrstuv", first.text[i], 32));
}

static void reads_an_epoch(void **state) {
  (void)state;
  static const char *const refused[] = {"", "0123abc", "0123abcvv", "0123abcw", "0123ABCV", "0123abc "};
  struct epoch read;
  assert_true(epoch_read(&read, bytes_of(epoch.text, EPOCH_LEN)));
  assert_memory_equal(read.text, epoch.text, EPOCH_LEN);
  for (size_t i = 0; i < COUNT_OF(refused); i++) assert_false(epoch_read(&read, bytes_string(refused[i])));
}

static void positions_follow_the_time(void **state) {
  (void)state;
  uint64_t ms = UINT64_C(1800000000000), end_ms = position_time_ms(POSITION_MAX);
  assert_int_equal(position_next(0, ms), ms * 2048);
  assert_int_equal(position_time_ms(position_next(0, ms)), ms);
  assert_int_equal(position_next(ms * 2048, ms), ms * 2048 + 1);
  assert_int_equal(position_next(ms * 2048 + 5000, ms), ms * 2048 + 5001); /* more than 2,048 in a millisecond */
  assert_int_equal(position_next(ms * 2048, ms - 1000), ms * 2048 + 1);    /* set back */
  assert_int_equal(position_next(7, end_ms), end_ms * 2048);
  assert_int_equal(position_next(7, end_ms + 1), 8); /* beyond the digits */
  assert_int_equal(position_next(7, UINT64_MAX), 8);
}

int main(void) {
  const struct CMUnitTest tests[] = {TEST(writes_a_fixed_width), TEST(reads_what_clients_send_back),
                                     TEST(judges_an_id_again),   TEST(epochs_differ),
                                     TEST(reads_an_epoch),       TEST(positions_follow_the_time)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
