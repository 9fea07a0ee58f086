#include <errno.h>

#include "base/status.h"
#include "test/support.h"

static void every_status_has_a_text_of_its_own(void **state) {
  (void)state;
  const char *texts[24];
  for (int i = 0; i < 24; i++) {
    texts[i] = mw_status_text(i == 0 ? MW_OK : i <= 12 ? -5000 - i : -5100 - (i - 12));
    assert_string_not_equal(texts[i], mw_status_text(-9999));
    for (int j = 0; j < i; j++) assert_string_not_equal(texts[i], texts[j]);
  }
}

static void codes_of_the_system_pass_through(void **state) {
  (void)state;
  assert_string_equal(mw_status_text(-EADDRINUSE), strerror(EADDRINUSE));
  assert_string_equal(mw_status_text(-4095), "end of file");
  assert_string_equal(mw_status_text(-3008), "address lookup failed");
  assert_string_equal(mw_status_text(5), "unknown status");
  assert_string_equal(mw_status_text(INT32_MIN), "unknown status");
}

static void the_version_is_that_of_the_header(void **state) {
  (void)state;
  assert_string_equal(mw_version(), MW_VERSION);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(every_status_has_a_text_of_its_own),
      TEST(codes_of_the_system_pass_through),
      TEST(the_version_is_that_of_the_header),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
