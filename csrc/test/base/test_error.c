#include "base/error.h"
#include "test/support.h"

static void writes_what_went_wrong(void **state) {
  (void)state;
  struct mw_error error;
  assert_int_equal(error_set(&error, MW_EINVAL, "%s: %d", "port", 7), MW_EINVAL);
  assert_string_equal(error.text, "port: 7");
  assert_int_equal(error_set(NULL, MW_ENOMEM, "%s", "out of memory"), MW_ENOMEM);
}

static void takes_a_part_of_itself(void **state) {
  (void)state;
  struct mw_error error;
  error_set(&error, MW_EINVAL, "too short");
  error_set(&error, MW_EINVAL, "key: %s", error.text);
  assert_string_equal(error.text, "key: too short");
}

static void truncates_what_is_too_long(void **state) {
  (void)state;
  struct mw_error error;
  char text[400];
  memset(text, 'x', sizeof text - 1);
  text[sizeof text - 1] = '\0';
  error_set(&error, MW_EINVAL, "%s", text);
  assert_int_equal(strlen(error.text), sizeof error.text - 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(writes_what_went_wrong),
      cmocka_unit_test(takes_a_part_of_itself),
      cmocka_unit_test(truncates_what_is_too_long),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
