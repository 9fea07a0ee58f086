#include "hub/channel.h"

#include <assert.h>

#include "base/array.h"
#include "base/memory.h"
#include "base/status.h"

/* A turn list with more room than this is freed at the end of the turn. */
enum { TURN_KEPT = 64 };

struct channel *channel_new(struct stored *stored) {
  struct channel *channel = memory_alloc(sizeof *channel);
  if (!channel) return NULL;
  *channel = (struct channel){.stored = stored, .policy = policy_ref(stored->policy), .name = stored->name};
  list_init(&channel->link);
  return channel;
}

void channel_free(struct channel *channel) {
  assert(channel->subscription_count == 0 && channel->turn_count == 0);
  list_remove(&channel->link);
  roster_free(channel->roster);
  policy_unref(channel->policy);
  memory_free(channel->subscriptions);
  memory_free(channel->turn);
  memory_free(channel);
}

int channel_add(struct channel *channel, struct subscription *subscription) {
  assert(!subscription->channel);
  struct subscription **grown = array_reserve(channel->subscriptions, sizeof *grown, &channel->subscription_capacity,
                                              (size_t)channel->subscription_count + 1, UINT32_MAX);
  if (!grown) return MW_ENOMEM;
  channel->subscriptions = grown;
  subscription->channel = channel;
  subscription->index = channel->subscription_count;
  channel->subscriptions[channel->subscription_count++] = subscription;
  object_count(OBJECT_SUBSCRIPTION, 1);
  return 0;
}

static void shrink(struct channel *channel) {
  uint32_t capacity = channel->subscription_capacity / 2;
  if (channel->subscription_count == 0) {
    memory_free(channel->subscriptions);
    channel->subscriptions = NULL;
    channel->subscription_capacity = 0;
  } else if (capacity >= 16 && channel->subscription_count < capacity / 2) {
    struct subscription **shrunk = memory_realloc(channel->subscriptions, capacity * sizeof *shrunk);
    if (!shrunk) return;
    channel->subscriptions = shrunk;
    channel->subscription_capacity = capacity;
  }
}

void channel_remove(struct channel *channel, struct subscription *subscription) {
  assert(subscription->channel == channel && channel->subscriptions[subscription->index] == subscription);
  struct subscription *last = channel->subscriptions[--channel->subscription_count];
  channel->subscriptions[subscription->index] = last;
  last->index = subscription->index;
  subscription->channel = NULL;
  object_count(OBJECT_SUBSCRIPTION, -1);
  shrink(channel);
}

int channel_turn_append(struct channel *channel, struct message *message) {
  struct message **grown =
      array_reserve(channel->turn, sizeof *grown, &channel->turn_capacity, (size_t)channel->turn_count + 1, UINT32_MAX);
  if (!grown) return MW_ENOMEM;
  channel->turn = grown;
  channel->turn[channel->turn_count++] = message_ref(message);
  return 0;
}

void channel_turn_clear(struct channel *channel) {
  for (uint32_t i = 0; i < channel->turn_count; i++) message_unref(channel->turn[i]);
  channel->turn_count = 0;
  if (channel->turn_capacity > TURN_KEPT || channel->subscription_count == 0) {
    memory_free(channel->turn);
    channel->turn = NULL;
    channel->turn_capacity = 0;
  }
}
