#include "hub/hub.h"

#include "base/memory.h"
#include "test/support.h"
#include "test/support/message.h"

static const struct channel_policy policy = {.kind = 0};
static struct clock clock;
static struct hub hub;

static void on_deliver(struct subscription *subscription, struct message *message) {
  (void)message;
  *(unsigned *)subscription->owner += 1;
}

static void begin(size_t channels_max) {
  clock_init(&clock);
  clock_advance(&clock, 1000000);
  hub_init(&hub, &clock, channels_max, 1 << 20, on_deliver);
}

struct entry {
  const char *id, *info; /* info NULL: null */
  uint32_t connections;
  bool left;
};

/* NULL without memory. */
static struct roster_batch *batch_of(const char *channel, size_t count, const struct entry *entries, size_t entry_count) {
  struct roster_batch *batch = roster_batch_new(bytes_string(channel), entry_count);
  for (size_t i = 0; batch && i < entry_count; i++) {
    struct blob *key = blob_new(bytes_string(entries[i].id));
    struct blob *info = entries[i].info ? blob_new(bytes_string(entries[i].info)) : NULL;
    bool fine = key && (info || !entries[i].info);
    if (fine) {
      roster_batch_add(batch, &(struct roster_change){
                                  .key = key, .info = info, .connections = entries[i].connections, .left = entries[i].left});
    }
    blob_unref(key);
    blob_unref(info);
    if (fine) continue;
    roster_batch_unref(batch);
    batch = NULL;
  }
  if (batch) batch->count = count;
  return batch;
}

static bool update(const char *channel, size_t count, const struct entry *entries, size_t entry_count) {
  struct roster_batch *batch = batch_of(channel, count, entries, entry_count);
  assert_non_null(batch);
  bool is_kept = hub_update_roster(&hub, batch, &policy);
  roster_batch_unref(batch);
  return is_kept;
}

static void expect_roster(const char *channel, bool counts_only, const char *expected) {
  struct buffer out;
  buffer_init(&out);
  bool known = hub_write_roster(&hub, bytes_string(channel), counts_only, &out);
  assert_int_equal(known, expected != NULL);
  if (expected) assert_bytes_string(buffer_bytes(&out), expected);
  buffer_deinit(&out);
}

static void follows_batches(void **state) {
  (void)state;
  begin(10);
  expect_roster("a", false, "{\"count\":0,\"members\":{}}");
  expect_roster("a", true, "{\"count\":0}");
  assert_true(update("a", 1, (struct entry[]){{"\"x\"", "{}", 1, false}}, 1));
  for (int i = 0; i < 2; i++) expect_roster("a", false, "{\"count\":1,\"members\":{\"x\":{\"info\":{},\"connections\":1}}}");
  assert_true(update("a", 1, (struct entry[]){{"\"x\"", "{}", 2, false}}, 1));
  expect_roster("a", false, "{\"count\":1,\"members\":{\"x\":{\"info\":{},\"connections\":2}}}");
  assert_true(update("a", 1, (struct entry[]){{"\"y\"", NULL, 1, false}, {"\"x\"", "{}", 0, true}}, 2));
  expect_roster("a", false, "{\"count\":1,\"members\":{\"y\":{\"info\":null,\"connections\":1}}}");
  assert_true(update("a", 0, (struct entry[]){{"\"y\"", NULL, 0, true}}, 1));
  expect_roster("a", false, "{\"count\":0,\"members\":{}}");
  assert_true(update("n", 7, NULL, 0));
  expect_roster("n", true, "{\"count\":7}");
  hub_deinit(&hub);
}

static void keeps_channels_that_have_members(void **state) {
  (void)state;
  begin(10);
  assert_true(update("a", 1, (struct entry[]){{"\"x\"", NULL, 1, false}}, 1));
  clock_advance(&clock, 3600 * 1000);
  hub_sweep(&hub, 10);
  assert_non_null(hub_find(&hub, BYTES("a")));
  assert_true(update("a", 0, (struct entry[]){{"\"x\"", NULL, 0, true}}, 1));
  clock_advance(&clock, 3600 * 1000);
  hub_sweep(&hub, 10);
  assert_null(hub_find(&hub, BYTES("a")));
  hub_deinit(&hub);
}

