#include "hub/hub.h"

#include "base/memory.h"
#include "base/status.h"
#include "test/support.h"
#include "test/support/message.h"

/* A subscriber that writes down what it is handed: "5 7 lost ". */
struct listener {
  struct subscription subscription;
  char log[512];
};

static void on_deliver(struct subscription *subscription, struct message *message) {
  struct listener *listener = container_of(subscription, struct listener, subscription);
  struct channel *channel = subscription->channel;
  size_t len = strlen(listener->log);
  char *end = listener->log + len;
  assert_true(len < sizeof listener->log - 30);
  if (!message) {
    snprintf(end, sizeof listener->log - len, "lost ");
    return;
  }
  assert_ptr_equal(channel->turn[channel->turn_count - 1], message);
  if (message->position > 0) snprintf(end, sizeof listener->log - len, "%llu ", (unsigned long long)message->position);
  if (message->position == 0) snprintf(end, sizeof listener->log - len, "volatile ");
}

struct fixture {
  struct store store;
  struct hub hub;
  struct clock clock;
};

static const struct channel_policy keeps_three = {.history = {.size = 3}, .replay = 2};
static const struct channel_policy keeps_none = {.history = {.size = 0}};
static const struct channel_policy keeps_a_second = {.history = {.size = 100}, .history_ttl_ms = 1000};

static void begin(struct fixture *fixture, size_t channels_max) {
  clock_init(&fixture->clock);
  clock_advance(&fixture->clock, 1000000);
  struct store_bounds bounds = {.channels = channels_max, .history = UINT64_MAX, .marks = 1000};
  store_init(&fixture->store, &fixture->clock, &bounds);
  hub_init(&fixture->hub, &fixture->store, on_deliver);
}

static void end(struct fixture *fixture) {
  hub_deinit(&fixture->hub);
  store_deinit(&fixture->store);
}

static bool publish(struct fixture *fixture, const char *channel, const struct channel_policy *policy, uint64_t position) {
  struct message *message = message_of(NULL, bytes_string(channel), BYTES("e"), BYTES("1"));
  if (!message) return false;
  message->position = position;
  message->time_ms = fixture->clock.wall_ms;
  hub_publish(&fixture->hub, message, policy);
  message_unref(message);
  return true;
}

static int subscribe(struct fixture *fixture, struct listener *listener, const char *channel,
                     const struct channel_policy *policy) {
  *listener = (struct listener){.log = ""};
  return hub_subscribe(&fixture->hub, bytes_string(channel), policy, &listener->subscription);
}

static bool is_complete(struct fixture *fixture, struct listener *listener, uint64_t since) {
  return store_complete(&fixture->store, listener->subscription.channel->stored, since) == STORE_HAS_ALL;
}

static void hands_each_message_to_those_who_listen(void **state) {
  (void)state;
  struct fixture fixture;
  struct listener first, second, other;
  begin(&fixture, 10);
  assert_int_equal(subscribe(&fixture, &first, "a", &keeps_three), 0);
  publish(&fixture, "a", &keeps_three, 1);
  assert_int_equal(subscribe(&fixture, &second, "a", &keeps_three), 0);
  assert_int_equal(subscribe(&fixture, &other, "b", &keeps_none), 0);
  publish(&fixture, "a", &keeps_three, 2);
  publish(&fixture, "b", &keeps_none, 3);
  publish(&fixture, "a", &keeps_three, 0);
  hub_end_turn(&fixture.hub);
  hub_unsubscribe(&fixture.hub, &first.subscription);
  hub_unsubscribe(&fixture.hub, &first.subscription);
  publish(&fixture, "a", &keeps_three, 4);
  assert_string_equal(first.log, "1 2 volatile ");
  assert_string_equal(second.log, "2 volatile 4 ");
  assert_string_equal(other.log, "3 ");
  assert_int_equal(fixture.hub.position, 4);
  assert_int_equal(fixture.hub.delivered, 1 + 2 + 1 + 2 + 1);
  hub_unsubscribe(&fixture.hub, &second.subscription);
  hub_unsubscribe(&fixture.hub, &other.subscription);
  end(&fixture);
}

