#include "dialect/native_members.h"

#include <stdlib.h>

#include "base/memory.h"
#include "test/support.h"
#include "test/support/message.h"

static const struct channel_policy policy = {.kind = 0};
static struct clock clock_now;
static struct store store;
static struct hub hub;
static unsigned handed; /* announcements */

static void on_deliver(struct subscription *subscription, struct message *message) {
  (void)subscription;
  (void)message;
  handed++;
}

static void begin(size_t channels_max) {
  clock_init(&clock_now);
  clock_advance(&clock_now, 1000000);
  store_init(&store, &clock_now, &(struct store_bounds){.channels = channels_max, .history = 1 << 20, .marks = 10});
  hub_init(&hub, &store, on_deliver);
}

struct entry {
  const char *id, *info; /* info NULL: null */
  uint32_t connections;
  bool left;
};

/* NULL if out of memory. */
static struct roster_batch *batch_of(const char *channel, size_t count, const struct entry *entries, size_t entry_count) {
  struct roster_batch *batch = roster_batch_new(bytes_string(channel), entry_count, 0);
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

static void expect_blob(struct blob *blob, const char *expected) {
  assert_int_equal(blob != NULL, expected != NULL);
  if (expected) assert_bytes_string(blob_bytes(blob), expected);
  blob_unref(blob);
}

static void expect_roster(const char *channel, bool counts_only, const char *expected) {
  expect_blob(native_members_snapshot(&hub, bytes_string(channel), counts_only, 1000), expected);
}

static void expect_page(const char *after, size_t limit, size_t bytes, const char *expected) {
  struct buffer out;
  buffer_init(&out);
  struct roster_query query = {.after = bytes_string(after), .limit = limit, .bytes = bytes};
  assert_int_equal(native_members_page(&hub, BYTES("a"), &query, &out), expected != NULL);
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
  store_deinit(&store);
}

static void keeps_channels_that_have_members(void **state) {
  (void)state;
  begin(10);
  assert_true(update("a", 1, (struct entry[]){{"\"x\"", NULL, 1, false}}, 1));
  clock_advance(&clock_now, 3600 * 1000);
  store_sweep(&store, 10);
  assert_non_null(hub_find(&hub, BYTES("a")));
  assert_true(update("a", 0, (struct entry[]){{"\"x\"", NULL, 0, true}}, 1));
  clock_advance(&clock_now, 3600 * 1000);
  store_sweep(&store, 10);
  assert_null(hub_find(&hub, BYTES("a")));
  hub_deinit(&hub);
  store_deinit(&store);
}

static void hands_announcements_to_subscribers(void **state) {
  (void)state;
  struct subscription subscription = {.channel = NULL};
  handed = 0;
  begin(10);
  assert_int_equal(hub_subscribe(&hub, BYTES("a"), &policy, &subscription), 0);
  struct roster_batch *batch = batch_of("a", 1, (struct entry[]){{"\"x\"", NULL, 1, false}}, 1);
  batch->message = message_of(NULL, BYTES("a"), BYTES("moonwire:presence"), BYTES("{}"));
  assert_true(hub_update_roster(&hub, batch, &policy));
  assert_int_equal(handed, 1);
  assert_int_equal(hub.position, 0);
  roster_batch_unref(batch);
  hub_end_turn(&hub);
  hub_unsubscribe(&hub, &subscription);
  hub_deinit(&hub);
  store_deinit(&store);
}

/* What could not be kept is not made up for by what follows, but by a whole batch, or when no one
 * is left. */
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
  store_deinit(&store);
}

static void a_channel_too_many_has_no_roster(void **state) {
  (void)state;
  begin(1);
  assert_true(update("a", 1, (struct entry[]){{"\"x\"", NULL, 1, false}}, 1));
  assert_false(update("b", 1, (struct entry[]){{"\"x\"", NULL, 1, false}}, 1));
  assert_true(update("b", 0, (struct entry[]){{"\"x\"", NULL, 0, true}}, 1));
  assert_null(hub_find(&hub, BYTES("b")));
  hub_deinit(&hub);
  store_deinit(&store);
}

#define ONE ":{\"info\":null,\"connections\":1}"

/* All who come in the same state get the same blob; the next change makes another. */
static void a_snapshot_is_shared(void **state) {
  (void)state;
  begin(10);
  assert_true(update("a", 1, (struct entry[]){{"\"x\"", NULL, 1, false}}, 1));
  struct blob *one = native_members_snapshot(&hub, BYTES("a"), false, 1000),
              *two = native_members_snapshot(&hub, BYTES("a"), false, 1000);
  assert_ptr_equal(one, two);
  assert_true(update("a", 2, (struct entry[]){{"\"y\"", NULL, 1, false}}, 1));
  struct blob *three = native_members_snapshot(&hub, BYTES("a"), false, 1000);
  assert_ptr_not_equal(one, three);
  assert_bytes_string(blob_bytes(one), "{\"count\":1,\"members\":{\"x\"" ONE "}}");
  blob_unref(one);
  blob_unref(two);
  blob_unref(three);
  hub_deinit(&hub);
  store_deinit(&store);
}

