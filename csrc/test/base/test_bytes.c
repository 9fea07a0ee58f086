#include "base/bytes.h"
#include "test/support.h"

static void compares_without_regard_to_case(void **state) {
  (void)state;
  assert_true(bytes_equal_nocase(BYTES("Keep-ALIVE"), BYTES("keep-alive")));
  assert_true(bytes_equal_nocase(BYTES(""), bytes_of(NULL, 0)));
  assert_false(bytes_equal_nocase(BYTES("a"), BYTES("ab")));
  assert_false(bytes_equal_nocase(BYTES("@["), BYTES("`{"))); /* the neighbours of the letters */
  assert_false(bytes_equal_nocase(BYTES("\xc4"), BYTES("\xe4")));
}

static void compares_prefixes(void **state) {
  (void)state;
  assert_true(bytes_starts_with(BYTES("abc"), BYTES("ab")));
  assert_true(bytes_starts_with(BYTES("abc"), BYTES("")));
  assert_true(bytes_starts_with(bytes_of(NULL, 0), bytes_of(NULL, 0)));
  assert_false(bytes_starts_with(BYTES("a"), BYTES("ab")));
  assert_false(bytes_starts_with(BYTES("abc"), BYTES("b")));
}

static void trims_spaces_and_tabs(void **state) {
  (void)state;
  assert_bytes_string(bytes_trim(BYTES(" \t a b \t")), "a b");
  assert_bytes_string(bytes_trim(BYTES(" \t ")), "");
  assert_bytes_string(bytes_trim(BYTES("")), "");
  assert_bytes_string(bytes_trim(BYTES("\na\r")), "\na\r");
}

static void finds_the_first(void **state) {
  (void)state;
  assert_int_equal(bytes_find(BYTES("abab"), 'b'), 1);
  assert_int_equal(bytes_find(BYTES("abab"), 'c'), 4);
  assert_int_equal(bytes_find(BYTES("a\0b"), '\0'), 1);
  assert_int_equal(bytes_find(bytes_of(NULL, 0), 'c'), 0);
}

static void finds_tokens_in_lists(void **state) {
  (void)state;
  static const struct {
    const char *list, *token;
    bool has;
  } cases[] = {
      {"upgrade", "upgrade", true},
      {"a,Upgrade", "upgrade", true},
      {"a , upgrade , b", "UPGRADE", true},
      {"", "a", false},
      {",,a", "a", true},
      {"upgraded", "upgrade", false},
      {"ab", "a", false},
      {"a b", "a", false},
      {"a,", "b", false},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    assert_int_equal(bytes_list_has(bytes_string(cases[i].list), bytes_string(cases[i].token)), cases[i].has);
  }
}

static void reads_numbers(void **state) {
  (void)state;
  uint64_t value = 7;
  assert_true(bytes_to_u64(BYTES("0"), &value));
  assert_int_equal(value, 0);
  assert_true(bytes_to_u64(BYTES("0000000000000000000000012"), &value));
  assert_int_equal(value, 12);
  assert_true(bytes_to_u64(BYTES("18446744073709551615"), &value));
  assert_true(value == UINT64_MAX);
  static const char *const refused[] = {"", "18446744073709551616", "99999999999999999999", "-1", "+1", " 1", "1 ", "0x1", "1.0"};
  for (size_t i = 0; i < COUNT_OF(refused); i++) assert_false(bytes_to_u64(bytes_string(refused[i]), &value));
  assert_true(value == UINT64_MAX);
}

static void takes_what_precedes_a_byte(void **state) {
  (void)state;
  struct bytes rest = BYTES("ab  c"), text;
  assert_true(bytes_take_until(&rest, ' ', &text));
  assert_bytes_string(text, "ab");
  assert_true(bytes_take_until(&rest, ' ', &text));
  assert_bytes_string(text, "");
  assert_false(bytes_take_until(&rest, ' ', &text));
  assert_bytes_string(rest, "c");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(compares_without_regard_to_case), TEST(compares_prefixes),          TEST(trims_spaces_and_tabs), TEST(finds_the_first),
      TEST(finds_tokens_in_lists),           TEST(takes_what_precedes_a_byte), TEST(reads_numbers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
