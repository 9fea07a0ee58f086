/* The store of a node of a cluster: a cache of what the broker keeps. */
#include "base/status.h"
#include "hub/hub.h"
#include "test/support.h"
#include "test/support/message.h"

static const struct channel_policy keeps_five = {.history = {.size = 5}}, keeps_none = {.kind = 1},
                                   keeps_a_second = {.history = {.size = 100}, .history_ttl_ms = 1000},
                                   keeps_few_bytes = {.history = {.size = 100, .bytes = 1000}};

static struct clock clock_now;
static struct store store;

static void begin(uint64_t history_max) {
  clock_init(&clock_now);
  clock_advance(&clock_now, 1000000);
  store_init(&store, &clock_now,
             &(struct store_bounds){.channels = 10, .history = history_max, .marks = 10, .position = 5, .is_cache = true});
}

static void end(void) { store_deinit(&store); }

/* A message with a reference. */
static struct message *message_at(const struct channel_policy *policy, uint64_t position, uint64_t before) {
  struct message *message = message_of(policy, BYTES("a"), BYTES("e"), BYTES("1"));
  assert_non_null(message);
  message->position = position;
  message->before = before;
  message->time_ms = clock_now.wall_ms;
  return message;
}

static void put(const struct channel_policy *policy, uint64_t position, uint64_t before) {
  struct message *message = message_at(policy, position, before);
  store_put(&store, NULL, message, policy);
  assert_int_equal(message->before, before);
  message_unref(message);
}

/* Hands in a page of `count` messages, of the positions first, first + 10, and so on. */
static int restore(const struct channel_policy *policy, uint64_t first, size_t count, struct store_page page) {
  struct message *messages[16];
  for (size_t i = 0; i < count; i++) messages[i] = message_at(policy, first + i * 10, 0);
  page.messages = messages;
  page.count = count;
  int status = store_restore(&store, BYTES("a"), policy, &page);
  for (size_t i = 0; i < count; i++) message_unref(messages[i]);
  return status;
}

static enum store_has has(uint64_t since) {
  struct stored *stored = store_find(&store, BYTES("a"));
  assert_non_null(stored);
  return store_complete(&store, stored, since);
}

static size_t kept(void) {
  const struct stored *stored = store_find(&store, BYTES("a"));
  return stored ? stored->history.count : 0;
}

/* The newest page of a channel: 30, 40, and 50. Those up to 10 are nowhere. */
static void join(void) {
  struct store_page page = {.after = 20, .until = UINT64_MAX, .gone = 10};
  assert_int_equal(restore(&keeps_five, 30, 3, page), 0);
}

static void tells_what_is_not_here_from_what_is_nowhere(void **state) {
  (void)state;
  begin(UINT64_MAX);
  join();
  assert_int_equal(has(20), STORE_HAS_ALL);
  assert_int_equal(has(19), STORE_MUST_FETCH);
  assert_int_equal(has(10), STORE_MUST_FETCH);
  assert_int_equal(has(9), STORE_HAS_GAP);
  assert_int_equal(store_gone(&store, store_find(&store, BYTES("a"))), 10);
  /* The policy bounds what is kept anywhere. */
  for (uint64_t position = 60; position <= 80; position += 10) put(&keeps_five, position, position - 10);
  assert_int_equal(kept(), 5);
  assert_int_equal(has(30), STORE_HAS_ALL);
  assert_int_equal(has(29), STORE_HAS_GAP);
  end();
}

static void a_limit_of_this_node_is_no_gap(void **state) {
  (void)state;
  begin(UINT64_MAX);
  join();
  store_set_bounds(&store, &(struct store_bounds){.channels = 10, .marks = 10});
  store_bound(&store);
  assert_int_equal(kept(), 0);
  assert_int_equal(has(50), STORE_HAS_ALL);
  assert_int_equal(has(49), STORE_MUST_FETCH);
  assert_int_equal(has(10), STORE_MUST_FETCH);
  assert_int_equal(has(9), STORE_HAS_GAP);
  end();
}

