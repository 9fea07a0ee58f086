#include "delivery/latest.h"

#include "base/memory.h"
#include "base/status.h"
#include "test/support.h"

static struct message *make(const char *channel, const char *key, unsigned number) {
  struct message_parts parts = {
      .channel = bytes_string(channel), .event = BYTES("e"), .data = BYTES("1"), .key = bytes_string(key)};
  struct message *message = message_new(NULL, &parts);
  if (message) message->position = number;
  return message;
}

/* Puts one of that number, which is its position. */
static int put(struct latest *latest, const char *channel, const char *key, unsigned number, bool *replaced) {
  struct message *message = make(channel, key, number);
  if (!message) return MW_ENOMEM;
  int status = latest_put(latest, message, number, replaced);
  message_unref(message);
  return status;
}

static bool replaces(struct latest *latest, const char *channel, const char *key, unsigned number) {
  bool replaced = false;
  assert_int_equal(put(latest, channel, key, number, &replaced), 0);
  return replaced;
}

/* Takes all out: "3 5 ". */
static const char *drain(struct latest *latest) {
  static char text[256];
  uint64_t position;
  text[0] = '\0';
  for (struct message *message; (message = latest_first(latest, &position)); latest_drop_first(latest)) {
    assert_int_equal(message->position, position);
    snprintf(text + strlen(text), sizeof text - strlen(text), "%llu ", (unsigned long long)position);
  }
  assert_int_equal(latest->bytes, 0);
  return text;
}

static void keeps_the_newest_of_each_key(void **state) {
  (void)state;
  struct latest latest;
  uint64_t position;
  latest_init(&latest);
  assert_null(latest_first(&latest, &position));
  assert_string_equal(drain(&latest), "");
  assert_false(replaces(&latest, "a", "x", 1));
  assert_false(replaces(&latest, "a", "y", 2));
  assert_false(replaces(&latest, "b", "x", 3)); /* keys are each channel's own */
  assert_false(replaces(&latest, "a", "", 4));
  assert_true(replaces(&latest, "a", "x", 5));
  assert_true(replaces(&latest, "a", "", 6));
  assert_string_equal(drain(&latest), "2 3 5 6 "); /* where the newest came, not the first */
  assert_false(replaces(&latest, "a", "x", 7));    /* what was taken out is forgotten */
  latest_deinit(&latest);
}

/* A channel's name and a key are not simply put together. */
static void keys_and_channels_do_not_mix(void **state) {
  (void)state;
  struct latest latest;
  latest_init(&latest);
  assert_false(replaces(&latest, "a", "bc", 1));
  assert_false(replaces(&latest, "ab", "c", 2));
  assert_false(replaces(&latest, "abc", "", 3));
  assert_string_equal(drain(&latest), "1 2 3 ");
  latest_deinit(&latest);
}

static void weighs_what_it_keeps(void **state) {
  (void)state;
  struct latest latest;
  struct message *message = make("a", "x", 1);
  size_t size = message_len(message) + LATEST_PLACE;
  message_unref(message);
  latest_init(&latest);
  for (unsigned n = 1; n <= 10; n++) {
    replaces(&latest, "a", n % 2 ? "x" : "y", n);
    assert_int_equal(latest.bytes, n == 1 ? size : 2 * size);
    assert_int_equal(object_live(OBJECT_MESSAGE), n == 1 ? 1 : 2);
  }
  latest_drop_first(&latest);
  assert_int_equal(latest.bytes, size);
  latest_deinit(&latest);
  assert_int_equal(latest.bytes, 0);
}

static void forgets_one_channel(void **state) {
  (void)state;
  struct latest latest;
  latest_init(&latest);
  latest_forget(&latest, BYTES("a"));
  for (unsigned n = 1; n <= 9; n++) {
    char key[] = {(char)('a' + n), '\0'};
    replaces(&latest, n % 3 ? "a" : "b", key, n);
  }
  latest_forget(&latest, BYTES("c"));
  latest_forget(&latest, BYTES("a"));
  assert_false(replaces(&latest, "a", "b", 10));
  assert_string_equal(drain(&latest), "3 6 9 10 ");
  latest_deinit(&latest);
}

static bool fill(void *context) {
  (void)context;
  struct latest latest;
  bool ok = true, replaced;
  latest_init(&latest);
  for (unsigned n = 1; n <= 30; n++) {
    char key[] = {(char)('a' + n % 10), '\0'};
    ok = put(&latest, "a", key, n, &replaced) == 0 && ok;
  }
  uint64_t position, before = 0, count = 0;
  for (; latest_first(&latest, &position); latest_drop_first(&latest), count++) {
    assert_true(position > before);
    before = position;
  }
  assert_int_equal(latest.bytes, 0);
  latest_deinit(&latest);
  return ok && count == 10;
}

static void stands_failing_memory(void **state) {
  (void)state;
  assert_true(support_fail_each(fill, NULL) > 60);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(keeps_the_newest_of_each_key), TEST(keys_and_channels_do_not_mix), TEST(weighs_what_it_keeps),
      TEST(forgets_one_channel),          TEST(stands_failing_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