/* What would be larger than it may be is not even made. */
static void a_large_snapshot_is_only_a_number(void **state) {
  (void)state;
  begin(10);
  assert_true(update("a", 2, (struct entry[]){{"\"x\"", "1", 10, false}, {"\"y\"", NULL, 1, false}}, 2));
  size_t len = strlen("{\"count\":2,\"members\":{\"x\":{\"info\":1,\"connections\":10},\"y\"" ONE "}}");
  expect_blob(native_members_snapshot(&hub, BYTES("a"), false, len - 1), "{\"count\":2,\"more\":true}");
  expect_blob(native_members_snapshot(&hub, BYTES("a"), false, 0), "{\"count\":2,\"more\":true}");
  expect_blob(native_members_snapshot(&hub, BYTES("a"), true, 0), "{\"count\":2}");
  assert_true(update("a", 2, (struct entry[]){{"\"y\"", NULL, 1, false}}, 1));
  struct blob *whole = native_members_snapshot(&hub, BYTES("a"), false, len + 100);
  assert_int_equal(whole->len, len);
  blob_unref(whole);
  expect_blob(native_members_snapshot(&hub, BYTES("a"), false, len - 1), "{\"count\":2,\"more\":true}");
  hub_deinit(&hub);
  store_deinit(&store);
}

/* What is counted of the members' size is what they take, regardless of what becomes of them. */
static void it_knows_its_size(void **state) {
  (void)state;
  static const char *const infos[] = {NULL, "1", "\"some text\"", "{}"};
  begin(10);
  srand(5);
  for (int i = 0; i < 2000; i++) {
    char id[16];
    snprintf(id, sizeof id, "\"%d\"", rand() % 40);
    struct entry entry = {id, infos[rand() % 4], (uint32_t)(rand() % 3 ? rand() % 30 : rand()), rand() % 3 == 0};
    assert_true(update("a", 1, &entry, 1));
    const struct roster *roster = hub_find(&hub, BYTES("a"))->roster;
    struct blob *snapshot = native_members_snapshot(&hub, BYTES("a"), false, SIZE_MAX);
    size_t commas = roster->members.count > 0 ? 1 : 0; /* the first has none before it */
    assert_int_equal(snapshot->len, strlen("{\"count\":1,\"members\":{}}") + native_members_len(roster) - commas);
    blob_unref(snapshot);
  }
  hub_deinit(&hub);
  store_deinit(&store);
}

static void pages_follow_the_order_of_ids(void **state) {
  (void)state;
  begin(10);
  expect_page("", 0, 1000, "{\"count\":0,\"members\":{},\"more\":false}");
  struct entry entries[] = {
      {"\"b\"", NULL, 1, false}, {"\"ab\"", NULL, 1, false}, {"\"a\"", NULL, 1, false}, {"\"a!\"", NULL, 1, false}};
  assert_true(update("a", 4, entries, 4));
  expect_page("", 2, 1000, "{\"count\":4,\"members\":{\"a\"" ONE ",\"a!\"" ONE "},\"more\":true,\"after\":\"a!\"}");
  expect_page("a!", 2, 1000, "{\"count\":4,\"members\":{\"ab\"" ONE ",\"b\"" ONE "},\"more\":false}");
  /* After one who has left, or never was there. */
  expect_page("aa", 1, 1000, "{\"count\":4,\"members\":{\"ab\"" ONE "},\"more\":true,\"after\":\"ab\"}");
  expect_page("b", 0, 1000, "{\"count\":4,\"members\":{},\"more\":false}");
  /* One is there in any case. */
  size_t two = sizeof ",\"members\":{\"a\"" ONE ",\"a!\"" ONE - 1;
  expect_page("", 0, two, "{\"count\":4,\"members\":{\"a\"" ONE ",\"a!\"" ONE "},\"more\":true,\"after\":\"a!\"}");
  expect_page("", 0, two - 1, "{\"count\":4,\"members\":{\"a\"" ONE "},\"more\":true,\"after\":\"a\"}");
  expect_page("", 0, 1, "{\"count\":4,\"members\":{\"a\"" ONE "},\"more\":true,\"after\":\"a\"}");
  expect_page("", 0, 1000, "{\"count\":4,\"members\":{\"a\"" ONE ",\"a!\"" ONE ",\"ab\"" ONE ",\"b\"" ONE "},\"more\":false}");
  hub_deinit(&hub);
  store_deinit(&store);
}

static bool apply_and_write(void *context) {
  (void)context;
  begin(10);
  struct roster_batch *batch = batch_of("a", 2, (struct entry[]){{"\"x\"", "1", 1, false}, {"\"y\"", NULL, 1, false}}, 2);
  bool fine = batch && hub_update_roster(&hub, batch, &policy);
  struct blob *snapshot = native_members_snapshot(&hub, BYTES("a"), false, 1000);
  fine = snapshot && fine;
  fine = fine &&
         snapshot->len ==
             strlen("{\"count\":2,\"members\":{\"x\":{\"info\":1,\"connections\":1},\"y\":{\"info\":null,\"connections\":1}}}");
  roster_batch_unref(batch);
  blob_unref(snapshot);
  hub_deinit(&hub);
  store_deinit(&store);
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
                                     TEST(a_snapshot_is_shared),
                                     TEST(a_large_snapshot_is_only_a_number),
                                     TEST(it_knows_its_size),
                                     TEST(pages_follow_the_order_of_ids),
                                     TEST(stands_a_lack_of_memory)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
