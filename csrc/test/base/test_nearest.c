#include "base/nearest.h"
#include "test/support.h"

static const char *const words[] = {"channel", "event", "key", "volatile", "idempotency_key"};

static void finds_what_was_meant(void **state) {
  (void)state;
  static const struct {
    const char *word, *meant; /* NULL: none is near */
  } cases[] = {
      {"channel", "channel"},
      {"chanel", "channel"},
      {"channels", "channel"},
      {"Channel", "channel"},
      {"CHANNELS", "channel"},
      {"hcannel", "channel"},
      {"cahnenl", "channel"},
      {"chnl", NULL},
      {"evnt", "event"},
      {"evetn", "event"},
      {"vent", "event"},
      {"ky", "key"},
      {"k", NULL},
      {"kex", "key"},
      {"", NULL},
      {"idempotencykey", "idempotency_key"},
      {"idempotency-key", "idempotency_key"},
      {"volatil", "volatile"},
      {"\xc3\xa9vent", "event"},
      {"something else", NULL},
      {"a word that is longer than forty characters", NULL},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    const char *found = nearest_word(bytes_string(cases[i].word), words, COUNT_OF(words));
    if (!cases[i].meant) {
      assert_null(found);
    } else {
      assert_non_null(found);
      assert_string_equal(found, cases[i].meant);
    }
  }
  assert_null(nearest_word(BYTES("channel"), words, 0));
}

int main(void) {
  const struct CMUnitTest tests[] = {TEST(finds_what_was_meant)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