static void what_has_expired_is_nowhere(void **state) {
  (void)state;
  begin(UINT64_MAX);
  struct store_page page = {.after = 20, .until = UINT64_MAX, .gone = 10};
  assert_int_equal(restore(&keeps_a_second, 30, 2, page), 0);
  assert_int_equal(has(20), STORE_HAS_ALL);
  clock_advance(&clock_now, 2000);
  assert_int_equal(has(20), STORE_HAS_GAP);
  assert_int_equal(has(40), STORE_HAS_ALL);
  end();
}

static void pages_join_what_is_kept(void **state) {
  (void)state;
  begin(UINT64_MAX);
  join();
  /* One that is not next to it, as when messages were evicted while it was fetched. */
  assert_int_equal(restore(&keeps_five, 12, 1, (struct store_page){.after = 11, .until = 19, .gone = 11}), 0);
  assert_int_equal(kept(), 3);
  assert_int_equal(has(12), STORE_MUST_FETCH);
  assert_int_equal(has(10), STORE_HAS_GAP);
  /* One that is, and has some of it. */
  assert_int_equal(restore(&keeps_five, 20, 2, (struct store_page){.after = 15, .until = 30, .gone = 11}), 0);
  assert_int_equal(kept(), 4);
  assert_int_equal(has(15), STORE_HAS_ALL);
  assert_int_equal(has(14), STORE_MUST_FETCH);
  const struct history *history = &store_find(&store, BYTES("a"))->history;
  for (uint32_t i = 0; i < 4; i++) assert_int_equal(history_at(history, i)->position, 20 + 10 * i);
  assert_int_equal(history_at(history, 0)->before, 15);
  /* One with more than the policy keeps. */
  assert_int_equal(restore(&keeps_five, 5, 2, (struct store_page){.after = 2, .until = 15, .gone = 1}), 0);
  assert_int_equal(kept(), 5);
  assert_int_equal(has(5), STORE_HAS_ALL);
  assert_int_equal(has(4), STORE_HAS_GAP);
  assert_int_equal(store.history_bytes, history_weight(history, 0));
  end();
}

static void a_newer_page_replaces_what_it_does_not_join(void **state) {
  (void)state;
  begin(UINT64_MAX);
  join();
  assert_int_equal(restore(&keeps_five, 80, 2, (struct store_page){.after = 70, .until = UINT64_MAX, .gone = 60}), 0);
  assert_int_equal(kept(), 2);
  assert_int_equal(has(70), STORE_HAS_ALL);
  assert_int_equal(has(60), STORE_MUST_FETCH);
  assert_int_equal(has(50), STORE_HAS_GAP);
  /* An overlapping one adds what is new. */
  assert_int_equal(restore(&keeps_five, 80, 3, (struct store_page){.after = 75, .until = UINT64_MAX, .gone = 70}), 0);
  assert_int_equal(kept(), 3);
  assert_int_equal(has(70), STORE_HAS_ALL);
  end();
}

static void bytes_bound_a_page(void **state) {
  (void)state;
  begin(UINT64_MAX);
  assert_int_equal(restore(&keeps_few_bytes, 100, 10, (struct store_page){.after = 50, .until = UINT64_MAX}), 0);
  size_t count = kept();
  assert_in_range(count, 1, 9);
  assert_int_equal(has(190 - 10 * count), STORE_HAS_ALL);
  assert_int_equal(has(189 - 10 * count), STORE_HAS_GAP);
  end();
}

