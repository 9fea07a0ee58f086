#include "auth/origin.h"
#include "test/support.h"

static void entries_are_checked(void **state) {
  (void)state;
  static const struct {
    const char *entry;
    bool fine;
  } cases[] = {
      {"*", true},
      {"https://a.example", true},
      {"http://a.example:8080", true},
      {"http://localhost:3000", true},
      {"https://*.b.example", true},
      {"https://*.b.example:8443", true},
      {"https://[::1]:8443", true},
      {"capacitor://localhost", true},
      {"https://a", true},
      {"x://a", true},
      {"", false},
      {"a.example", false},
      {"://a.example", false},
      {"https:a.example", false},
      {"https://", false},
      {"https://:443", false},
      {"https://a.example/", false},
      {"https://a.example/path", false},
      {"https://a.example?x", false},
      {"https://a.example:", false},
      {"https://a.example:x", false},
      {"https://user@a.example", false},
      {"https://a b", false},
      {"https://a,https://b", false},
      {"https://*", false},
      {"https://*.", false},
      {"https://a*.example", false},
      {"https://a.*.example", false},
      {"https://*.*.example", false},
      {"https://*a.example", false},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    const char *fault = origin_fault(bytes_string(cases[i].entry));
    if ((fault == NULL) != cases[i].fine) print_error("\"%s\": %s\n", cases[i].entry, fault ? fault : "fine");
    assert_int_equal(fault == NULL, cases[i].fine);
  }
}

static void entries_allow_origins(void **state) {
  (void)state;
  static const struct {
    const char *entry, *origin;
    bool allowed;
  } cases[] = {
      {"*", "https://a.example", true},
      {"*", "null", true},
      {"https://a.example", "https://a.example", true},
      {"https://a.example", "HTTPS://A.Example", true},
      {"https://a.example", "https://a.example:443", true},
      {"https://a.example:443", "https://a.example", true},
      {"http://a.example", "http://a.example:80", true},
      {"https://a.example", "https://a.example:80", false},
      {"https://a.example", "http://a.example", false},
      {"https://a.example", "https://a.example:8443", false},
      {"https://a.example:8443", "https://a.example", false},
      {"https://a.example", "https://b.example", false},
      {"https://a.example", "https://a.example.evil", false},
      {"https://a.example", "https://evil-a.example", false},
      {"https://a.example", "null", false},
      {"https://a.example", "", false},
      {"https://a.example", "https://a.example/", false},
      {"https://a.example", "https://a.example, https://b.example", false},
      {"https://*.b.example", "https://x.b.example", true},
      {"https://*.b.example", "https://x.y.B.example", true},
      {"https://*.b.example", "https://b.example", false},
      {"https://*.b.example", "https://.b.example", false},
      {"https://*.b.example", "https://xb.example", false},
      {"https://*.b.example", "https://x.b.example.evil", false},
      {"https://*.b.example", "https://evil/.b.example", false},
      {"https://*.b.example", "https://evil?.b.example", false},
      {"https://*.b.example", "https://evil#.b.example", false},
      {"https://*.b.example", "https://evil@x.b.example", false},
      {"https://*.b.example", "https://evil:1.b.example", false},
      {"https://*.b.example:8443", "https://x.b.example:8443", true},
      {"https://*.b.example:8443", "https://x.b.example", false},
      {"http://[::1]:3000", "http://[::1]:3000", true},
      {"http://[::1]:3000", "http://[::2]:3000", false},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    bool allowed = origin_matches(bytes_string(cases[i].entry), bytes_string(cases[i].origin));
    if (allowed != cases[i].allowed) print_error("\"%s\" and \"%s\"\n", cases[i].entry, cases[i].origin);
    assert_int_equal(allowed, cases[i].allowed);
  }
}

static void the_same_origin_is_known(void **state) {
  (void)state;
  static const struct {
    const char *origin, *host;
    bool same;
  } cases[] = {
      {"http://a.example", "a.example", true},
      {"http://A.example", "a.EXAMPLE", true},
      {"http://a.example", "a.example:80", true},
      {"https://a.example", "a.example:443", true},
      {"https://a.example", "a.example", true}, /* TLS ended in front of us */
      {"http://a.example:8080", "a.example:8080", true},
      {"http://[::1]:8080", "[::1]:8080", true},
      {"http://a.example:8080", "a.example", false},
      {"http://a.example", "a.example:8080", false},
      {"http://a.example", "a.example:443", false},
      {"http://b.example", "a.example", false},
      {"http://a.example", "*.example", false},
      {"http://a.example", "", false},
      {"null", "null", false},
      {"", "", false},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    bool same = origin_is_same(bytes_string(cases[i].origin), bytes_string(cases[i].host), bytes_of(NULL, 0));
    if (same != cases[i].same) print_error("\"%s\" and \"%s\"\n", cases[i].origin, cases[i].host);
    assert_int_equal(same, cases[i].same);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {TEST(entries_are_checked), TEST(entries_allow_origins), TEST(the_same_origin_is_known)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
