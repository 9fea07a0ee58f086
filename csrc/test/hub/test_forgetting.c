/* A hub that forgets channels must not forget what their clients missed, and must not make up
 * anything they did not. */
#include "base/memory.h"
#include "base/status.h"
#include "hub/hub.h"
#include "test/support.h"
#include "test/support/message.h"

/* Each kind is its index. */
enum { NONE, THREE, SECOND, BYTES_ONLY, OTHER };
static const struct channel_policy policies[] = {
    [NONE] = {.kind = NONE},
    [THREE] = {.kind = THREE, .history = {.size = 3}},
    [SECOND] = {.kind = SECOND, .history = {.size = 100}, .history_ttl_ms = 1000},
    [BYTES_ONLY] = {.kind = BYTES_ONLY, .history = {.size = 100, .bytes = 2000}},
    [OTHER] = {.kind = OTHER},
};

static struct store store;
static struct hub hub;
static unsigned handed; /* messages handed to subscribers */
static struct clock now;
static uint64_t position;

static void on_deliver(struct subscription *subscription, struct message *message) {
  (void)subscription;
  (void)message;
  handed++;
}

static void begin(size_t channels, size_t marks) {
  clock_init(&now);
  clock_advance(&now, 1000000);
  position = 0;
  store_init(&store, &now, &(struct store_bounds){.channels = channels, .history = UINT64_MAX, .marks = marks});
  hub_init(&hub, &store, on_deliver);
}

static void end(void) {
  hub_deinit(&hub);
  store_deinit(&store);
}

static struct message *make(const char *channel, size_t size, bool is_final) {
  static char text[4000];
  struct message_parts parts = {
      .channel = bytes_string(channel), .event = BYTES("e"), .data = bytes_of(text, size), .is_final = is_final};
  return message_new(NULL, &parts);
}

/* Returns the position. */
static uint64_t publish_sized(const char *channel, int kind, size_t size, bool is_final) {
  struct message *message = make(channel, size, is_final);
  assert_non_null(message);
  message->position = ++position;
  message->time_ms = now.wall_ms;
  hub_publish(&hub, message, &policies[kind]);
  message_unref(message);
  return position;
}

static uint64_t publish(const char *channel, int kind) { return publish_sized(channel, kind, 1, false); }

/* Whether a client that returns with `since` has missed nothing, or gets it from the history: what
 * a transport would tell it. */
static bool is_complete(const char *channel, int kind, uint64_t since) {
  struct subscription subscription = {.channel = NULL};
  handed = 0;
  assert_int_equal(hub_subscribe(&hub, bytes_string(channel), &policies[kind], &subscription), 0);
  bool complete = store_complete(&store, subscription.channel->stored, since) == STORE_HAS_ALL;
  hub_unsubscribe(&hub, &subscription);
  return complete;
}

static void pass(uint64_t ms) {
  hub_end_turn(&hub);
  clock_advance(&now, ms);
  store_sweep(&store, SIZE_MAX);
}

static bool is_live(const char *channel) { return store_find(&store, bytes_string(channel)); }

static void a_quiet_channel_has_no_gap(void **state) {
  (void)state;
  begin(100, 100);
  publish("elsewhere", THREE);
  uint64_t since = position;
  assert_true(is_complete("inbox", THREE, since));
  for (int round = 0; round < 20; round++) {
    publish("elsewhere", NONE);
    publish("cursor", OTHER);
    pass(60000);
    assert_true(is_complete("inbox", THREE, since));
  }
  assert_true(is_complete("inbox", THREE, 0));
  assert_int_equal(store.floor_gaps, 0);
  end();
}

static void without_history_what_was_missed_is_a_gap(void **state) {
  (void)state;
  begin(100, 100);
  uint64_t before = publish("a", NONE), since = publish("b", NONE);
  assert_true(is_complete("a", NONE, since));
  assert_false(is_complete("a", NONE, before - 1));
  uint64_t missed = publish("a", NONE);
  pass(3600 * 1000);
  assert_false(is_complete("a", NONE, since)); /* an hour later as well */
  assert_false(is_complete("a", NONE, missed - 1));
  assert_true(is_complete("a", NONE, missed));
  assert_true(is_complete("b", NONE, since));
  assert_int_equal(store.floor_gaps, 0);
  end();
}

static void what_expired_before_the_cursor_is_no_gap(void **state) {
  (void)state;
  begin(100, 100);
  uint64_t first = publish("a", SECOND), last = publish("a", SECOND);
  publish("elsewhere", NONE);
  assert_true(is_complete("a", SECOND, first - 1));
  pass(1001);
  assert_false(is_live("a"));
  assert_false(is_complete("a", SECOND, first)); /* the last one was newer than its cursor */
  assert_true(is_complete("a", SECOND, last));
  assert_true(is_complete("a", SECOND, position));
  end();
}