static void what_was_forgotten_does_not_answer(void **state) {
  (void)state;
  begin(UINT64_MAX);
  join();
  put(&keeps_five, 60, 50);
  store_forget(&store, BYTES("a"));
  assert_null(store_find(&store, BYTES("a")));
  assert_int_equal(store.history_bytes, 0);
  struct stored *stored;
  assert_int_equal(store_acquire(&store, BYTES("a"), &keeps_five, &stored), 0);
  assert_int_equal(has(60), STORE_HAS_ALL); /* the newest of all */
  assert_int_equal(has(59), STORE_MUST_FETCH);
  assert_int_equal(has(0), STORE_MUST_FETCH); /* nothing is known */
  store.position = 70;                        /* which was published elsewhere */
  assert_int_equal(has(60), STORE_MUST_FETCH);
  /* A page that was asked for earlier ends before what was published since. */
  assert_int_equal(restore(&keeps_five, 50, 2, (struct store_page){.after = 40, .until = 60, .gone = 40}), 0);
  assert_int_equal(has(60), STORE_MUST_FETCH);
  assert_int_equal(restore(&keeps_five, 65, 1, (struct store_page){.after = 60, .until = UINT64_MAX, .gone = 30}), 0);
  assert_int_equal(has(60), STORE_HAS_ALL);
  assert_int_equal(has(30), STORE_MUST_FETCH);
  assert_int_equal(has(29), STORE_HAS_GAP);
  /* While it has a subscriber, too: then the mark of what is gone stays. */
  store_forget(&store, BYTES("a"));
  assert_int_equal(has(69), STORE_MUST_FETCH);
  assert_int_equal(has(29), STORE_HAS_GAP);
  store_release(&store, stored);
  assert_int_equal(store.channels.count, 0);
  assert_int_equal(store.marks.count, 0);
  store_forget(&store, BYTES("a"));
  end();
}

static void a_message_that_is_put_begins_what_is_known(void **state) {
  (void)state;
  begin(UINT64_MAX);
  put(&keeps_five, 30, 20);
  assert_int_equal(has(20), STORE_HAS_ALL);
  assert_int_equal(has(19), STORE_MUST_FETCH);
  put(&keeps_five, 40, 30);
  assert_int_equal(has(20), STORE_HAS_ALL);
  end();
}

static void an_empty_channel_that_is_followed_stays(void **state) {
  (void)state;
  begin(UINT64_MAX);
  assert_int_equal(restore(&keeps_none, 0, 0, (struct store_page){.after = 30, .until = UINT64_MAX, .gone = 30, .ended = 30}), 0);
  store.position = 100;
  store_sweep(&store, 10);
  assert_int_equal(has(30), STORE_HAS_ALL);
  assert_int_equal(has(29), STORE_HAS_GAP);
  assert_int_equal(store_ended(&store, BYTES("a")), 30);
  put(&keeps_none, 110, 30);
  assert_int_equal(has(110), STORE_HAS_ALL);
  assert_int_equal(has(109), STORE_HAS_GAP);
  assert_int_equal(store_ended(&store, BYTES("a")), 0);
  end();
}

static void what_was_lost_is_not_fetched(void **state) {
  (void)state;
  begin(UINT64_MAX);
  store_lose(&store, BYTES("a"), 100);
  join();
  store_lose(&store, BYTES("a"), 40);
  assert_int_equal(kept(), 1);
  assert_int_equal(has(40), STORE_HAS_ALL);
  assert_int_equal(has(39), STORE_HAS_GAP);
  store_lose(&store, BYTES("a"), 60);
  assert_int_equal(kept(), 0);
  assert_int_equal(has(59), STORE_HAS_GAP);
  end();
}

static void an_older_page_does_not_tell_the_end(void **state) {
  (void)state;
  begin(UINT64_MAX);
  join();
  assert_int_equal(restore(&keeps_five, 15, 1, (struct store_page){.after = 10, .until = 20, .gone = 10, .ended = 50}), 0);
  assert_int_equal(store_ended(&store, BYTES("a")), 0);
  assert_int_equal(restore(&keeps_five, 60, 1, (struct store_page){.after = 50, .until = UINT64_MAX, .gone = 10, .ended = 60}),
                   0);
  assert_int_equal(store_ended(&store, BYTES("a")), 60);
  end();
}