static void volatile_messages_leave_nothing_behind(void **state) {
  (void)state;
  struct fixture fixture;
  begin(&fixture, 10);
  publish(&fixture, "a", &keeps_three, 0);
  assert_null(hub_find(&fixture.hub, BYTES("a")));
  publish(&fixture, "a", &keeps_three, 1);
  publish(&fixture, "a", &keeps_three, 0);
  assert_int_equal(store_find(&fixture.store, BYTES("a"))->history.count, 1);
  end(&fixture);
}

static void tells_complete_from_gap(void **state) {
  (void)state;
  struct fixture fixture;
  struct listener listener;
  begin(&fixture, 10);
  for (uint64_t n = 1; n <= 5; n++) publish(&fixture, "a", &keeps_three, n * 10);
  subscribe(&fixture, &listener, "a", &keeps_three);
  struct channel *channel = listener.subscription.channel;
  assert_false(is_complete(&fixture, &listener, 0));
  assert_false(is_complete(&fixture, &listener, 19));
  /* saw the last that was evicted: 30, 40 and 50 are there */
  assert_true(is_complete(&fixture, &listener, 20));
  assert_true(is_complete(&fixture, &listener, 50));
  assert_int_equal(store_replay_from(&fixture.store, channel->stored, true, 20), 0);
  assert_int_equal(store_replay_from(&fixture.store, channel->stored, true, 39), 1);
  assert_int_equal(store_replay_from(&fixture.store, channel->stored, true, 50), 3);
  /* the newest two */
  assert_int_equal(store_replay_from(&fixture.store, channel->stored, false, 0), 1);
  hub_unsubscribe(&fixture.hub, &listener.subscription);
  end(&fixture);
}

static void without_history_only_what_was_not_missed_is_complete(void **state) {
  (void)state;
  struct fixture fixture;
  struct listener listener;
  begin(&fixture, 10);
  publish(&fixture, "a", &keeps_none, 7);
  subscribe(&fixture, &listener, "a", &keeps_none);
  assert_false(is_complete(&fixture, &listener, 6));
  assert_true(is_complete(&fixture, &listener, 7));
  hub_unsubscribe(&fixture.hub, &listener.subscription);
  end(&fixture);
}

static void what_is_too_old_is_a_gap(void **state) {
  (void)state;
  struct fixture fixture;
  struct listener listener;
  begin(&fixture, 10);
  publish(&fixture, "a", &keeps_a_second, 1);
  clock_advance(&fixture.clock, 600);
  publish(&fixture, "a", &keeps_a_second, 2);
  subscribe(&fixture, &listener, "a", &keeps_a_second);
  clock_advance(&fixture.clock, 400); /* the first is one second old, not older */
  assert_true(is_complete(&fixture, &listener, 0));
  clock_advance(&fixture.clock, 1);
  assert_false(is_complete(&fixture, &listener, 0));
  assert_true(is_complete(&fixture, &listener, 1));
  assert_int_equal(store_replay_from(&fixture.store, listener.subscription.channel->stored, true, 0), 0);
  assert_int_equal(listener.subscription.channel->stored->history.count, 1);
  hub_unsubscribe(&fixture.hub, &listener.subscription);
  end(&fixture);
}

static void a_swept_channel_leaves_its_mark(void **state) {
  (void)state;
  struct fixture fixture;
  struct listener listener;
  begin(&fixture, 10);
  publish(&fixture, "a", &keeps_none, 5);
  publish(&fixture, "b", &keeps_a_second, 8);
  store_sweep(&fixture.store, 100);
  assert_int_equal(fixture.store.channels.count, 1);
  clock_advance(&fixture.clock, 1001);
  store_sweep(&fixture.store, 100);
  assert_int_equal(fixture.store.channels.count, 0);
  assert_int_equal(object_live(OBJECT_CHANNEL), 0);
  subscribe(&fixture, &listener, "b", &keeps_a_second);
  assert_false(is_complete(&fixture, &listener, 7));
  assert_true(is_complete(&fixture, &listener, 8));
  hub_unsubscribe(&fixture.hub, &listener.subscription);
  subscribe(&fixture, &listener, "a", &keeps_none);
  assert_false(is_complete(&fixture, &listener, 4));
  /* what went to another channel was not missed here */
  assert_true(is_complete(&fixture, &listener, 5));
  hub_unsubscribe(&fixture.hub, &listener.subscription);
  end(&fixture);
}