static void what_limits_history_evicts_is_known_by_channel(void **state) {
  (void)state;
  begin(100, 100);
  uint64_t a = publish("a", THREE), b = publish("b", THREE);
  store.history_max = store.history_bytes;
  uint64_t c = publish("c", THREE); /* instead of a */
  pass(1);
  assert_false(is_live("a"));
  assert_false(is_complete("a", THREE, a - 1));
  assert_true(is_complete("a", THREE, a));
  assert_true(is_complete("b", THREE, 0));
  assert_true(is_complete("c", THREE, 0));
  assert_true(b < c);
  end();
}

static void what_a_history_cannot_hold_is_a_gap(void **state) {
  (void)state;
  begin(100, 100);
  uint64_t small = publish_sized("a", BYTES_ONLY, 10, false), large = publish_sized("a", BYTES_ONLY, 3000, false);
  assert_false(is_live("a"));
  assert_false(is_complete("a", BYTES_ONLY, small));
  assert_true(is_complete("a", BYTES_ONLY, large));
  publish_sized("a", BYTES_ONLY, 10, false);
  assert_false(is_complete("a", BYTES_ONLY, small)); /* made again, it knows what it was */
  assert_true(is_complete("a", BYTES_ONLY, large));
  end();
}

/* Deleted and made again, round after round; clients come and go as well. */
static void a_channel_that_comes_and_goes(void **state) {
  (void)state;
  begin(100, 100);
  uint64_t last = 0;
  for (int round = 0; round < 50; round++) {
    assert_true(is_complete("a", SECOND, last));
    if (last > 0) assert_false(is_complete("a", SECOND, last - 1));
    if (round % 3 == 0) {
      last = publish("a", SECOND);
      assert_true(is_live("a"));
      assert_true(is_complete("a", SECOND, last - 1)); /* from the history */
    }
    publish("elsewhere", NONE);
    pass(1001);
    assert_false(is_live("a"));
  }
  end();
}

static void a_channel_without_history_is_gone_at_once(void **state) {
  (void)state;
  struct subscription first = {.channel = NULL}, second = {.channel = NULL};
  handed = 0;
  begin(2, 100);
  for (unsigned n = 0; n < 1000; n++) {
    char name[16];
    snprintf(name, sizeof name, "v:%u", n);
    assert_int_equal(hub_subscribe(&hub, bytes_string(name), &policies[NONE], &first), 0);
    assert_int_equal(hub_subscribe(&hub, bytes_string(name), &policies[NONE], &second), 0);
    hub_unsubscribe(&hub, &first);
    assert_int_equal(store.channels.count, 1);
    hub_unsubscribe(&hub, &second);
    assert_int_equal(store.channels.count, 0);
  }
  assert_int_equal(store.marks.count, 0); /* nothing was published to any of them */
  for (unsigned n = 0; n < 1000; n++) publish("w", NONE);
  assert_int_equal(store.channels.count, 0);
  assert_int_equal(store.marks.count, 1);
  end();
}

static void a_turn_list_outlives_its_subscribers(void **state) {
  (void)state;
  struct subscription listener = {.channel = NULL};
  handed = 0;
  begin(10, 10);
  assert_int_equal(hub_subscribe(&hub, BYTES("a"), &policies[NONE], &listener), 0);
  uint64_t last = publish("a", NONE);
  assert_int_equal(handed, 1);
  hub_unsubscribe(&hub, &listener);
  assert_true(is_live("a"));
  hub_end_turn(&hub);
  assert_false(is_live("a"));
  assert_true(is_complete("a", NONE, last));
  assert_false(is_complete("a", NONE, last - 1));
  end();
}

static void an_end_stays_with_the_mark(void **state) {
  (void)state;
  begin(10, 1);
  uint64_t last = publish_sized("a", NONE, 1, true);
  pass(UINT64_C(48) * 3600 * 1000);
  for (int i = 0; i < 3; i++) {
    assert_true(is_complete("a", NONE, last));
    assert_int_equal(store_ended(&store, BYTES("a")), last);
  }
  publish("b", NONE); /* pushes it out */
  assert_int_equal(store_ended(&store, BYTES("a")), 0);
  assert_false(is_complete("a", NONE, last - 1));
  end();
}

