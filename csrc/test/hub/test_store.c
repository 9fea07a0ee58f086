/* One store and several hubs that have come differently far, as with several workers. */
#include "hub/store.h"

#include "base/memory.h"
#include "base/status.h"
#include "hub/hub.h"
#include "test/support.h"
#include "test/support/message.h"

static const struct channel_policy keeps_three = {.history = {.size = 3}}, keeps_none = {.kind = 1},
                                   keeps_a_second = {.history = {.size = 100}, .history_ttl_ms = 1000};

static struct clock clock_now;
static struct store store;
static struct hub ahead, behind;
static size_t handed_count;

static void on_deliver(struct subscription *subscription, struct message *message) {
  (void)subscription;
  handed_count += message != NULL;
}

static void begin(const struct store_bounds *bounds) {
  clock_init(&clock_now);
  clock_advance(&clock_now, 1000000);
  handed_count = 0;
  store_init(&store, &clock_now, bounds);
  hub_init(&ahead, &store, on_deliver);
  hub_init(&behind, &store, on_deliver);
}

static const struct store_bounds roomy = {.channels = 10, .history = UINT64_MAX, .marks = 10};

static void end(void) {
  hub_deinit(&ahead);
  hub_deinit(&behind);
  store_deinit(&store);
}

/* The message, with a reference. */
static struct message *put(const char *channel, const struct channel_policy *policy, uint64_t position, bool is_final) {
  struct message_parts parts = {.channel = bytes_string(channel), .event = BYTES("e"), .data = BYTES("1"), .is_final = is_final};
  struct message *message = message_new(policy, &parts);
  message->position = position;
  message->time_ms = clock_now.wall_ms;
  store_put(&store, NULL, message, policy);
  return message;
}

static uint64_t put_and_ask_before(const char *channel, const struct channel_policy *policy, uint64_t position) {
  struct message *message = put(channel, policy, position, false);
  uint64_t before = message->before;
  message_unref(message);
  return before;
}

static void hubs_share_what_is_kept(void **state) {
  (void)state;
  struct subscription first = {0}, second = {0};
  begin(&roomy);
  assert_int_equal(hub_subscribe(&ahead, BYTES("a"), &keeps_three, &first), 0);
  assert_int_equal(hub_subscribe(&behind, BYTES("a"), &keeps_three, &second), 0);
  const struct stored *stored = store_find(&store, BYTES("a"));
  assert_ptr_equal(first.channel->stored, stored);
  assert_ptr_equal(second.channel->stored, stored);
  struct message *messages[] = {put("a", &keeps_three, 10, false), put("a", &keeps_three, 20, true)};
  for (size_t i = 0; i < 2; i++) hub_publish(&ahead, messages[i], &keeps_three);
  hub_publish(&behind, messages[0], &keeps_three);
  assert_int_equal(handed_count, 3);
  assert_int_equal(stored->history.count, 2); /* once each */
  assert_int_equal(history_end(&stored->history, ahead.position), 2);
  assert_int_equal(history_end(&stored->history, behind.position), 1);
  assert_int_equal(hub_ended(&ahead, first.channel), 20);
  assert_int_equal(hub_ended(&behind, second.channel), 0); /* which has not seen it */
  hub_publish(&behind, messages[1], &keeps_three);
  assert_int_equal(hub_ended(&behind, second.channel), 20);
  assert_int_equal(handed_count, 4);
  hub_unsubscribe(&ahead, &first);
  hub_unsubscribe(&behind, &second);
  for (size_t i = 0; i < 2; i++) message_unref(messages[i]);
  end();
}

static void a_channel_stays_while_one_hub_has_it(void **state) {
  (void)state;
  struct subscription first = {0}, second = {0};
  begin(&(struct store_bounds){.channels = 1, .history = UINT64_MAX, .marks = 10});
  assert_int_equal(hub_subscribe(&ahead, BYTES("a"), &keeps_none, &first), 0);
  assert_int_equal(hub_subscribe(&behind, BYTES("a"), &keeps_none, &second), 0);
  message_unref(put("a", &keeps_none, 5, false));
  hub_unsubscribe(&ahead, &first);
  store_sweep(&store, 10);
  assert_int_equal(store.channels.count, 1);
  assert_int_equal(hub_subscribe(&ahead, BYTES("b"), &keeps_none, &first), MW_ELIMIT); /* the limit is for all */
  hub_unsubscribe(&behind, &second);
  assert_int_equal(store.channels.count, 0);
  assert_int_equal(marks_get(&store.marks, BYTES("a"), 1).position, 5);
  end();
}