static void the_sweep_keeps_what_is_used(void **state) {
  (void)state;
  struct fixture fixture;
  struct listener listener;
  begin(&fixture, 10);
  publish(&fixture, "kept", &keeps_three, 1);
  subscribe(&fixture, &listener, "listened to", &keeps_none);
  publish(&fixture, "listened to", &keeps_none, 2);
  clock_advance(&fixture.clock, 60000);
  store_sweep(&fixture.store, 100);
  assert_non_null(store_find(&fixture.store, BYTES("kept")));
  assert_non_null(hub_find(&fixture.hub, BYTES("listened to")));
  hub_unsubscribe(&fixture.hub, &listener.subscription);
  store_sweep(&fixture.store, 100);
  /* its turn list is still to be written */
  assert_non_null(hub_find(&fixture.hub, BYTES("listened to")));
  hub_end_turn(&fixture.hub);
  assert_null(hub_find(&fixture.hub, BYTES("listened to")));
  end(&fixture);
}

static void the_sweep_goes_round(void **state) {
  (void)state;
  struct fixture fixture;
  char name[8];
  begin(&fixture, 1000);
  for (unsigned n = 0; n < 100; n++) {
    snprintf(name, sizeof name, "c%u", n);
    publish(&fixture, name, n % 2 ? &keeps_three : &keeps_a_second, n + 1);
  }
  clock_advance(&fixture.clock, 60000);
  for (unsigned n = 0; n < 9; n++) store_sweep(&fixture.store, 10);
  assert_true(fixture.store.channels.count > 50);
  store_sweep(&fixture.store, 10);
  assert_int_equal(fixture.store.channels.count, 50);
  store_sweep(&fixture.store, 1000000);
  assert_int_equal(fixture.store.channels.count, 50);
  assert_int_equal(fixture.store.marks.count, 50);
  end(&fixture);
}

static void over_the_limit_of_channels_nothing_is_kept_and_that_is_told(void **state) {
  (void)state;
  struct fixture fixture;
  struct listener listener;
  begin(&fixture, 1);
  publish(&fixture, "a", &keeps_a_second, 1);
  assert_int_equal(subscribe(&fixture, &listener, "b", &keeps_three), MW_ELIMIT);
  assert_null(listener.subscription.channel);
  publish(&fixture, "b", &keeps_three, 2);
  assert_int_equal(fixture.store.lost, 1);
  clock_advance(&fixture.clock, 60000);
  store_sweep(&fixture.store, 100);
  assert_int_equal(subscribe(&fixture, &listener, "c", &keeps_three), 0);
  assert_true(is_complete(&fixture, &listener, 0)); /* it concerns that channel alone */
  hub_unsubscribe(&fixture.hub, &listener.subscription);
  assert_int_equal(subscribe(&fixture, &listener, "b", &keeps_three), 0);
  assert_false(is_complete(&fixture, &listener, 1));
  assert_true(is_complete(&fixture, &listener, 2));
  hub_unsubscribe(&fixture.hub, &listener.subscription);
  end(&fixture);
}

static const struct channel_policy keeps_all = {.history = {.size = 1000}};

/* What all histories hold, one by one. */
static uint64_t count_bytes(struct fixture *fixture, const char *const *names, size_t count) {
  uint64_t bytes = 0;
  for (size_t i = 0; i < count; i++) {
    const struct stored *stored = store_find(&fixture->store, bytes_string(names[i]));
    if (stored) bytes += history_weight(&stored->history, 0);
  }
  return bytes;
}

/* A message for which memory is out: each subscriber is told that something was lost, and it is
 * counted. */
