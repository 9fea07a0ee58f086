#include "hub/channel.h"

#include "base/memory.h"
#include "base/status.h"
#include "test/support.h"
#include "test/support/message.h"

static const struct channel_policy policy = {.kind = 7, .history = {.size = 2}};

static struct stored stored = {.policy = &policy, .name = {"room:1", 6}};

static void is_one_of_what_is_stored(void **state) {
  (void)state;
  struct channel *channel = channel_new(&stored);
  assert_bytes_string(channel->name, "room:1");
  assert_int_equal(channel->policy->kind, 7);
  assert_ptr_equal(channel->stored, &stored);
  channel_free(channel);
}

static void assert_consistent(const struct channel *channel, size_t count) {
  assert_int_equal(channel->subscription_count, count);
  assert_int_equal(object_live(OBJECT_SUBSCRIPTION), count);
  for (uint32_t i = 0; i < count; i++) {
    assert_int_equal(channel->subscriptions[i]->index, i);
    assert_ptr_equal(channel->subscriptions[i]->channel, channel);
  }
}

static void adds_and_removes_in_any_order(void **state) {
  (void)state;
  enum { COUNT = 500 };
  static struct subscription subscriptions[COUNT];
  struct channel *channel = channel_new(&stored);
  for (size_t stride = 1; stride < 20; stride += 6) {
    for (size_t i = 0; i < COUNT; i++) assert_int_equal(channel_add(channel, &subscriptions[i]), 0);
    assert_consistent(channel, COUNT);
    /* 1, 7, 13 and 19 have no divisor in common with 500, so every one is met once. */
    for (size_t i = 0; i < COUNT; i++) {
      struct subscription *subscription = &subscriptions[i * stride % COUNT];
      channel_remove(channel, subscription);
      assert_null(subscription->channel);
      if (i % 50 == 0) assert_consistent(channel, COUNT - 1 - i);
      assert_true(channel->subscription_capacity <= 16 || channel->subscription_capacity <= 8 * (COUNT - i));
    }
    assert_consistent(channel, 0);
    assert_null(channel->subscriptions); /* an empty channel holds no room */
  }
  channel_free(channel);
}

static void the_turn_list_keeps_its_messages(void **state) {
  (void)state;
  struct subscription subscription = {0};
  struct channel *channel = channel_new(&stored);
  channel_add(channel, &subscription);
  for (uint32_t round = 1; round <= 3; round++) {
    for (uint32_t i = 0; i < 100 * round; i++) {
      struct message *message = message_of(NULL, BYTES("a"), BYTES("e"), BYTES("1"));
      message->position = i;
      assert_int_equal(channel_turn_append(channel, message), 0);
      message_unref(message);
      assert_int_equal(channel->turn[i]->position, i);
    }
    channel_turn_clear(channel);
    assert_int_equal(channel->turn_count, 0);
    assert_int_equal(object_live(OBJECT_MESSAGE), 0);
    assert_true(channel->turn_capacity <= 64); /* a long turn leaves no large list behind */
  }
  channel_remove(channel, &subscription);
  channel_free(channel);
}

static bool use_channel(void *context) {
  (void)context;
  struct subscription subscriptions[40] = {{0}};
  bool ok = true;
  struct channel *channel = channel_new(&stored);
  if (!channel) return false;
  for (size_t i = 0; i < COUNT_OF(subscriptions); i++) {
    int status = channel_add(channel, &subscriptions[i]);
    assert_true(status == 0 ? subscriptions[i].channel == channel : status == MW_ENOMEM && !subscriptions[i].channel);
    ok = ok && status == 0;
  }
  struct message *message = message_of(NULL, BYTES("a"), BYTES("e"), BYTES("1"));
  for (size_t i = 0; message && i < 20; i++) {
    uint32_t count = channel->turn_count;
    int status = channel_turn_append(channel, message);
    assert_int_equal(channel->turn_count, status == 0 ? count + 1 : count);
    ok = ok && status == 0;
  }
  ok = ok && message;
  message_unref(message);
  channel_turn_clear(channel);
  for (size_t i = 0; i < COUNT_OF(subscriptions); i++) {
    if (subscriptions[i].channel) channel_remove(channel, &subscriptions[i]);
  }
  channel_free(channel);
  return ok;
}

static void stands_failing_memory(void **state) {
  (void)state;
  assert_true(support_fail_each(use_channel, NULL) > 8);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(is_one_of_what_is_stored),
      TEST(adds_and_removes_in_any_order),
      TEST(the_turn_list_keeps_its_messages),
      TEST(stands_failing_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
