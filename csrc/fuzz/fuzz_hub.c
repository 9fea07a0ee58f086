/* Compares the hub with a model that never forgets anything. Bytes become subscribers that come,
 * leave, and resume from the last position they saw or from any other; messages of any size, and
 * final ones; messages that were promised a place and come later; ends of turns, sweeps, time,
 * failing allocations, and a changing limit of all histories.
 *
 * A subscriber that misses a message, or receives one twice, must have been notified: by a gap when
 * it resumed, or by being disconnected. One that missed nothing must not receive a gap, unless
 * marks were dropped. The oldest messages of all are evicted first, each byte is counted, and a
 * channel has ended if its newest message was final. */
#include <string.h>

#include "base/memory.h"
#include "fuzz/fuzz.h"
#include "hub/hub.h"

enum { KINDS = 6, CHANNELS = 12, SUBSCRIBERS = 6, LOG_MAX = 1000, CHANNELS_MAX = 8, SIZE_MAX_OF_DATA = 4000, POSTED_MAX = 8 };

/* The policy of the first channel of each kind. The other channels are of the first kind, which has
 * no history. */
static const struct channel_policy policies[KINDS] = {
    {.kind = 0, .history = {.size = 0}},
    {.kind = 1, .history = {.size = 1}, .replay = 1},
    {.kind = 2, .history = {.size = 3}, .history_ttl_ms = 2000, .replay = 2},
    {.kind = 3, .history = {.size = 9}, .replay = 20},
    {.kind = 4, .history = {.size = 100, .bytes = 3000}, .replay = 5},
    {.kind = 5, .history = {.size = 100}, .replay = 1},
};

static const struct channel_policy *policy_of(size_t channel) { return &policies[channel < KINDS ? channel : 0]; }

/* All messages with a position that were published to one channel. */
struct record {
  uint64_t positions[LOG_MAX];
  size_t count;
  bool has_ended; /* the newest one is final */
};

struct subscriber {
  struct subscription subscription;
  size_t channel; /* its current or last channel */
  /* it received everything up to here, or was notified of the loss; 0: it never subscribed */
  uint64_t seen;
  /* it has a position to resume from; it was notified that a message is lost */
  bool was_there, cut;
  uint32_t turn_start, in_turn;
};

struct world {
  struct store store;
  struct hub hub;
  struct clock clock;
  uint64_t position;
  struct record records[CHANNELS];
  struct subscriber subscribers[SUBSCRIBERS];
  struct message *posted[POSTED_MAX]; /* each was promised a place, and is not published yet */
  size_t posted_to[POSTED_MAX], posted_count;
  bool memory_failed;
};

static struct world world;

static struct bytes name_of(size_t channel) {
  static const char names[] = "abcdefghijkl";
  return bytes_of(names + channel, 1);
}

/* Returns the index of the first message of the record after `position`, or count. */
static size_t find_after(const struct record *record, uint64_t position) {
  size_t i = record->count;
  while (i > 0 && record->positions[i - 1] > position) i--;
  return i;
}