static void each_message_names_the_one_before(void **state) {
  (void)state;
  begin(&roomy);
  assert_int_equal(put_and_ask_before("a", &keeps_three, 10), 0);
  assert_int_equal(put_and_ask_before("b", &keeps_three, 20), 0);
  assert_int_equal(put_and_ask_before("a", &keeps_three, 30), 10);
  for (uint64_t n = 4; n < 9; n++) assert_int_equal(put_and_ask_before("a", &keeps_three, n * 10), n * 10 - 10);
  assert_int_equal(put_and_ask_before("b", &keeps_three, 90), 20);
  /* Of a channel of which nothing but its mark is left */
  assert_int_equal(put_and_ask_before("c", &keeps_none, 100), 0);
  assert_int_equal(put_and_ask_before("c", &keeps_none, 110), 100);
  end();
}

static void where_the_mark_was_dropped_the_floor_stands_before(void **state) {
  (void)state;
  begin(&(struct store_bounds){.channels = 10, .history = UINT64_MAX, .marks = 1});
  assert_int_equal(put_and_ask_before("a", &keeps_none, 10), 0);
  assert_int_equal(put_and_ask_before("b", &keeps_none, 20), 0);
  assert_int_equal(put_and_ask_before("a", &keeps_none, 30), 10);
  assert_int_equal(put_and_ask_before("c", &keeps_none, 40), 20);
  end();
}

/* A hub that has received everything up to 20, while the store has evicted 30. */
static void it_may_be_ahead_of_a_hub(void **state) {
  (void)state;
  begin(&(struct store_bounds){.channels = 10, .history = UINT64_MAX, .marks = 10});
  struct stored *stored;
  assert_int_equal(store_acquire(&store, BYTES("a"), &keeps_three, &stored), 0);
  put_and_ask_before("a", &keeps_three, 10);
  for (uint64_t position = 30; position <= 60; position += 10) put_and_ask_before("a", &keeps_three, position);
  assert_true(store_is_ahead(&store, stored, 10, 20));
  assert_true(store_is_ahead(&store, stored, 10, 29));
  assert_false(store_is_ahead(&store, stored, 20, 20)); /* nothing is missing before the hub's position */
  assert_false(store_is_ahead(&store, stored, 10, 30)); /* 30 is missing */
  assert_false(store_is_ahead(&store, stored, 30, 40));
  store_release(&store, stored);
  end();
}

static void what_was_before_the_beginning_is_not_kept(void **state) {
  (void)state;
  begin(&(struct store_bounds){.channels = 10, .history = UINT64_MAX, .marks = 10, .position = 1000});
  struct stored *stored;
  assert_int_equal(ahead.position, 1000);
  assert_int_equal(store_acquire(&store, BYTES("a"), &keeps_three, &stored), 0);
  assert_int_equal(store_complete(&store, stored, 999), STORE_HAS_GAP);
  assert_int_equal(store_complete(&store, stored, 1000), STORE_HAS_ALL);
  assert_int_equal(put_and_ask_before("a", &keeps_three, 1001), 1000);
  store_release(&store, stored);
  end();
}

static void messages_do_not_get_younger_when_the_clock_is_set_back(void **state) {
  (void)state;
  begin(&roomy);
  uint64_t newest = clock_now.wall_ms + 5000;
  message_unref(put("a", &keeps_a_second, 1, false));
  message_unref(put("b", &keeps_none, newest << 11, false)); /* published by a clock that was ahead */
  assert_int_equal(store_look(&store, BYTES("a"))->history.count, 0);
  end();
}

static bool acquire(void *context) {
  (void)context;
  struct stored *stored;
  struct subscription subscription = {0};
  begin(&roomy);
  bool ok = store_acquire(&store, BYTES("a"), &keeps_three, &stored) == 0;
  if (ok) store_release(&store, stored);
  bool subscribed = hub_subscribe(&ahead, BYTES("b"), &keeps_three, &subscription) == 0;
  hub_unsubscribe(&ahead, &subscription);
  assert_int_equal(store.channels.count, 0);
  end();
  return ok && subscribed;
}