/* The oldest messages of all are evicted first, but not those that were fetched just now. */
static void what_was_fetched_is_not_evicted_first(void **state) {
  (void)state;
  static const struct channel_policy many = {.history = {.size = 100}};
  begin(UINT64_MAX);
  assert_int_equal(restore(&many, 1000, 4, (struct store_page){.after = 990, .until = UINT64_MAX, .gone = 10}), 0);
  struct message *other = message_of(&many, BYTES("b"), BYTES("e"), BYTES("1"));
  other->position = 1100;
  other->before = 20;
  store_put(&store, NULL, other, &many);
  message_unref(other);
  store.position = 1105;
  assert_int_equal(restore(&many, 920, 8, (struct store_page){.after = 910, .until = 990, .gone = 10}), 0);
  assert_int_equal(kept(), 12);
  store_set_bounds(&store, &(struct store_bounds){.channels = 10, .history = store.history_bytes - 1, .marks = 10});
  store_bound(&store);
  assert_int_equal(store_find(&store, BYTES("b"))->history.count, 0);
  assert_int_equal(kept(), 12);
  put(&many, 1300, 1030);
  put(&many, 1310, 1300);
  assert_in_range(kept(), 12, 14);
  end();
}

static void a_new_epoch_has_nothing(void **state) {
  (void)state;
  struct stored *stored;
  begin(UINT64_MAX);
  join();
  assert_int_equal(store_acquire(&store, BYTES("a"), &keeps_five, &stored), 0);
  store_restart(&store, 200);
  assert_int_equal(has(200), STORE_HAS_ALL);
  assert_int_equal(has(199), STORE_HAS_GAP);
  store.position = 210;
  assert_int_equal(has(200), STORE_MUST_FETCH); /* until it is followed again */
  store_release(&store, stored);
  end();
}

static bool fill(void *context) {
  (void)context;
  struct message *messages[3];
  struct store_page page = {.messages = messages, .after = 20, .until = UINT64_MAX, .gone = 10}, older = page;
  begin(UINT64_MAX);
  for (size_t i = 0; i < 3; i++) {
    messages[i] = message_of(&keeps_five, BYTES("a"), BYTES("e"), BYTES("1"));
    if (messages[i]) messages[i]->position = 30 + 10 * i;
    if (messages[i]) page.count++;
  }
  older.until = 40;
  bool ok = page.count == 3;
  page.count = 1;
  page.messages = &messages[2];
  page.after = 40;
  ok = ok && store_restore(&store, BYTES("a"), &keeps_five, &page) == 0;
  older.count = 2;
  ok = ok && store_restore(&store, BYTES("a"), &keeps_five, &older) == 0;
  struct stored *stored = store_find(&store, BYTES("a"));
  for (uint64_t since = 0; stored && since < 60; since++) {
    enum store_has found = store_complete(&store, stored, since);
    if (found == STORE_HAS_GAP) assert_true(since < 10);
    if (found == STORE_HAS_ALL) assert_true(since >= 20 && history_seek(&stored->history, since) + (since < 50) <= kept());
  }
  ok = ok && kept() == 3;
  for (size_t i = 0; i < 3; i++) message_unref(messages[i]);
  end();
  return ok;
}

static void stands_failing_memory(void **state) {
  (void)state;
  assert_true(support_fail_each(fill, NULL) > 4);
}

/* ---- At random --------------------------------------------------------------------------------- */

/* What the broker has: each message, and how many of the first are gone there. */
struct broker_side {
  uint64_t positions[512];
  size_t count, gone;
};

static struct message *message_number(const struct broker_side *all, size_t i) {
  return message_at(&keeps_five, all->positions[i], i > 0 ? all->positions[i - 1] : 1);
}

