#include "base/buffer.h"
#include "codec/http/cookie.h"
#include "test/support.h"

static void reads_pairs(void **state) {
  (void)state;
  static const struct {
    const char *field, *pairs;
  } cases[] = {
      {"", ""},
      {"a=b", "[a=b]"},
      {"a=b; c=d", "[a=b][c=d]"},
      {" a = b ;\tc=d;", "[a=b][c=d]"},
      {"a=b;;c=d", "[a=b][c=d]"},
      {"a=\"b c\"", "[a=b c]"},
      {"a=\"", "[a=\"]"},
      {"a=\"b", "[a=\"b]"},
      {"a=b\"", "[a=b\"]"},
      {"a=\"\"", "[a=]"},
      {"a=\"\"b\"\"", "[a=\"b\"]"},
      {"a=", "[a=]"},
      {"a=b=c", "[a=b=c]"},
      {"=b; c=d", "[c=d]"},
      {"a; c=d", "[c=d]"},
      {" ; ; ", ""},
      {"a=b, c=d", "[a=b, c=d]"},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    struct buffer out = {0};
    struct bytes rest = bytes_string(cases[i].field), name, value;
    while (cookie_next(&rest, &name, &value)) {
      buffer_append_format(&out, "[%.*s=%.*s]", (int)name.len, name.ptr, (int)value.len, value.ptr);
    }
    assert_bytes_string(buffer_bytes(&out), cases[i].pairs);
    assert_int_equal(rest.len, 0);
    buffer_deinit(&out);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {TEST(reads_pairs)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
