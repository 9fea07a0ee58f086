#include "base/memory.h"
#include "base/status.h"
#include "test/support.h"

#define KEY "0123456789abcdef0123456789abcdef"
#define OTHER "0123456789abcdef0123456789abcdeg"

enum { ROOM = 4096 };

/* Both ways of sealing. */
static const struct way {
  const char *name;
  int64_t (*make)(const struct mw_seal *seal, const char *text, size_t text_len, char *out, size_t out_size);
  int64_t (*read)(const struct mw_seal *seal, const char *text, size_t text_len, char *out, size_t out_size);
} ways[] = {{"seal", mw_crypto_seal, mw_crypto_open}, {"sign", mw_crypto_sign, mw_crypto_verify}};

static struct mw_bytes text_of(const char *text) { return (struct mw_bytes){text, strlen(text)}; }

static struct mw_seal seal_of(const char *key, const char *purpose) {
  return (struct mw_seal){.key = text_of(key), .purpose = text_of(purpose)};
}

static size_t make(const struct way *way, const struct mw_seal *seal, struct bytes text, char out[ROOM]) {
  int64_t len = way->make(seal, text.ptr, text.len, out, ROOM);
  assert_true(len > 0);
  assert_true((size_t)len <= mw_crypto_sealed_size(text.len));
  return (size_t)len;
}

static void opens_what_it_made(void **state) {
  (void)state;
  static const struct bytes texts[] = {{"", 0}, {"x", 1}, {"hello", 5}, {"a\0b", 3}, {"\xff\xfe", 2}};
  char made[ROOM], back[ROOM];
  struct mw_seal seal = seal_of(KEY, "test");
  for (size_t w = 0; w < COUNT_OF(ways); w++) {
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
      size_t len = make(&ways[w], &seal, texts[i], made);
      for (size_t at = 0; at < len; at++) {
        char c = made[at];
        bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("-_.", c);
        assert_true(fine);
      }
      int64_t back_len = ways[w].read(&seal, made, len, back, sizeof back);
      assert_int_equal(back_len, texts[i].len);
      assert_bytes(bytes_of(back, (size_t)back_len), texts[i]);
    }
  }
}

/* Sealed text differs each time; signed text is readable and the same. */
static void what_it_shows(void **state) {
  (void)state;
  char a[ROOM], b[ROOM];
  struct mw_seal seal = seal_of(KEY, "");
  size_t len = make(&ways[0], &seal, BYTES("hello"), a);
  assert_int_equal(make(&ways[0], &seal, BYTES("hello"), b), len);
  assert_memory_not_equal(a, b, len);
  len = make(&ways[1], &seal, BYTES("hello"), a);
  assert_int_equal(make(&ways[1], &seal, BYTES("hello"), b), len);
  assert_memory_equal(a, b, len);
  assert_memory_equal(a, "aGVsbG8.", 8);
}

static void every_byte_counts(void **state) {
  (void)state;
  char made[ROOM], altered[ROOM], back[ROOM];
  struct mw_seal seal = seal_of(KEY, "test");
  for (size_t w = 0; w < COUNT_OF(ways); w++) {
    size_t len = make(&ways[w], &seal, BYTES("hello"), made);
    for (size_t i = 0; i < len; i++) {
      assert_int_equal(ways[w].read(&seal, made, i, back, sizeof back), MW_EFORGED);
      static const char others[] = {'A', 'B', 'z', '0', '-', '.', '=', ' ', '\0', '\xff'};
      for (size_t c = 0; c < sizeof others; c++) {
        if (made[i] == others[c]) continue;
        memcpy(altered, made, len);
        altered[i] = others[c];
        assert_int_equal(ways[w].read(&seal, altered, len, back, sizeof back), MW_EFORGED);
      }
      /* a byte too many */
      memcpy(altered, made, i);
      altered[i] = 'A';
      memcpy(altered + i + 1, made + i, len - i);
      assert_int_equal(ways[w].read(&seal, altered, len + 1, back, sizeof back), MW_EFORGED);
    }
    memcpy(altered, made, len);
    altered[len] = 'A';
    assert_int_equal(ways[w].read(&seal, altered, len + 1, back, sizeof back), MW_EFORGED);
  }
}

static void key_and_purpose_count(void **state) {
  (void)state;
  static const struct {
    const char *key, *purpose;
    int64_t result;
  } cases[] = {{KEY, "test", 5},           {OTHER, "test", MW_EFORGED},   {KEY, "", MW_EFORGED},        {KEY, "tes", MW_EFORGED},
               {KEY, "test2", MW_EFORGED}, {KEY KEY, "test", MW_EFORGED}, {"short", "test", MW_EINVAL}, {"", "test", MW_EINVAL}};
  char made[ROOM], back[ROOM];
  struct mw_seal seal = seal_of(KEY, "test");
  for (size_t w = 0; w < COUNT_OF(ways); w++) {
    size_t len = make(&ways[w], &seal, BYTES("hello"), made);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
      struct mw_seal with = seal_of(cases[i].key, cases[i].purpose);
      assert_int_equal(ways[w].read(&with, made, len, back, sizeof back), cases[i].result);
    }
    /* one way cannot read what the other made */
    assert_int_equal(ways[1 - w].read(&seal, made, len, back, sizeof back), MW_EFORGED);
    struct mw_seal weak = seal_of("0123456789abcdef0123456789abcde", "");
    assert_int_equal(ways[w].make(&weak, "x", 1, made, sizeof made), MW_EINVAL);
  }
}

