/* The hub against a model that forgets nothing: bytes become subscribers that come, go and return with the last position they saw,
 * messages of any size and last ones, ends of turns, sweeps, time and failing allocations, and room for histories that comes and goes.
 * Whoever misses a message, or gets one twice, must have been told: by a gap when it returned, or by being cut off. Of all that is kept the
 * oldest goes first, each byte is counted, and a channel has ended if its newest message was its last. */
#include <string.h>

#include "base/memory.h"
#include "fuzz/fuzz.h"
#include "hub/hub.h"

enum { CHANNELS = 6, SUBSCRIBERS = 6, LOG_MAX = 4096, CHANNELS_MAX = 5, SIZE_MAX_OF_DATA = 4000 };

static const struct channel_policy policies[CHANNELS] = {
    {.kind = 0, .history = {.size = 0}},
    {.kind = 1, .history = {.size = 1}, .replay = 1},
    {.kind = 2, .history = {.size = 3}, .history_ttl_ms = 2000, .replay = 2},
    {.kind = 3, .history = {.size = 9}, .replay = 20},
    {.kind = 4, .history = {.size = 100, .bytes = 3000}, .replay = 5},
    {.kind = 5, .history = {.size = 100}, .replay = 1},
};

/* All that was published to one channel and has a position. */
struct record {
  uint64_t positions[LOG_MAX];
  size_t count;
  bool has_ended; /* the newest was final */
};

struct subscriber {
  struct subscription subscription;
  size_t channel;      /* the one it listens to, or did */
  uint64_t seen;       /* everything up to here was received, or its loss was told; 0: it was never there */
  bool was_there, cut; /* it has a position to return with; it was told that a message is lost */
  uint32_t turn_start, in_turn;
};

struct world {
  struct hub hub;
  struct clock clock;
  uint64_t position;
  struct record records[CHANNELS];
  struct subscriber subscribers[SUBSCRIBERS];
};

static struct world world;

static struct bytes name_of(size_t channel) {
  static const char names[] = "abcdef";
  return bytes_of(names + channel, 1);
}

/* The first in the record after `position`; count if there is none. */
static size_t find_after(const struct record *record, uint64_t position) {
  size_t i = record->count;
  while (i > 0 && record->positions[i - 1] > position) i--;
  return i;
}

static void on_deliver(struct subscription *subscription, struct message *message) {
  struct subscriber *subscriber = subscription->owner;
  const struct channel *channel = subscription->channel;
  if (!message) {
    subscriber->cut = true;
    return;
  }
  must(channel->turn_count > 0 && channel->turn[channel->turn_count - 1] == message);
  if (subscriber->in_turn++ == 0) subscriber->turn_start = channel->turn_count - 1;
  must(channel->turn_count - subscriber->turn_start == subscriber->in_turn);
  if (subscriber->cut || message->position == 0) return;
  const struct record *record = &world.records[subscriber->channel];
  size_t next = find_after(record, subscriber->seen);
  must(next < record->count && record->positions[next] == message->position);
  subscriber->seen = message->position;
}

static void leave(struct subscriber *subscriber) {
  hub_unsubscribe(&world.hub, &subscriber->subscription);
  subscriber->in_turn = 0;
  subscriber->cut = false;
}

/* What was announced as lost ends the stream, as a session does. */
static void cut_off(void) {
  for (size_t i = 0; i < SUBSCRIBERS; i++) {
    if (world.subscribers[i].cut) leave(&world.subscribers[i]);
  }
}

/* What is replayed must be the end of what was published, without a hole; after a complete return also without a beginning missing. */
static void replay(struct subscriber *subscriber, bool returns) {
  struct channel *channel = subscriber->subscription.channel;
  const struct record *record = &world.records[subscriber->channel];
  uint64_t since = returns ? subscriber->seen : 0;
  bool complete = returns && hub_complete(&world.hub, channel, since);
  uint32_t from = hub_replay_from(&world.hub, channel, returns, since);
  uint32_t count = channel->history.count - from;
  size_t missed = record->count - find_after(record, since);
  must(from <= channel->history.count);
  if (returns) must(count <= missed);
  if (complete) must(count == missed);
  if (returns && !complete) must(count < missed || since < world.hub.floor || since < channel->history.evicted);
  if (!returns) must(count == channel->history.count || count == channel->policy.replay);
  for (uint32_t i = 0; i < count; i++) {
    const struct message *message = history_at(&channel->history, from + i);
    must(message->position == record->positions[record->count - count + i]);
  }
  subscriber->seen = world.position;
}

static void come(struct subscriber *subscriber, size_t channel, bool returns) {
  if (subscriber->subscription.channel) return;
  returns = returns && subscriber->was_there;
  if (!returns) subscriber->channel = channel;
  subscriber->subscription.owner = subscriber;
  if (hub_subscribe(&world.hub, name_of(subscriber->channel), &policies[subscriber->channel], &subscriber->subscription) < 0)
    return;
  replay(subscriber, returns);
  subscriber->was_there = true;
}