static void what_is_lost_is_told_and_counted(void **state) {
  (void)state;
  struct fixture fixture;
  struct listener listener, other;
  begin(&fixture, 10);
  assert_int_equal(subscribe(&fixture, &listener, "a", &keeps_none), 0);
  assert_int_equal(subscribe(&fixture, &other, "a", &keeps_none), 0);
  struct message *message = message_of(NULL, BYTES("a"), BYTES("e"), BYTES("1"));
  message->position = 7;
  memory_fail_after(1);
  hub_publish(&fixture.hub, message, &keeps_none);
  memory_fail_after(0);
  assert_string_equal(listener.log, "lost ");
  assert_string_equal(other.log, "lost ");
  assert_int_equal(fixture.hub.lost, 1);
  assert_int_equal(fixture.hub.delivered, 0);
  message_unref(message);
  hub_unsubscribe(&fixture.hub, &listener.subscription);
  hub_unsubscribe(&fixture.hub, &other.subscription);
  end(&fixture);
}

static void the_oldest_of_all_goes_first(void **state) {
  (void)state;
  static const char *const names[] = {"a", "b", "c"};
  struct fixture fixture;
  begin(&fixture, 10);
  publish(&fixture, "a", &keeps_all, 1);
  uint64_t one = fixture.store.history_bytes;
  assert_true(one > 0);
  fixture.store.history_max = 6 * one;
  for (uint64_t n = 2; n <= 50; n++) {
    publish(&fixture, names[n * n % 3], &keeps_all, n);
    assert_int_equal(fixture.store.history_bytes, count_bytes(&fixture, names, 3));
    assert_int_equal(fixture.store.history_bytes, (n < 6 ? n : 6) * one);
    assert_int_equal(fixture.store.evicted, n < 6 ? 0 : n - 6);
    for (size_t i = 0; i < 3; i++) {
      const struct stored *stored = store_find(&fixture.store, bytes_string(names[i]));
      for (uint32_t k = 0; stored && k < stored->history.count; k++)
        assert_true(history_at(&stored->history, k)->position > (n < 6 ? 0 : n - 6));
    }
  }
  /* What was evicted is a gap for a client that reconnects. */
  struct listener listener;
  subscribe(&fixture, &listener, "a", &keeps_all);
  const struct history *history = &listener.subscription.channel->stored->history;
  assert_true(history->evicted > 0);
  assert_false(is_complete(&fixture, &listener, history->evicted - 1));
  assert_true(is_complete(&fixture, &listener, history->evicted));
  hub_unsubscribe(&fixture.hub, &listener.subscription);
  end(&fixture);
  assert_int_equal(fixture.store.history_bytes, 0);
}

static void one_that_is_too_heavy_for_all_is_not_kept(void **state) {
  (void)state;
  struct fixture fixture;
  begin(&fixture, 10);
  publish(&fixture, "a", &keeps_all, 1);
  fixture.store.history_max = fixture.store.history_bytes - 1;
  publish(&fixture, "b", &keeps_all, 2);
  assert_int_equal(fixture.store.history_bytes, 0);
  assert_int_equal(fixture.store.evicted, 2);
  assert_null(hub_find(&fixture.hub, BYTES("b")));
  assert_int_equal(marks_get(&fixture.store.marks, BYTES("b"), 0).position, 2);
  assert_null(oldest_top(&fixture.store.oldest));
  end(&fixture);
}

static void what_goes_otherwise_is_counted_as_well(void **state) {
  (void)state;
  static const char *const names[] = {"three", "second", "bytes"};
  static const struct channel_policy in_bytes = {.history = {.size = 100, .bytes = 1000}};
  static const struct channel_policy *const policies[] = {&keeps_three, &keeps_a_second, &in_bytes};
  struct fixture fixture;
  begin(&fixture, 10);
  for (uint64_t n = 1; n <= 60; n++) {
    publish(&fixture, names[n % 3], policies[n % 3], n);
    clock_advance(&fixture.clock, n % 7 * 50);
    assert_int_equal(fixture.store.history_bytes, count_bytes(&fixture, names, 3));
  }
  assert_true(store_find(&fixture.store, BYTES("bytes"))->history.count < 10);
  clock_advance(&fixture.clock, 2000);
  store_look(&fixture.store, BYTES("second"));
  assert_int_equal(store_find(&fixture.store, BYTES("second"))->history.count, 0);
  assert_int_equal(fixture.store.history_bytes, count_bytes(&fixture, names, 3));
  clock_advance(&fixture.clock, 60000);
  store_sweep(&fixture.store, 100);
  assert_null(store_look(&fixture.store, BYTES("second")));
  assert_int_equal(fixture.store.history_bytes, count_bytes(&fixture, names, 3));
  assert_int_equal(fixture.store.evicted, 0); /* none for the sake of all */
  end(&fixture);
  assert_int_equal(fixture.store.history_bytes, 0);
}