static void on_deliver(struct subscription *subscription, struct message *message) {
  struct subscriber *subscriber = container_of(subscription, struct subscriber, subscription);
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

/* A loss that was announced ends the subscription, as a session does. */
static void cut_off(void) {
  for (size_t i = 0; i < SUBSCRIBERS; i++) {
    if (world.subscribers[i].cut) leave(&world.subscribers[i]);
  }
}

/* A channel without a mark can be of this kind only if there was no room for the mark, or an
 * allocation failed. */
static bool forgets(size_t channel) {
  return world.memory_failed || world.store.marks.max < KINDS ||
         (policy_of(channel)->kind == 0 && world.store.marks.max < CHANNELS);
}

/* Returns true if a client that resumes from `since` is told that it has missed nothing. That must
 * be correct, as far as it is known. */
static bool ask(size_t channel, struct stored *live, uint64_t since) {
  const struct record *record = &world.records[channel];
  uint64_t floor = marks_floor(&world.store.marks, policy_of(channel)->kind), floor_gaps = world.store.floor_gaps;
  size_t missed = record->count - find_after(record, since);
  bool complete = store_complete(&world.store, live, since) == STORE_HAS_ALL;
  uint32_t kept = live->history.count - history_seek(&live->history, since);
  must(kept <= missed);
  must(floor == 0 || forgets(channel));
  if (complete) must(kept == missed);
  if (!complete && kept == missed) must(since < floor && world.store.floor_gaps == floor_gaps + 1);
  return complete;
}

/* Resumes on a channel from an arbitrary position. */
static void probe(size_t channel, uint64_t since) {
  struct subscription subscription = {.channel = NULL};
  if (hub_subscribe(&world.hub, name_of(channel), policy_of(channel), &subscription) < 0) return;
  ask(channel, subscription.channel->stored, since);
  hub_unsubscribe(&world.hub, &subscription);
}

/* A replay must be the end of what was published, without a hole. After a complete resume, the
 * beginning must not be missing either. */
static void replay(struct subscriber *subscriber, bool returns) {
  struct stored *stored = subscriber->subscription.channel->stored;
  const struct record *record = &world.records[subscriber->channel];
  uint64_t since = returns ? subscriber->seen : 0;
  bool complete = returns && ask(subscriber->channel, stored, since);
  uint32_t from = store_replay_from(&world.store, stored, returns, since);
  uint32_t count = stored->history.count - from;
  must(from <= stored->history.count);
  if (complete) must(count == record->count - find_after(record, since));
  if (!returns) must(count == stored->history.count || count == stored->policy->replay);
  for (uint32_t i = 0; i < count; i++) {
    const struct message *message = history_at(&stored->history, from + i);
    must(message->position == record->positions[record->count - count + i]);
  }
  subscriber->seen = world.position;
}

static void come(struct subscriber *subscriber, size_t channel, bool returns) {
  if (subscriber->subscription.channel) return;
  returns = returns && subscriber->was_there;
  if (!returns) subscriber->channel = channel;
  if (hub_subscribe(&world.hub, name_of(subscriber->channel), policy_of(subscriber->channel), &subscriber->subscription) < 0)
    return;
  replay(subscriber, returns);
  subscriber->was_there = true;
}

static struct message *make(size_t channel, bool is_final, size_t size) {
  static const char text[SIZE_MAX_OF_DATA] = "";
  struct message_parts parts = {
      .channel = name_of(channel), .event = BYTES("e"), .data = bytes_of(text, size), .is_final = is_final};
  return message_new(policy_of(channel), &parts);
}

static void come_in(struct message *message, size_t channel, bool is_volatile) {
  struct record *record = &world.records[channel];
  if (!is_volatile) {
    message->position = record->positions[record->count++] = ++world.position;
    record->has_ended = message->parts.is_final;
  }
  message->time_ms = world.clock.wall_ms;
  hub_publish(&world.hub, message, policy_of(channel));
}

static void publish(size_t channel, bool is_volatile, bool is_final, size_t size) {
  if (world.records[channel].count == LOG_MAX) return;
  struct message *message = make(channel, is_final && !is_volatile, size);
  if (!message) return;
  come_in(message, channel, is_volatile);
  message_unref(message);
  cut_off();
}

/* Promises a place to a message that comes later, or is refused. */
static void post(size_t channel, size_t size) {
  if (world.posted_count == POSTED_MAX) return;
  struct message *message = make(channel, false, size);
  if (!message) return;
  if (store_promise(&world.store, message, policy_of(channel)) < 0) {
    message_unref(message);
    return;
  }
  world.posted_to[world.posted_count] = channel;
  world.posted[world.posted_count++] = message;
}

/* Each message is kept, except those that exceed the limit of their history, or of all. */
static void drain(bool breaks) {
  for (size_t i = 0; i < world.posted_count; i++) {
    struct message *message = world.posted[i];
    size_t channel = world.posted_to[i];
    const struct history_bounds *bounds = &policy_of(channel)->history;
    uint64_t evicted = world.store.evicted, weight = message_weight(message) + sizeof(struct history_entry);
    must(!message->promised == (bounds->size == 0));
    if (breaks || world.records[channel].count == LOG_MAX) {
      store_break_promise(&world.store, message);
    } else {
      come_in(message, channel, false);
      const struct stored *live = store_find(&world.store, name_of(channel));
      if (bounds->size > 0 && (bounds->bytes == 0 || weight <= bounds->bytes) && world.store.evicted == evicted)
        must(live && live->history.count > 0 && history_at(&live->history, live->history.count - 1) == message);
    }
    message_unref(message);
  }
  world.posted_count = 0;
  must(world.store.promised_count == 0);
  cut_off();
}

static void end_turn(void) {
  for (size_t i = 0; i < SUBSCRIBERS; i++) world.subscribers[i].in_turn = 0;
  hub_end_turn(&world.hub);
}

/* Publishing evicts as few messages as possible, the oldest first. The model does the same with the
 * messages that were kept before. */
static void publish_bounded(size_t channel, bool is_volatile, bool is_final, size_t size) {
  uint64_t evicted = world.store.evicted, oldest_kept = UINT64_MAX, newest_lost = 0;
  uint64_t marks[CHANNELS] = {0};
  for (size_t i = 0; i < CHANNELS; i++) {
    const struct stored *kept = store_find(&world.store, name_of(i));
    marks[i] = kept ? kept->history.evicted : UINT64_MAX;
  }
  publish(channel, is_volatile, is_final, size);
  if (world.store.evicted == evicted) return;
  for (size_t i = 0; i < CHANNELS; i++) {
    const struct stored *kept = store_find(&world.store, name_of(i));
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
  must(world.store.channels.count <= CHANNELS_MAX && world.hub.position == world.position);
  must(world.store.marks.count <= world.store.marks.max);
  for (size_t i = 0; i < CHANNELS; i++) {
    const struct channel *channel = hub_find(&world.hub, name_of(i));
    const struct record *record = &world.records[i];
    uint64_t ended = store_ended(&world.store, name_of(i)), last = record->count > 0 ? record->positions[record->count - 1] : 0;
    must(ended == (record->has_ended ? last : 0) || (ended == 0 && forgets(i)));
    const struct stored *stored = store_find(&world.store, name_of(i));
    must(!stored || stored->users == (channel != NULL));
    if (channel) must(channel->stored == stored && (channel->subscription_count > 0 || channel->turn_count > 0));
    if (channel) subscriptions += channel->subscription_count;
    if (!stored) continue;
    const struct history_bounds *bounds = &policy_of(i)->history;
    must(stored->history.count <= bounds->size);
    if (bounds->size == 0) must(channel != NULL);
    if (bounds->bytes > 0) must(history_weight(&stored->history, 0) <= bounds->bytes);
    bytes += history_weight(&stored->history, 0);
  }
  must(bytes == world.store.history_bytes && bytes <= world.store.history_max);
  for (size_t i = 0; i < SUBSCRIBERS; i++) {
    const struct subscriber *subscriber = &world.subscribers[i];
    if (!subscriber->subscription.channel) continue;
    /* A subscriber has everything, at any time. */
    const struct record *record = &world.records[subscriber->channel];
    must(find_after(record, subscriber->seen) == record->count);
    subscriptions--;
  }
  must(subscriptions == 0);
}

static void operate(uint8_t what, uint8_t which) {
  struct subscriber *subscriber = &world.subscribers[which % SUBSCRIBERS];
  size_t size = (size_t)(what / 16) * (what / 16) * 17;
  switch (what % 16) {
    case 0: come(subscriber, which / SUBSCRIBERS % CHANNELS, false); break;
    case 1: come(subscriber, 0, true); break;
    case 2: leave(subscriber); break;
    case 3:
    case 4: publish_bounded(which % CHANNELS, false, false, size); break;
    case 5: publish_bounded(which % CHANNELS, true, false, size); break;
    case 10: publish_bounded(which % CHANNELS, false, true, size); break;
    case 11: clock_advance(&world.clock, (uint64_t)which * 20000); break;
    case 12:
      world.store.history_max = (uint64_t)which * 100;
      if (world.store.history_max < world.store.history_bytes) world.store.history_max = world.store.history_bytes;
      break;
    case 6: end_turn(); break;
    case 7: clock_advance(&world.clock, (uint64_t)which * 50); break;
    case 8: store_sweep(&world.store, which % 8); break;
    case 9:
      memory_fail_after(which % 8);
      world.memory_failed = true;
      break;
    case 13:
      probe(which % CHANNELS, what & 0x80 ? world.position * which / 255 : world.position - which % 16 % (world.position + 1));
      break;
    case 14: post(which % CHANNELS, size); break;
    case 15: drain(what >= 0xf0); break;
  }
}

/* Checks every channel from every position at which something was missed, or not. */
static void probe_all(void) {
  memory_fail_after(0);
  drain(false);
  for (size_t channel = 0; channel < CHANNELS; channel++) {
    const struct record *record = &world.records[channel];
    probe(channel, 0);
    probe(channel, world.position);
    for (size_t i = record->count > 20 ? record->count - 20 : 0; i < record->count; i++) {
      probe(channel, record->positions[i]);
      probe(channel, record->positions[i] - 1);
    }
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const size_t marks[] = {1000, CHANNELS, KINDS, KINDS + 1, 3, 1, 2, 0};
  memset(&world, 0, sizeof world);
  clock_init(&world.clock);
  clock_advance(&world.clock, 1000000);
  struct store_bounds bounds = {.channels = CHANNELS_MAX, .history = 12000, .marks = marks[size > 0 ? data[0] % 8 : 0]};
  store_init(&world.store, &world.clock, &bounds);
  hub_init(&world.hub, &world.store, on_deliver);
  for (size_t i = 1; i + 1 < size; i += 2) {
    operate(data[i], data[i + 1]);
    check();
  }
  probe_all();
  for (size_t i = 0; i < SUBSCRIBERS; i++) leave(&world.subscribers[i]);
  end_turn();
  hub_deinit(&world.hub);
  store_deinit(&world.store);
  must(memory_live() == 0 && object_live(OBJECT_MESSAGE) == 0 && object_live(OBJECT_SUBSCRIPTION) == 0);
  return 0;
}
