#include "base/base64.h"

#include "base/memory.h"
#include "test/support.h"

/* RFC 4648 section 10, and all digits. */
static const struct {
  struct bytes plain, text;
} pairs[] = {
    {{"", 0}, {"", 0}},
    {{"f", 1}, {"Zg==", 4}},
    {{"fo", 2}, {"Zm8=", 4}},
    {{"foo", 3}, {"Zm9v", 4}},
    {{"foob", 4}, {"Zm9vYg==", 8}},
    {{"fooba", 5}, {"Zm9vYmE=", 8}},
    {{"foobar", 6}, {"Zm9vYmFy", 8}},
    {{"\0", 1}, {"AA==", 4}},
    {{"\xfb\xff\xbf", 3}, {"+/+/", 4}},
};

static void writes_and_reads(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(pairs); i++) {
    struct buffer out = {0};
    base64_write(&out, pairs[i].plain);
    assert_bytes(buffer_bytes(&out), pairs[i].text);
    buffer_clear(&out);
    assert_true(base64_read(&out, pairs[i].text));
    assert_bytes(buffer_bytes(&out), pairs[i].plain);
    buffer_deinit(&out);
  }
}

static void reads_every_byte(void **state) {
  (void)state;
  char all[256];
  struct buffer text = {0}, back = {0};
  for (int i = 0; i < 256; i++) all[i] = (char)i;
  for (size_t len = 250; len <= 256; len++) {
    buffer_clear(&text);
    buffer_clear(&back);
    base64_write(&text, bytes_of(all, len));
    assert_true(base64_read(&back, buffer_bytes(&text)));
    assert_bytes(buffer_bytes(&back), bytes_of(all, len));
  }
  buffer_deinit(&text);
  buffer_deinit(&back);
}

static void refuses_what_is_none(void **state) {
  (void)state;
  static const char *const wrong[] = {"A",    "AA",   "AAA",  "AA=",  "=",    "====", "A===",   "AA==AA==", "AA=A",
                                      "AB==", "AAB=", "AA A", "AAA ", "AA\n", "A-A_", "AA==\n", "AAAA=",    "\xc3\xa4=="};
  struct buffer out = {0};
  buffer_append_string(&out, "kept");
  for (size_t i = 0; i < COUNT_OF(wrong); i++) {
    if (base64_read(&out, bytes_string(wrong[i]))) fail_msg("%s was read", wrong[i]);
    assert_bytes(buffer_bytes(&out), BYTES("kept"));
  }
  buffer_deinit(&out);
}

/* RFC 4648 section 5, without padding. */
static void writes_and_reads_url(void **state) {
  (void)state;
  static const struct {
    struct bytes plain, text;
  } url_pairs[] = {
      {{"", 0}, {"", 0}},        {{"f", 1}, {"Zg", 2}},        {{"fo", 2}, {"Zm8", 3}},
      {{"foo", 3}, {"Zm9v", 4}}, {{"foob", 4}, {"Zm9vYg", 6}}, {{"\xfb\xff\xbf", 3}, {"-_-_", 4}},
  };
  struct buffer out = {0};
  for (size_t i = 0; i < COUNT_OF(url_pairs); i++) {
    buffer_clear(&out);
    base64url_write(&out, url_pairs[i].plain);
    assert_bytes(buffer_bytes(&out), url_pairs[i].text);
    buffer_clear(&out);
    assert_true(base64url_read(&out, url_pairs[i].text));
    assert_bytes(buffer_bytes(&out), url_pairs[i].plain);
  }
  static const char *const wrong[] = {"A", "AAAAA", "Zg==", "Zm8=", "+/+/", "AB", "AAB", "AA A", "AAA ", "AA\n", "\xc3\xa4"};
  buffer_clear(&out);
  for (size_t i = 0; i < COUNT_OF(wrong); i++) {
    if (base64url_read(&out, bytes_string(wrong[i]))) fail_msg("%s was read", wrong[i]);
    assert_int_equal(out.len, 0);
  }
  buffer_deinit(&out);
}

static bool read_one(void *context) {
  (void)context;
  struct buffer out = {0};
  bool read = base64_read(&out, BYTES("Zm9vYmFy"));
  bool ok = read && !out.failed;
  buffer_deinit(&out);
  return ok;
}

static void stands_failing_memory(void **state) {
  (void)state;
  assert_true(support_fail_each(read_one, NULL) > 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(writes_and_reads),     TEST(reads_every_byte),      TEST(refuses_what_is_none),
      TEST(writes_and_reads_url), TEST(stands_failing_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