static void publish_final(struct fixture *fixture, const char *channel, const struct channel_policy *policy, uint64_t position) {
  struct message_parts parts = {.channel = bytes_string(channel), .event = BYTES("e"), .data = BYTES("1"), .is_final = true};
  struct message *message = message_new(NULL, &parts);
  message->position = position;
  hub_publish(&fixture->hub, message, policy);
  message_unref(message);
}

static void an_end_is_remembered_until_something_follows(void **state) {
  (void)state;
  struct fixture fixture;
  struct listener listener;
  begin(&fixture, 10);
  publish(&fixture, "a", &keeps_three, 1);
  assert_int_equal(store_ended(&fixture.store, BYTES("a")), 0);
  publish_final(&fixture, "a", &keeps_three, 2);
  publish_final(&fixture, "b", &keeps_none, 3);
  assert_int_equal(store_ended(&fixture.store, BYTES("a")), 2);
  /* the last message is one like others */
  assert_int_equal(store_find(&fixture.store, BYTES("a"))->history.count, 2);
  assert_null(hub_find(&fixture.hub, BYTES("b")));
  assert_int_equal(store_ended(&fixture.store, BYTES("b")), 3);
  publish(&fixture, "a", &keeps_three, 0); /* volatile: nothing begins by that */
  publish(&fixture, "b", &keeps_none, 0);
  assert_int_equal(store_ended(&fixture.store, BYTES("a")), 2);
  assert_int_equal(store_ended(&fixture.store, BYTES("b")), 3);
  subscribe(&fixture, &listener, "b", &keeps_none);
  assert_int_equal(listener.subscription.channel->stored->ended, 3);
  hub_unsubscribe(&fixture.hub, &listener.subscription);
  publish(&fixture, "a", &keeps_three, 4);
  publish(&fixture, "b", &keeps_none, 5);
  assert_int_equal(store_ended(&fixture.store, BYTES("a")), 0);
  assert_int_equal(store_ended(&fixture.store, BYTES("b")), 0);
  subscribe(&fixture, &listener, "b", &keeps_none);
  assert_int_equal(listener.subscription.channel->stored->ended, 0);
  hub_unsubscribe(&fixture.hub, &listener.subscription);
  end(&fixture);
}

static void an_end_outlives_its_history(void **state) {
  (void)state;
  struct fixture fixture;
  begin(&fixture, 10);
  publish_final(&fixture, "second", &keeps_a_second, 2);
  publish_final(&fixture, "three", &keeps_three, 3);
  clock_advance(&fixture.clock, UINT64_C(24) * 3600 * 1000);
  store_sweep(&fixture.store, 100);
  assert_null(hub_find(&fixture.hub, BYTES("second")));
  assert_int_equal(store_ended(&fixture.store, BYTES("second")), 2);
  assert_int_equal(store_find(&fixture.store, BYTES("three"))->ended, 3);
  end(&fixture);
}

/* Three channels, two subscribers, twenty messages. A subscriber that misses one must have been
 * told: "lost" while it listened, a gap when it comes back. */