/* Hands in the messages from one number on, up to another. */
static void restore_range(const struct broker_side *all, size_t from, size_t to, uint64_t until) {
  struct message *messages[512];
  for (size_t i = from; i < to; i++) messages[i - from] = message_number(all, i);
  struct store_page page = {.messages = messages,
                            .count = to - from,
                            .after = from > 0 ? all->positions[from - 1] : 1,
                            .until = until,
                            .gone = all->gone > 0 ? all->positions[all->gone - 1] : 1};
  assert_int_equal(store_restore(&store, BYTES("a"), &keeps_five, &page), 0);
  for (size_t i = from; i < to; i++) message_unref(messages[i - from]);
}

static void publish(struct broker_side *all, bool is_followed, unsigned step) {
  all->positions[all->count] = store.position + 1 + step;
  all->count++;
  if (all->count > keeps_five.history.size) all->gone = all->count - keeps_five.history.size;
  struct message *message = message_number(all, all->count - 1);
  if (is_followed) store_put(&store, NULL, message, &keeps_five);
  store.position = message->position;
  message_unref(message);
}

/* Every answer is right: what is told to be here is, and a gap is one. */
static void check(const struct broker_side *all) {
  struct stored *stored = store_find(&store, BYTES("a"));
  for (uint64_t since = 1; stored && since <= store.position; since++) {
    size_t missed = 0, gone = 0;
    for (size_t i = 0; i < all->count; i++) {
      missed += all->positions[i] > since;
      gone += i < all->gone && all->positions[i] > since;
    }
    enum store_has found = store_complete(&store, stored, since);
    if (found == STORE_HAS_GAP) assert_true(gone > 0);
    if (found == STORE_HAS_ALL) assert_int_equal(stored->history.count - history_seek(&stored->history, since), missed);
  }
  assert_int_equal(store.history_bytes, stored ? history_weight(&stored->history, 0) : 0);
}

static void is_never_wrong(void **state) {
  (void)state;
  for (unsigned seed = 1; seed <= 40; seed++) {
    struct broker_side all = {.count = 0};
    bool is_followed = false;
    unsigned random = seed;
    begin(UINT64_MAX);
    for (size_t step = 0; step < 200; step++) {
      random = random * 1103515245 + 12345;
      unsigned choice = random >> 16 & 7, number = random >> 20 & 7;
      struct stored *stored = store_find(&store, BYTES("a"));
      size_t from = all.gone + (all.count > all.gone ? number % (all.count - all.gone) : 0);
      if (choice < 3) {
        publish(&all, is_followed, number);
      } else if (choice == 3) {
        restore_range(&all, from, all.count, UINT64_MAX);
        is_followed = true;
      } else if (choice == 4 && all.count > from) {
        restore_range(&all, from, all.count, all.positions[all.count - 1]);
      } else if (choice == 5 && stored) {
        size_t to = from;
        while (to < all.count && all.positions[to] <= stored->history.evicted) to++;
        if (to > from) restore_range(&all, from, to, all.positions[to - 1]);
      } else if (choice == 6 && stored && stored->history.count > 0) {
        store.history_max = store.history_bytes - 1;
        store_bound(&store);
        store.history_max = UINT64_MAX;
      } else if (choice == 7 && number == 0) {
        store_forget(&store, BYTES("a"));
        is_followed = false;
      }
      check(&all);
    }
    end();
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(tells_what_is_not_here_from_what_is_nowhere),
      TEST(a_limit_of_this_node_is_no_gap),
      TEST(what_has_expired_is_nowhere),
      TEST(pages_join_what_is_kept),
      TEST(a_newer_page_replaces_what_it_does_not_join),
      TEST(bytes_bound_a_page),
      TEST(what_was_forgotten_does_not_answer),
      TEST(a_message_that_is_put_begins_what_is_known),
      TEST(an_empty_channel_that_is_followed_stays),
      TEST(what_was_lost_is_not_fetched),
      TEST(an_older_page_does_not_tell_the_end),
      TEST(what_was_fetched_is_not_evicted_first),
      TEST(a_new_epoch_has_nothing),
      TEST(stands_failing_memory),
      TEST(is_never_wrong),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