static void hands_announcements_to_subscribers(void **state) {
  (void)state;
  unsigned handed = 0;
  struct subscription subscription = {.owner = &handed};
  begin(10);
  assert_int_equal(hub_subscribe(&hub, BYTES("a"), &policy, &subscription), 0);
  struct roster_batch *batch = batch_of("a", 1, (struct entry[]){{"\"x\"", NULL, 1, false}}, 1);
  batch->message = message_of(0, BYTES("a"), BYTES("moonwire:presence"), BYTES("{}"));
  assert_true(hub_update_roster(&hub, batch, &policy));
  assert_int_equal(handed, 1);
  assert_int_equal(hub.position, 0);
  roster_batch_unref(batch);
  hub_end_turn(&hub);
  hub_unsubscribe(&hub, &subscription);
  hub_deinit(&hub);
}

/* What could not be kept is not made up for by what follows, but by a whole batch, or when nobody is left. */
static void an_incomplete_roster_is_not_shown(void **state) {
  (void)state;
  begin(10);
  assert_true(update("a", 1, (struct entry[]){{"\"x\"", NULL, 1, false}}, 1));
  struct roster_batch *batch = batch_of("a", 2, (struct entry[]){{"\"y\"", NULL, 1, false}}, 1);
  memory_fail_after(1);
  assert_false(hub_update_roster(&hub, batch, &policy));
  memory_fail_after(0);
  roster_batch_unref(batch);
  expect_roster("a", false, NULL);
  assert_false(update("a", 2, (struct entry[]){{"\"x\"", NULL, 2, false}}, 1));
  expect_roster("a", false, NULL);
  batch = batch_of("a", 1, (struct entry[]){{"\"z\"", NULL, 1, false}}, 1);
  batch->is_whole = true;
  assert_true(hub_update_roster(&hub, batch, &policy));
  roster_batch_unref(batch);
  expect_roster("a", false, "{\"count\":1,\"members\":{\"z\":{\"info\":null,\"connections\":1}}}");
  hub_deinit(&hub);
}

static void a_channel_too_many_has_no_roster(void **state) {
  (void)state;
  begin(1);
  assert_true(update("a", 1, (struct entry[]){{"\"x\"", NULL, 1, false}}, 1));
  assert_false(update("b", 1, (struct entry[]){{"\"x\"", NULL, 1, false}}, 1));
  assert_true(update("b", 0, (struct entry[]){{"\"x\"", NULL, 0, true}}, 1));
  assert_null(hub_find(&hub, BYTES("b")));
  hub_deinit(&hub);
}

static bool apply_and_write(void *context) {
  (void)context;
  begin(10);
  struct roster_batch *batch = batch_of("a", 2, (struct entry[]){{"\"x\"", "1", 1, false}, {"\"y\"", NULL, 1, false}}, 2);
  struct buffer out;
  buffer_init(&out);
  bool fine = batch && hub_update_roster(&hub, batch, &policy);
  fine = hub_write_roster(&hub, BYTES("a"), false, &out) && fine;
  fine = fine &&
         out.len ==
             strlen("{\"count\":2,\"members\":{\"x\":{\"info\":1,\"connections\":1},\"y\":{\"info\":null,\"connections\":1}}}");
  roster_batch_unref(batch);
  buffer_deinit(&out);
  hub_deinit(&hub);
  return fine;
}

static void stands_a_lack_of_memory(void **state) {
  (void)state;
  assert_true(support_fail_each(apply_and_write, NULL) > 10);
}

int main(void) {
  const struct CMUnitTest tests[] = {TEST(follows_batches),
                                     TEST(keeps_channels_that_have_members),
                                     TEST(hands_announcements_to_subscribers),
                                     TEST(an_incomplete_roster_is_not_shown),
                                     TEST(a_channel_too_many_has_no_roster),
                                     TEST(stands_a_lack_of_memory)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
