#include "codec/http/query.h"
#include "test/support.h"

/* Each pair as "name=value;". */
static void join_pairs(struct bytes query, struct buffer *out) {
  struct buffer name = {0}, value = {0};
  while (query_next(&query, &name, &value)) {
    buffer_append(out, buffer_bytes(&name));
    buffer_append_char(out, '=');
    buffer_append(out, buffer_bytes(&value));
    buffer_append_char(out, ';');
    out->failed = out->failed || name.failed || value.failed;
  }
  buffer_deinit(&name);
  buffer_deinit(&value);
}

static void reads_pairs(void **state) {
  (void)state;
  static const struct {
    const char *query, *pairs;
  } cases[] = {
      {"", ""},
      {"a=b", "a=b;"},
      {"a=b&a=c", "a=b;a=c;"},
      {"a", "a=;"},
      {"a=", "a=;"},
      {"=a", "=a;"},
      {"=", "=;"},
      {"&&a=b&&", "a=b;"},
      {"a=b=c", "a=b=c;"},
      {"a+b=c+d", "a b=c d;"},
      {"a%20b=%3D%26%2b", "a b==&+;"},
      {"%E2%82%ac=%F0%9f%98%80", "\xe2\x82\xac=\xf0\x9f\x98\x80;"},
      {"a=%", "a=%;"},
      {"a=%4", "a=%4;"},
      {"a=%zz%4g%41", "a=%zz%4gA;"},
      {"a=%%41", "a=%A;"},
      {"a=%ff", "a=\xff;"},
      {"a=b;c=d", "a=b;c=d;"},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    struct buffer out = {0};
    join_pairs(bytes_string(cases[i].query), &out);
    assert_bytes_string(buffer_bytes(&out), cases[i].pairs);
    buffer_deinit(&out);
  }
}

static void a_nul_is_a_byte_like_others(void **state) {
  (void)state;
  struct buffer out = {0};
  join_pairs(BYTES("a=%00b"), &out);
  assert_bytes(buffer_bytes(&out), BYTES("a=\0b;"));
  buffer_deinit(&out);
}

static void decodes_paths(void **state) {
  (void)state;
  static const struct {
    struct bytes path;
    const char *decoded; /* NULL: refused */
  } cases[] = {
      {{"", sizeof("") - 1}, ""},
      {{"/a/b", sizeof("/a/b") - 1}, "/a/b"},
      {{"/a+b", sizeof("/a+b") - 1}, "/a+b"},
      {{"/%61%2fb%20", sizeof("/%61%2fb%20") - 1}, "/a/b "},
      {{"/%e2%82%AC", sizeof("/%e2%82%AC") - 1}, "/\xe2\x82\xac"},
      {{"/%2e%2E/", sizeof("/%2e%2E/") - 1}, "/../"},
      {{"/%", sizeof("/%") - 1}, NULL},
      {{"/%4", sizeof("/%4") - 1}, NULL},
      {{"/%4g", sizeof("/%4g") - 1}, NULL},
      {{"/%00", sizeof("/%00") - 1}, NULL},
      {{"/\0", sizeof("/\0") - 1}, NULL},
      {{"/%ff", sizeof("/%ff") - 1}, NULL},
      {{"/%c0%af", sizeof("/%c0%af") - 1}, NULL},
      {{"/%e2%82", sizeof("/%e2%82") - 1}, NULL},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    struct buffer out = {0};
    assert_int_equal(path_decode(cases[i].path, &out), cases[i].decoded != NULL);
    if (cases[i].decoded) assert_bytes_string(buffer_bytes(&out), cases[i].decoded);
    buffer_deinit(&out);
  }
}

static void a_path_is_appended(void **state) {
  (void)state;
  struct buffer out = {0};
  buffer_append_char(&out, '\xe2'); /* what was there before need not be UTF-8 */
  assert_true(path_decode(BYTES("/a"), &out));
  assert_bytes_string(buffer_bytes(&out), "\xe2/a");
  buffer_deinit(&out);
}

static bool decode_long(void *context) {
  (void)context;
  struct buffer out = {0};
  join_pairs(BYTES("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa=b&c=d"),
             &out);
  bool ok = !out.failed && path_decode(BYTES("/a"), &out) && !out.failed;
  buffer_deinit(&out);
  return ok;
}

static void stands_failing_memory(void **state) {
  (void)state;
  assert_true(support_fail_each(decode_long, NULL) > 3);
}

static void secrets_are_not_for_the_log(void **state) {
  (void)state;
  static const struct {
    const char *target, *redacted;
  } cases[] = {
      {"/sse?channel=a", "/sse?channel=a"},
      {"/sse?token=abc", "/sse?token=***"},
      {"/sse?channel=a&token=abc&since=0", "/sse?channel=a&token=***&since=0"},
      {"/ws?ACCESS_TOKEN=abc&x=1", "/ws?ACCESS_TOKEN=***&x=1"},
      {"/ws?ticket=abc=def&ticket=ghi", "/ws?ticket=***&ticket=***"},
      {"/ws?apikey=a&api-key=b&password=c&sig=d&session=e&jwt=f&authorization=g&client=h&client_secret=i&code=j",
       "/ws?apikey=***&api-key=***&password=***&sig=***&session=***&jwt=***&authorization=***&client=***&client_secret=***&code=*"
       "**"},
      {"/ws?%74oken=abc&t%6Fken=abc", "/ws?%74oken=***&t%6Fken=***"},
      {"/ws?token", "/ws?token"},
      {"/ws?token=", "/ws?token=***"},
      {"/ws?&&=&a", "/ws?&&=&a"},
      {"/ws?a=token=abc", "/ws?a=token=abc"},
      {"/token=abc", "/token=abc"},
      {"/?", "/?"},
      {"", ""},
  };
  char out[200];
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    query_redact(bytes_string(cases[i].target), out, sizeof out);
    assert_string_equal(out, cases[i].redacted);
    char small[12];
    query_redact(bytes_string(cases[i].target), small, sizeof small);
    assert_memory_equal(small, cases[i].redacted, strlen(small));
    assert_in_range(strlen(small), 0, sizeof small - 1);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(reads_pairs),        TEST(a_nul_is_a_byte_like_others), TEST(decodes_paths),
      TEST(a_path_is_appended), TEST(stands_failing_memory),       TEST(secrets_are_not_for_the_log),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