/* Bytes cannot move between the purpose and the text. */
static void purpose_and_text_are_apart(void **state) {
  (void)state;
  char made[ROOM], altered[ROOM], back[ROOM];
  struct mw_seal ab = seal_of(KEY, "ab"), a = seal_of(KEY, "a");
  size_t len = make(&ways[1], &ab, BYTES("c"), made);
  size_t other = make(&ways[1], &a, BYTES("bc"), altered);
  assert_memory_not_equal(strchr(made, '.'), strchr(altered, '.'), 40);
  assert_int_equal(ways[1].read(&a, made, len, back, sizeof back), MW_EFORGED);
  assert_int_equal(ways[1].read(&ab, altered, other, back, sizeof back), MW_EFORGED);
}

static void expires(void **state) {
  (void)state;
  char made[ROOM], back[ROOM];
  static const struct {
    uint64_t expires_s, now_s;
    int64_t result;
  } cases[] = {{0, 0, 5},
               {0, UINT64_MAX, 5},
               {1000, 999, 5},
               {1000, 0, 5},
               {1000, 1000, MW_EEXPIRED},
               {1000, UINT64_MAX, MW_EEXPIRED},
               {UINT64_MAX, 1000, 5}};
  for (size_t w = 0; w < COUNT_OF(ways); w++) {
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
      struct mw_seal seal = seal_of(KEY, "");
      seal.expires_s = cases[i].expires_s;
      size_t len = make(&ways[w], &seal, BYTES("hello"), made);
      seal.expires_s = 0; /* what was sealed counts */
      seal.now_s = cases[i].now_s;
      assert_int_equal(ways[w].read(&seal, made, len, back, sizeof back), cases[i].result);
    }
  }
}

static void rubbish_is_forged(void **state) {
  (void)state;
  static const struct bytes texts[] = {BYTES(""),
                                       BYTES("."),
                                       BYTES(".."),
                                       BYTES("A"),
                                       BYTES("AAAA"),
                                       BYTES("AAAA.AAAA"),
                                       BYTES("AAAA.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
                                       BYTES(".AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
                                       BYTES("AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
                                       BYTES("AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
                                       BYTES("eyJhbGciOiJub25lIn0.e30."),
                                       BYTES("\0\0\0\0"),
                                       BYTES("\xff\xff\xff\xff")};
  char back[ROOM];
  struct mw_seal seal = seal_of(KEY, "");
  for (size_t w = 0; w < COUNT_OF(ways); w++) {
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
      assert_int_equal(ways[w].read(&seal, texts[i].ptr, texts[i].len, back, sizeof back), MW_EFORGED);
    }
  }
}

static void room_is_checked(void **state) {
  (void)state;
  char made[ROOM], back[ROOM];
  struct mw_seal seal = seal_of(KEY, "");
  for (size_t w = 0; w < COUNT_OF(ways); w++) {
    size_t len = make(&ways[w], &seal, BYTES("hello"), made);
    assert_int_equal(ways[w].make(&seal, "hello", 5, back, len - 1), MW_ETOOLARGE);
    assert_int_equal(ways[w].read(&seal, made, len, back, 4), MW_ETOOLARGE);
    assert_int_equal(ways[w].read(&seal, made, len, back, 5), 5);
  }
}

static bool make_and_read(void *context) {
  const struct way *way = context;
  char made[ROOM], back[ROOM];
  struct mw_seal seal = seal_of(KEY, "test");
  int64_t len = way->make(&seal, "hello", 5, made, sizeof made);
  if (len < 0) {
    assert_int_equal(len, MW_ENOMEM);
    return false;
  }
  int64_t back_len = way->read(&seal, made, (size_t)len, back, sizeof back);
  assert_true(back_len == 5 || back_len == MW_ENOMEM);
  return back_len == 5;
}

static void stands_failing_memory(void **state) {
  (void)state;
  for (size_t w = 0; w < COUNT_OF(ways); w++) assert_true(support_fail_each(make_and_read, (void *)(uintptr_t)&ways[w]) > 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(opens_what_it_made),         TEST(what_it_shows), TEST(every_byte_counts), TEST(key_and_purpose_count),
      TEST(purpose_and_text_are_apart), TEST(expires),       TEST(rubbish_is_forged), TEST(room_is_checked),
      TEST(stands_failing_memory)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