static void publish(size_t channel, bool is_volatile, bool is_final, size_t size) {
  static const char text[SIZE_MAX_OF_DATA] = "";
  struct record *record = &world.records[channel];
  if (record->count == LOG_MAX) return;
  struct message_parts parts = {
      .channel = name_of(channel), .event = BYTES("e"), .data = bytes_of(text, size), .is_final = is_final && !is_volatile};
  struct message *message = message_new(policies[channel].kind, &parts);
  if (!message) return;
  if (!is_volatile) {
    message->position = record->positions[record->count++] = ++world.position;
    record->has_ended = is_final;
  }
  message->time_ms = world.clock.now_ms;
  hub_publish(&world.hub, message, &policies[channel]);
  message_unref(message);
  cut_off();
}

static void end_turn(void) {
  for (size_t i = 0; i < SUBSCRIBERS; i++) world.subscribers[i].in_turn = 0;
  hub_end_turn(&world.hub);
}

/* Publishing lets go of as few as it may, and of the oldest first: the model does the same with what was kept before. */
static void publish_bounded(size_t channel, bool is_volatile, bool is_final, size_t size) {
  uint64_t evicted = world.hub.evicted, oldest_kept = UINT64_MAX, newest_lost = 0;
  uint64_t marks[CHANNELS] = {0};
  for (size_t i = 0; i < CHANNELS; i++) {
    const struct channel *kept = hub_find(&world.hub, name_of(i));
    marks[i] = kept ? kept->history.evicted : UINT64_MAX;
  }
  publish(channel, is_volatile, is_final, size);
  if (world.hub.evicted == evicted) return;
  for (size_t i = 0; i < CHANNELS; i++) {
    const struct channel *kept = hub_find(&world.hub, name_of(i));
    if (!kept) continue;
    if (i != channel && kept->history.evicted != marks[i] && kept->history.evicted > newest_lost)
      newest_lost = kept->history.evicted;
    if (kept->history.count > 0 && history_at(&kept->history, 0)->position < oldest_kept)
      oldest_kept = history_at(&kept->history, 0)->position;
  }
  must(newest_lost < oldest_kept);
}

static void check(void) {
  size_t subscriptions = 0;
  uint64_t bytes = 0;
  must(world.hub.channels.count <= CHANNELS_MAX && world.hub.position == world.position);
  for (size_t i = 0; i < CHANNELS; i++) {
    const struct channel *channel = hub_find(&world.hub, name_of(i));
    if (!channel) continue;
    must(channel->history.count <= policies[i].history.size);
    if (policies[i].history.bytes > 0) must(history_weight(&channel->history, 0) <= policies[i].history.bytes);
    bytes += history_weight(&channel->history, 0);
    if (channel->ended > 0) {
      must(world.records[i].has_ended && world.records[i].positions[world.records[i].count - 1] == channel->ended);
    } else {
      /* Unless it was swept, or never there, since. */
      must(!world.records[i].has_ended || channel->history.count == 0);
    }
    subscriptions += channel->subscription_count;
  }
  must(bytes == world.hub.history_bytes && bytes <= world.hub.history_max);
  for (size_t i = 0; i < SUBSCRIBERS; i++) {
    const struct subscriber *subscriber = &world.subscribers[i];
    if (!subscriber->subscription.channel) continue;
    /* Whoever listens has everything, at any time. */
    const struct record *record = &world.records[subscriber->channel];
    must(find_after(record, subscriber->seen) == record->count);
    subscriptions--;
  }
  must(subscriptions == 0);
}

static void operate(uint8_t what, uint8_t which) {
  struct subscriber *subscriber = &world.subscribers[which % SUBSCRIBERS];
  size_t size = (size_t)(what / 16) * (what / 16) * 17;
  switch (what % 13) {
    case 0: come(subscriber, which / SUBSCRIBERS % CHANNELS, false); break;
    case 1: come(subscriber, 0, true); break;
    case 2: leave(subscriber); break;
    case 3:
    case 4: publish_bounded(which % CHANNELS, false, false, size); break;
    case 5: publish_bounded(which % CHANNELS, true, false, size); break;
    case 10: publish_bounded(which % CHANNELS, false, true, size); break;
    case 11: clock_advance(&world.clock, (uint64_t)which * 20000); break;
    case 12:
      world.hub.history_max = (uint64_t)which * 100;
      if (world.hub.history_max < world.hub.history_bytes) world.hub.history_max = world.hub.history_bytes;
      break;
    case 6: end_turn(); break;
    case 7: clock_advance(&world.clock, (uint64_t)which * 50); break;
    case 8: hub_sweep(&world.hub, which % 8); break;
    case 9: memory_fail_after(which % 8); break;
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  memset(&world, 0, sizeof world);
  clock_init(&world.clock);
  clock_advance(&world.clock, 1000000);
  hub_init(&world.hub, &world.clock, CHANNELS_MAX, 12000, on_deliver);
  for (size_t i = 0; i + 1 < size; i += 2) {
    operate(data[i], data[i + 1]);
    check();
  }
  memory_fail_after(0);
  for (size_t i = 0; i < SUBSCRIBERS; i++) leave(&world.subscribers[i]);
  end_turn();
  hub_deinit(&world.hub);
  must(memory_live() == 0 && object_live(OBJECT_MESSAGE) == 0 && object_live(OBJECT_SUBSCRIPTION) == 0);
  return 0;
}