static void kinds_do_not_make_each_other_forget(void **state) {
  (void)state;
  enum { MARKS = 1000 };
  char name[16];
  begin(100, MARKS);
  for (unsigned n = 0; n < MARKS / 4; n++) {
    snprintf(name, sizeof name, "inbox:%u", n);
    publish(name, SECOND);
  }
  pass(1001);
  uint64_t since = position;
  for (unsigned n = 0; n < 20 * MARKS; n++) {
    snprintf(name, sizeof name, "cursor:%u", n);
    publish(name, NONE);
  }
  for (unsigned n = 0; n < MARKS / 4; n++) {
    snprintf(name, sizeof name, "inbox:%u", n);
    assert_true(is_complete(name, SECOND, n + 1));
    assert_false(is_complete(name, SECOND, n));
  }
  assert_true(is_complete("inbox:new", SECOND, 0));
  assert_true(is_complete("room", THREE, 0));
  assert_int_equal(store.floor_gaps, 0);
  /* Of the other kind only the newest are known; what may have been missed is told, and counted. */
  snprintf(name, sizeof name, "cursor:%u", 20 * MARKS - 1);
  assert_true(is_complete(name, NONE, position));
  assert_false(is_complete("cursor:0", NONE, since));
  assert_false(is_complete("cursor:new", NONE, since));
  assert_int_equal(store.floor_gaps, 2);
  assert_false(is_complete(name, NONE, position - 1));
  assert_int_equal(store.floor_gaps, 2); /* this one is known */
  end();
}

/* A floor is no mark: a channel that was made above it and forgotten again is as unknown as before,
 * and no more. */
static void a_floor_does_not_become_a_mark(void **state) {
  (void)state;
  begin(10, 1);
  uint64_t first = publish("a", NONE);
  publish("b", NONE);
  assert_int_equal(marks_floor(&store.marks, NONE), first);
  for (int i = 0; i < 3; i++) {
    assert_false(is_complete("c", NONE, first - 1));
    assert_true(is_complete("c", NONE, first));
  }
  assert_int_equal(store.floor_gaps, 3);
  assert_int_equal(store.marks.count, 1);
  assert_false(marks_get(&store.marks, BYTES("b"), NONE).is_floor);
  end();
}

static void a_hundred_thousand_channels(void **state) {
  (void)state;
  enum { COUNT = 100000 };
  char name[16];
  begin(COUNT, COUNT);
  for (unsigned n = 0; n < COUNT; n++) {
    snprintf(name, sizeof name, "c%u", n);
    publish(name, n % 2 ? SECOND : NONE);
  }
  assert_int_equal(store.channels.count, COUNT / 2);
  pass(1001);
  assert_int_equal(store.channels.count, 0);
  for (unsigned n = 0; n < COUNT; n++) {
    int kind = n % 2 ? SECOND : NONE;
    snprintf(name, sizeof name, "c%u", n);
    assert_true(is_complete(name, kind, n + 1));
    assert_false(is_complete(name, kind, n));
  }
  assert_true(is_complete("another", NONE, 0));
  assert_int_equal(store.floor_gaps, 0);
  end();
}

static void volatile_messages_do_not_count(void **state) {
  (void)state;
  struct subscription listener = {.channel = NULL};
  handed = 0;
  struct message *message = make("a", 1, false);
  begin(10, 10);
  uint64_t since = publish("elsewhere", NONE);
  assert_int_equal(hub_subscribe(&hub, BYTES("a"), &policies[NONE], &listener), 0);
  hub_publish(&hub, message, &policies[NONE]);
  hub_unsubscribe(&hub, &listener);
  hub_publish(&hub, message, &policies[NONE]);
  pass(1);
  assert_false(is_live("a"));
  assert_true(is_complete("a", NONE, since));
  assert_true(is_complete("a", NONE, 0));
  message_unref(message);
  end();
}

static void members_keep_a_channel(void **state) {
  (void)state;
  begin(10, 10);
  struct roster_batch *batch = roster_batch_new(BYTES("a"), 1, 0);
  struct blob *key = blob_new(BYTES("\"ann\""));
  roster_batch_add(batch, &(struct roster_change){.key = key, .connections = 1});
  batch->count = 1;
  assert_true(hub_update_roster(&hub, batch, &policies[NONE]));
  assert_true(is_complete("a", NONE, 0));
  pass(60000);
  assert_true(is_live("a"));
  roster_batch_unref(batch);
  batch = roster_batch_new(BYTES("a"), 1, 0);
  roster_batch_add(batch, &(struct roster_change){.key = key, .left = true});
  assert_true(hub_update_roster(&hub, batch, &policies[NONE]));
  assert_false(is_live("a"));
  roster_batch_unref(batch);
  blob_unref(key);
  end();
}

/* ---- Promises -------------------------------------------------------------------------------- */