static void stands_failing_memory(void **state) {
  (void)state;
  assert_true(support_fail_each(acquire, NULL) > 4);
}

static void renews_policies_and_keeps_their_owner(void **state) {
  (void)state;
  static struct policy_owner old = {.number = 1}, new = {.number = 2};
  const struct channel_policy before = {.owner = &old, .history = {.size = 3}}, after = {.owner = &new, .history = {.size = 1}};
  struct subscription subscription = {0};
  atomic_init(&old.refs, 1);
  atomic_init(&new.refs, 1);
  begin(&roomy);
  for (uint64_t position = 1; position <= 3; position++) message_unref(put("a", &before, position, false));
  assert_int_equal(hub_subscribe(&ahead, BYTES("a"), &before, &subscription), 0);
  assert_ptr_equal(subscription.channel->policy, &before);
  struct message *message = put("a", &after, 4, false);
  assert_int_equal(store_find(&store, BYTES("a"))->history.count, 1);
  ahead.position = 3;
  hub_publish(&ahead, message, message->policy);
  message_unref(message);
  hub_end_turn(&ahead);
  assert_ptr_equal(subscription.channel->policy, &after);
  assert_int_equal(atomic_load(&old.refs), 1);
  message_unref(put("a", &before, 5, false)); /* late: of the earlier configuration */
  assert_ptr_equal(store_find(&store, BYTES("a"))->policy, &after);
  hub_unsubscribe(&ahead, &subscription);
  end();
  assert_int_equal(atomic_load(&old.refs), 1);
  assert_int_equal(atomic_load(&new.refs), 1);
}

static void a_kind_has_a_limit_of_its_own(void **state) {
  (void)state;
  static struct policy_owner old = {.number = 1}, new = {.number = 2};
  const struct channel_policy two = {.owner = &old, .kind = 3, .channels = 2, .history = {.size = 1}},
                              other = {.owner = &old, .kind = 700, .channels = 2},
                              moved = {.owner = &new, .kind = 1, .channels = 2, .history = {.size = 1}};
  struct stored *a, *b, *c, *d;
  atomic_init(&old.refs, 1);
  atomic_init(&new.refs, 1);
  begin(&roomy);
  assert_int_equal(store_acquire(&store, BYTES("a"), &two, &a), 0);
  assert_int_equal(store_acquire(&store, BYTES("b"), &two, &b), 0);
  assert_int_equal(store_acquire(&store, BYTES("c"), &two, &c), MW_ELIMIT);
  assert_int_equal(store.refused_of_kind, 1);
  assert_int_equal(store.refused, 0);
  assert_int_equal(store_acquire(&store, BYTES("a"), &two, &a), 0); /* it is live */
  assert_int_equal(store_acquire(&store, BYTES("c"), &other, &c), 0);
  store_release(&store, a);
  store_release(&store, a);
  assert_int_equal(store_acquire(&store, BYTES("d"), &two, &d), 0);
  /* A newer configuration, which numbers its kinds otherwise. */
  assert_int_equal(store_acquire(&store, BYTES("b"), &moved, &b), 0);
  assert_int_equal(store_acquire(&store, BYTES("a"), &moved, &a), 0);
  struct stored *e;
  assert_int_equal(store_acquire(&store, BYTES("e"), &moved, &e), MW_ELIMIT);
  store_release(&store, a);
  store_release(&store, b);
  store_release(&store, b);
  store_release(&store, c);
  store_release(&store, d);
  for (uint32_t kind = 0; kind < store.kind_capacity; kind++) assert_int_equal(store.kind_counts[kind], 0);
  end();
  assert_int_equal(atomic_load(&old.refs), 1);
  assert_int_equal(atomic_load(&new.refs), 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(hubs_share_what_is_kept),
      TEST(a_channel_stays_while_one_hub_has_it),
      TEST(each_message_names_the_one_before),
      TEST(where_the_mark_was_dropped_the_floor_stands_before),
      TEST(it_may_be_ahead_of_a_hub),
      TEST(what_was_before_the_beginning_is_not_kept),
      TEST(messages_do_not_get_younger_when_the_clock_is_set_back),
      TEST(renews_policies_and_keeps_their_owner),
      TEST(a_kind_has_a_limit_of_its_own),
      TEST(stands_failing_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