static bool live(void *context) {
  (void)context;
  static const char *const names[] = {"a", "b", "c"};
  struct fixture fixture;
  struct listener live_ones[3], returning;
  uint64_t published[3] = {0};
  bool ok = true;
  begin(&fixture, 10);
  for (size_t i = 0; i < 3; i++) ok = subscribe(&fixture, &live_ones[i], names[i], &keeps_three) == 0 && ok;
  for (uint64_t n = 1; n <= 21; n++) {
    if (publish(&fixture, names[n % 3], &keeps_three, n)) published[n % 3]++;
    if (n % 5 == 0) hub_end_turn(&fixture.hub);
  }
  for (size_t i = 0; i < 3; i++) {
    uint64_t heard = 0;
    for (const char *at = live_ones[i].log; *at; at++) heard += *at == ' ';
    assert_true(!live_ones[i].subscription.channel || heard == published[i]);
    hub_unsubscribe(&fixture.hub, &live_ones[i].subscription);
    ok = ok && published[i] == 7 && !strstr(live_ones[i].log, "lost");
    if (subscribe(&fixture, &returning, names[i], &keeps_three) < 0) {
      ok = false;
      continue;
    }
    /* Of each channel a message came after 12: three at the least, and all of them or a gap. */
    const struct history *history = &returning.subscription.channel->stored->history;
    uint32_t from = history_seek(history, 12);
    if (is_complete(&fixture, &returning, 12)) assert_true(history->count - from >= published[i] - 4);
    hub_unsubscribe(&fixture.hub, &returning.subscription);
  }
  ok = ok && fixture.hub.lost == 0 && fixture.store.lost == 0;
  end(&fixture);
  return ok;
}

static void stands_failing_memory(void **state) {
  (void)state;
  assert_true(support_fail_each(live, NULL) > 30);
}

/* A client that reads a history has it encoded, in a form that was not there when it was
 * weighed. */
static void counts_what_is_encoded_later(void **state) {
  (void)state;
  enum { COUNT = 10, LEN = 1000 };
  struct fixture fixture;
  begin(&fixture, 10);
  for (uint64_t n = 1; n <= COUNT; n++) publish(&fixture, n % 2 ? "a" : "b", &keeps_all, n);
  uint64_t before = store_history_bytes(&fixture.store);
  for (uint32_t n = 0; n < COUNT; n++) {
    struct stored *stored = store_find(&fixture.store, n % 2 ? BYTES("b") : BYTES("a"));
    struct blob *blob = blob_new(bytes_of(NULL, LEN));
    memset(blob->data, 'x', LEN);
    add_form(history_at(&stored->history, n / 2), 1, blob);
  }
  uint64_t after = store_history_bytes(&fixture.store);
  assert_true(after >= before + COUNT * LEN);
  hub_end_turn(&fixture.hub);
  assert_int_equal(fixture.store.evicted, 0);
  /* Half of it is too much: the oldest go when the turn has ended, with their forms. */
  fixture.store.history_max = after / 2;
  hub_end_turn(&fixture.hub);
  assert_int_equal(fixture.store.evicted, COUNT / 2);
  assert_int_equal(store_history_bytes(&fixture.store), after / 2);
  assert_int_equal(history_at(&store_find(&fixture.store, BYTES("b"))->history, 0)->position, 6);
  fixture.store.history_max = 0;
  hub_end_turn(&fixture.hub);
  assert_int_equal(store_history_bytes(&fixture.store), 0);
  end(&fixture);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(counts_what_is_encoded_later),
      TEST(hands_each_message_to_those_who_listen),
      TEST(volatile_messages_leave_nothing_behind),
      TEST(tells_complete_from_gap),
      TEST(without_history_only_what_was_not_missed_is_complete),
      TEST(what_is_too_old_is_a_gap),
      TEST(a_swept_channel_leaves_its_mark),
      TEST(the_sweep_keeps_what_is_used),
      TEST(the_sweep_goes_round),
      TEST(over_the_limit_of_channels_nothing_is_kept_and_that_is_told),
      TEST(what_is_lost_is_told_and_counted),
      TEST(the_oldest_of_all_goes_first),
      TEST(one_that_is_too_heavy_for_all_is_not_kept),
      TEST(what_goes_otherwise_is_counted_as_well),
      TEST(an_end_is_remembered_until_something_follows),
      TEST(an_end_outlives_its_history),
      TEST(stands_failing_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
