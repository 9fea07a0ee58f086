#include "auth/secret.h"
#include "test/support.h"

static void compares(void **state) {
  (void)state;
  assert_true(secret_equal(BYTES("key"), BYTES("key")));
  assert_true(secret_equal(bytes_of(NULL, 0), BYTES("")));
  assert_false(secret_equal(BYTES("key"), BYTES("kez")));
  assert_false(secret_equal(BYTES("key"), BYTES("Key")));
  assert_false(secret_equal(BYTES("key"), BYTES("keys")));
  assert_false(secret_equal(BYTES("keys"), BYTES("key")));
  assert_false(secret_equal(BYTES("a\0b"), BYTES("a\0c")));
  assert_false(secret_equal(bytes_of(NULL, 0), BYTES("key")));
}

static void makes_names(void **state) {
  (void)state;
  char names[64][27];
  bool seen[256] = {false};
  for (size_t i = 0; i < 64; i++) {
    names[i][26] = '!';
    secret_name(names[i], 26);
    assert_int_equal(names[i][26], '!');
    for (size_t k = 0; k < 26; k++) {
      unsigned char c = (unsigned char)names[i][k];
      assert_true((c >= 'a' && c <= 'z') || (c >= '2' && c <= '7'));
      seen[c] = true;
    }
    for (size_t k = 0; k < i; k++) assert_memory_not_equal(names[i], names[k], 26);
  }
  size_t letters = 0;
  for (size_t c = 0; c < 256; c++) letters += seen[c];
  assert_int_equal(letters, 32); /* 1,664 characters miss one of them once in 10^21 runs */
}

int main(void) {
  const struct CMUnitTest tests[] = {TEST(compares), TEST(makes_names)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