/* What was promised is kept, regardless of what else is published, expires and lacks memory in
 * between. */
static bool promise(void *context) {
  (void)context;
  enum { COUNT = 40 };
  struct message *messages[COUNT];
  size_t count = 0;
  bool ok = true;
  begin(30, 100);
  for (unsigned n = 0; n < COUNT; n++) {
    char name[8];
    snprintf(name, sizeof name, "c%u", n % 20);
    messages[count] = make(name, 1, false);
    if (!messages[count]) continue;
    if (store_promise(&store, messages[count], &policies[THREE]) == 0) {
      count++;
    } else {
      ok = false;
      message_unref(messages[count]);
    }
  }
  store_sweep(&store, SIZE_MAX);
  uint64_t lost = store.lost;
  for (size_t i = 0; i < count; i++) {
    struct message *message = messages[i];
    struct stored *stored = message->promised;
    message->position = ++position;
    message->time_ms = now.wall_ms;
    hub_publish(&hub, message, &policies[THREE]);
    assert_ptr_equal(history_at(&stored->history, stored->history.count - 1), message);
    assert_ptr_equal(store_find(&store, message->parts.channel), stored);
    message_unref(message);
    hub_end_turn(&hub);
  }
  assert_int_equal(store.lost, lost);
  assert_int_equal(store.promised_count, 0);
  end();
  return ok;
}

static void what_is_promised_is_kept(void **state) {
  (void)state;
  assert_true(support_fail_each(promise, NULL) > 30);
}

static void what_cannot_be_kept_is_not_promised(void **state) {
  (void)state;
  begin(1, 100);
  struct message *first = make("a", 1, false), *second = make("b", 1, false), *third = make("b", 1, false);
  assert_int_equal(store_promise(&store, first, &policies[THREE]), 0);
  assert_int_equal(store_promise(&store, second, &policies[THREE]), MW_ELIMIT);
  assert_null(second->promised);
  assert_int_equal(store_promise(&store, third, &policies[NONE]), 0); /* there is nothing to keep */
  assert_int_equal(store.channels.count, 1);
  store_sweep(&store, SIZE_MAX);
  assert_int_equal(store.channels.count, 1);
  store_break_promise(&store, first); /* its queue was full: then the name is free */
  store_break_promise(&store, third);
  assert_int_equal(store.channels.count, 0);
  assert_int_equal(store_promise(&store, second, &policies[THREE]), 0);
  store_break_promise(&store, second);
  message_unref(first);
  message_unref(second);
  message_unref(third);
  end();
}

/* Messages of other threads are promised nothing: they must not take the places that were
 * promised. */
static void others_leave_promised_places_free(void **state) {
  (void)state;
  static const char *const names[] = {"a", "z"};
  struct message *promised[2];
  begin(100, 100);
  for (size_t i = 0; i < 2; i++) {
    promised[i] = make(names[i], 1, false);
    assert_int_equal(store_promise(&store, promised[i], &policies[SECOND]), 0);
  }
  /* the ring of "a" is full */
  for (int i = 0; i < 8; i++) publish("a", SECOND);
  for (char name[] = "b"; name[0] <= 'p'; name[0]++) publish(name, SECOND); /* and so is the heap */
  for (size_t i = 0; i < 2; i++) {
    memory_fail_after(1);
    promised[i]->position = ++position;
    promised[i]->time_ms = now.wall_ms;
    hub_publish(&hub, promised[i], &policies[SECOND]);
    memory_fail_after(0);
    const struct history *history = &store_find(&store, bytes_string(names[i]))->history;
    assert_int_equal(history->count, i == 0 ? 9 : 1);
    assert_ptr_equal(history_at(history, history->count - 1), promised[i]);
    message_unref(promised[i]);
  }
  end();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(a_quiet_channel_has_no_gap),
      TEST(without_history_what_was_missed_is_a_gap),
      TEST(what_expired_before_the_cursor_is_no_gap),
      TEST(what_limits_history_evicts_is_known_by_channel),
      TEST(what_a_history_cannot_hold_is_a_gap),
      TEST(a_channel_that_comes_and_goes),
      TEST(a_channel_without_history_is_gone_at_once),
      TEST(a_turn_list_outlives_its_subscribers),
      TEST(an_end_stays_with_the_mark),
      TEST(kinds_do_not_make_each_other_forget),
      TEST(a_floor_does_not_become_a_mark),
      TEST(a_hundred_thousand_channels),
      TEST(volatile_messages_do_not_count),
      TEST(members_keep_a_channel),
      TEST(what_is_promised_is_kept),
      TEST(others_leave_promised_places_free),
      TEST(what_cannot_be_kept_is_not_promised),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
