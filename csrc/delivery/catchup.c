#include "delivery/catchup.h"

#include "base/array.h"
#include "base/heap.h"
#include "base/memory.h"
#include "delivery/fetching.h"

/* Bytes that are pushed at a time: enough for an efficient write, and few enough to hold for each
 * of many subscribers that reconnect at the same time. */
enum { FEED_BYTES = 64 * 1024 };

static struct catchup *catchup_of(const struct subscriber *subscriber) { return subscriber->extra->catchup; }
static struct hub *hub_of(const struct subscriber *subscriber) { return subscriber->sink->delivery->hub; }
static struct mw_stats *stats_of(const struct subscriber *subscriber) { return subscriber->sink->delivery->stats; }

/* ---- State ----------------------------------------------------------------------------------- */

static struct catchup *get(struct subscriber *subscriber) {
  if (subscriber->flags & SUBSCRIBER_BEHIND) return catchup_of(subscriber);
  struct catchup *catchup = memory_calloc(1, sizeof *catchup);
  struct subscriber_extra *extra = catchup ? subscriber_extra(subscriber) : NULL;
  if (!extra) {
    memory_free(catchup);
    subscriber_break(subscriber);
    return NULL;
  }
  latest_init(&catchup->latest);
  extra->catchup = catchup;
  subscriber->flags |= SUBSCRIBER_BEHIND;
  subscriber_mark(subscriber);
  return catchup;
}

void catchup_end(struct subscriber *subscriber) {
  struct catchup *catchup = catchup_of(subscriber);
  latest_deinit(&catchup->latest);
  memory_free(catchup->sources);
  memory_free(catchup);
  subscriber->extra->catchup = NULL;
  subscriber->flags &= (uint16_t)~SUBSCRIBER_BEHIND;
  subscriber_release_extra(subscriber);
}

size_t catchup_kept_bytes(const struct subscriber *subscriber) {
  return subscriber->flags & SUBSCRIBER_BEHIND ? catchup_of(subscriber)->latest.bytes : 0;
}

static struct catchup_source *find_source(struct catchup *catchup, const struct subscription *subscription) {
  for (size_t i = 0; i < catchup->count; i++) {
    if (catchup->sources[i].subscription == subscription) return &catchup->sources[i];
  }
  return NULL;
}

static bool add_source(struct catchup *catchup, struct subscription *subscription, uint64_t after) {
  struct catchup_source *grown =
      array_reserve(catchup->sources, sizeof *grown, &catchup->capacity, catchup->count + 1, UINT32_MAX);
  if (!grown) return false;
  catchup->sources = grown;
  catchup->sources[catchup->count++] = (struct catchup_source){.subscription = subscription, .after = after};
  subscription->mark |= CATCHUP_BEHIND;
  return true;
}

void catchup_follow(struct subscriber *subscriber, struct subscription *subscription, uint64_t after) {
  struct catchup *catchup = get(subscriber);
  if (catchup && !add_source(catchup, subscription, after)) subscriber_break(subscriber);
}

void catchup_join(struct subscriber *subscriber, struct subscription *subscription, uint64_t after) {
  if (subscription->channel->policy->history.size > 0) {
    catchup_follow(subscriber, subscription, after);
  } else if (get(subscriber)) {
    subscription->mark |= CATCHUP_HELD;
  }
}

void catchup_note_end(struct subscriber *subscriber) {
  struct catchup *catchup = get(subscriber);
  if (catchup) catchup->ends = true;
  subscriber_mark(subscriber);
}

void catchup_leave(struct subscriber *subscriber, struct subscription *subscription) {
  struct catchup *catchup = catchup_of(subscriber);
  latest_forget(&catchup->latest, subscription->channel->name);
  struct catchup_source *source = find_source(catchup, subscription);
  if (source) *source = catchup->sources[--catchup->count];
  subscription->mark &= ~(uint32_t)(CATCHUP_MARKS | CATCHUP_ENDED);
}

/* ---- Dropping -------------------------------------------------------------------------------- */

struct dropping {
  struct subscriber *subscriber;
  struct subscription *subscription; /* of the previous message */
};

/* Returns the place of a message among those with a position. One without a position follows all
 * that were published before it. */
static uint64_t place_of(const struct message *message) { return message->position > 0 ? message->position : message->after; }

/* Drops a message that no history has. */
static void drop_unkept(struct subscriber *subscriber, struct subscription *subscription, const struct message *message) {
  stats_of(subscriber)->slow_dropped++;
  if (message->position == 0 || !subscription) return;
  subscription->mark |= CATCHUP_GAP;
  catchup_of(subscriber)->has_gap = true;
}

/* Keeps a message until it can be pushed. If the channel only waits for a replay, its own or of
 * another channel, all messages are kept while there is room, because a replay is not slowness.
 * Beyond that, a volatile message that follows the replay of its own channel is dropped. */
static void hold(struct subscriber *subscriber, struct subscription *subscription, struct message *message) {
  struct catchup *catchup = catchup_of(subscriber);
  const struct channel_policy *policy = subscription->channel->policy;
  uint64_t position = place_of(message);
  bool is_full = catchup->latest.bytes + message_len(message) + LATEST_PLACE > policy->outbox;
  bool follows_replay = subscription->mark & CATCHUP_BEHIND && policy->slow != SLOW_LATEST;
  if (is_full && (follows_replay || policy->slow == SLOW_DROP)) {
    /* The gap precedes everything that is held, so kept messages that are older than the missing
     * ones are dropped as well. */
    if (message->position > 0) stats_of(subscriber)->slow_dropped += latest_forget(&catchup->latest, subscription->channel->name);
    drop_unkept(subscriber, subscription, message);
    return;
  }
  bool replaced = false, by_key = policy->slow == SLOW_LATEST && (catchup->stalled || is_full);
  int status =
      by_key ? latest_put(&catchup->latest, message, position, &replaced) : latest_append(&catchup->latest, message, position);
  if (status < 0) subscriber_break(subscriber);
  if (replaced) stats_of(subscriber)->slow_replaced++;
  if (catchup->latest.bytes <= policy->outbox) return;
  subscriber->flags |= SUBSCRIBER_SLOW;
  subscriber_mark(subscriber);
}

static void drop_message(void *context, struct message *message) {
  struct dropping *dropping = context;
  struct subscriber *subscriber = dropping->subscriber;
  struct subscription *subscription = dropping->subscription;
  if (!subscription || !bytes_equal(subscription->channel->name, message->parts.channel)) {
    subscription = subscriber_find(subscriber, message->parts.channel);
    dropping->subscription = subscription;
  }
  if (subscription && subscription->mark & CATCHUP_BEHIND && message->position > 0) {
    struct catchup_source *source = find_source(catchup_of(subscriber), subscription);
    if (message->position <= source->after) source->after = message->position - 1;
  } else if (subscription && subscription->channel->policy->slow == SLOW_LATEST) {
    hold(subscriber, subscription, message);
  } else {
    drop_unkept(subscriber, subscription, message);
  }
}

/* Reads all channels that have one from their histories from now on. Returns false if one of the
 * others must be written as it comes. */
static bool follow_all(struct subscriber *subscriber, struct catchup *catchup) {
  struct subscription *subscription = NULL;
  while ((subscription = subscriber_next(subscriber, subscription))) {
    enum slow slow = subscription->channel->policy->slow;
    if (slow == SLOW_CLOSE) return false;
    if (slow != SLOW_CATCHUP || subscription->mark & CATCHUP_BEHIND) continue;
    if (!add_source(catchup, subscription, hub_of(subscriber)->position)) return false;
  }
  return true;
}

void catchup_stall(struct subscriber *subscriber, struct subscription *subscription, struct message *message) {
  struct catchup *catchup = get(subscriber);
  if (!catchup) return;
  if (!catchup->stalled) {
    stats_of(subscriber)->slow++;
    subscriber->sink->ops->slow(subscriber, subscription->channel);
  }
  catchup->stalled = true;
  if (!follow_all(subscriber, catchup)) {
    subscriber->flags |= SUBSCRIBER_SLOW;
    return;
  }
  struct dropping dropping = {.subscriber = subscriber, .subscription = subscription};
  outbox_drop_messages(subscriber->outbox, drop_message, &dropping);
  drop_message(&dropping, message);
}

/* A message that is not pushed now is read from the history, if its channel is read from there, or
 * can be while the subscriber is slow. That includes a message that was published earlier and comes
 * from a turn list only now. */
static void read_later(struct subscriber *subscriber, struct subscription *subscription, const struct message *message) {
  struct catchup *catchup = catchup_of(subscriber);
  if (message->position == 0) return;
  if (subscription->mark & CATCHUP_BEHIND) {
    struct catchup_source *source = find_source(catchup, subscription);
    if (message->position <= source->after) source->after = message->position - 1;
  } else if (catchup->stalled && subscription->channel->policy->slow == SLOW_CATCHUP) {
    catchup_follow(subscriber, subscription, message->position - 1);
  }
}

bool catchup_take(struct subscriber *subscriber, struct subscription *subscription, struct message *message) {
  const struct catchup *catchup = catchup_of(subscriber);
  if (message->parts.type == MESSAGE_PRESENCE) return false;
  read_later(subscriber, subscription, message);
  if (subscription->mark & CATCHUP_BEHIND && message->position > 0) return true;
  bool is_held = subscription->mark & CATCHUP_HELD || (subscription->mark & CATCHUP_BEHIND && !catchup->stalled);
  if (!catchup->stalled && !is_held) return false;
  if (is_held || subscription->channel->policy->slow == SLOW_LATEST) {
    hold(subscriber, subscription, message);
  } else if (subscription->channel->policy->slow == SLOW_CLOSE) {
    return false;
  } else {
    drop_unkept(subscriber, subscription, message);
  }
  return true;
}

/* ---- Feeding --------------------------------------------------------------------------------- */

static uint64_t catchup_position_of(const struct catchup_source *source) {
  return history_at(&source->subscription->channel->stored->history, source->next)->position;
}

static uint64_t key_of(const void *source) { return catchup_position_of(source); }

/* Up to the position of the hub: later messages are delivered when it receives them. */
static bool has_more(const struct hub *hub, const struct catchup_source *source) {
  return source->next < history_end(&source->subscription->channel->stored->history, hub->position);
}

/* Finds where each source continues. Returns a heap of those that have more, which come first. */
static struct heap seek(struct subscriber *subscriber, struct catchup *catchup) {
  struct hub *hub = hub_of(subscriber);
  size_t count = 0;
  for (size_t i = 0; i < catchup->count; i++) {
    struct catchup_source *source = &catchup->sources[i];
    source->next = history_seek(&source->subscription->channel->stored->history, source->after);
    if (!has_more(hub, source)) continue;
    struct catchup_source moved = catchup->sources[count];
    catchup->sources[count++] = *source;
    if (&catchup->sources[count - 1] != source) *source = moved;
  }
  struct heap heap = {.items = catchup->sources, .size = sizeof *catchup->sources, .count = count, .key = key_of};
  heap_build(&heap);
  return heap;
}

/* Before anything of a later position, because a client that is disconnected after that resumes
 * from that position. */
static void tell_gaps(struct subscriber *subscriber, struct catchup *catchup) {
  struct subscription *subscription = NULL;
  while (catchup->has_gap && (subscription = subscriber_next(subscriber, subscription))) {
    if (!(subscription->mark & CATCHUP_GAP)) continue;
    subscription->mark &= (uint32_t)~CATCHUP_GAP;
    stats_of(subscriber)->gaps++;
    subscriber->sink->ops->event(subscriber, EVENT_GAP, subscription->channel->name, bytes_of(NULL, 0));
  }
  catchup->has_gap = false;
}

/* So few bytes that no channel of the subscriber takes the fed messages for slowness. */
static size_t feed_bytes(struct subscriber *subscriber) {
  size_t bytes = FEED_BYTES;
  struct subscription *subscription = NULL;
  while ((subscription = subscriber_next(subscriber, subscription))) {
    size_t limit = subscription->channel->policy->outbox;
    if (limit / 2 < bytes) bytes = limit / 2;
  }
  return bytes;
}

static bool is_fed(const struct subscriber *subscriber, size_t bytes) {
  return subscriber->flags & (SUBSCRIBER_SLOW | SUBSCRIBER_BROKEN) || (subscriber->outbox && subscriber->outbox->bytes >= bytes);
}

/* Returns true if nothing is left. */
static bool push_next(struct subscriber *subscriber, struct catchup *catchup, struct heap *heap) {
  uint64_t position = 0;
  struct message *message = latest_first(&catchup->latest, &position);
  /* A message without a position follows the message whose position it has. */
  if (heap->count > 0 && (!message || catchup_position_of(catchup->sources) <= position)) {
    struct catchup_source *source = catchup->sources;
    source->after = catchup_position_of(source);
    subscriber_replay(subscriber, history_at(&source->subscription->channel->stored->history, source->next++));
    if (has_more(hub_of(subscriber), source)) {
      heap_settle(heap);
    } else {
      heap_pop(heap);
    }
  } else if (message) {
    subscriber_replay(subscriber, message);
    latest_drop_first(&catchup->latest);
  } else {
    return true;
  }
  return false;
}

static bool is_untold(const struct hub *hub, const struct subscription *subscription) {
  return hub_ended(hub, subscription->channel) > 0 && !(subscription->mark & CATCHUP_ENDED);
}

/* Returns how many ends were not announced; *all: nothing more can come of any channel. */
static size_t count_untold(struct subscriber *subscriber, bool *all) {
  size_t count = 0;
  struct subscription *subscription = NULL;
  *all = true;
  while ((subscription = subscriber_next(subscriber, subscription))) {
    if (hub_ended(hub_of(subscriber), subscription->channel) == 0) *all = false;
    count += is_untold(hub_of(subscriber), subscription);
  }
  return count;
}

/* The subscribers of a channel that has ended are told. One whose client has a cursor for each
 * channel leaves it, and the client returns to it. Any other returns with one id for all its
 * channels, which the others move on: so it stays subscribed, in case the channel restarts, and
 * ends when all of its channels have. The last end has the newest id: where a gap was told there
 * may be no message whose id says that its client has seen the end, and it would reconnect without
 * end. */
static void tell_ends(struct subscriber *subscriber) {
  const struct sink_ops *ops = subscriber->sink->ops;
  char id_text[ID_LEN];
  bool all, leaves = subscriber->sink->form->cursor_per_channel;
  size_t left = count_untold(subscriber, &all);
  bool has_ended = all && !leaves, has_id = has_ended && subscriber->sink->form->carries_cursor;
  struct bytes none = bytes_of(NULL, 0), id = bytes_of(id_text, ID_LEN);
  id_write(id_text, subscriber->sink->delivery->epoch, hub_of(subscriber)->position);
  if (has_id && left == 0) ops->event(subscriber, EVENT_CURSOR, none, id);
  struct subscription *subscription = subscriber_next(subscriber, NULL);
  while (subscription) {
    struct subscription *next = subscriber_next(subscriber, subscription);
    struct channel *channel = subscription->channel;
    if (is_untold(hub_of(subscriber), subscription)) {
      subscription->mark |= CATCHUP_ENDED;
      ops->event(subscriber, EVENT_END, channel->name, has_id && --left == 0 ? id : none);
      if (leaves) subscriber_unsubscribe(subscriber, subscription, LEAVE_FINAL);
    }
    subscription = next;
  }
  if (has_ended) ops->finish(subscriber);
}

enum catchup_step catchup_feed(struct subscriber *subscriber) {
  struct catchup *catchup = catchup_of(subscriber);
  struct store *store = hub_of(subscriber)->store;
  bool over = false;
  size_t bytes = feed_bytes(subscriber);
  store_lock(store); /* as long as places in the histories are used */
  enum catchup_step step = fetching_look(subscriber, catchup);
  if (step != CATCHUP_GOES_ON) {
    store_unlock(store);
    fetching_ask(subscriber, catchup);
    return step;
  }
  struct heap heap = seek(subscriber, catchup);
  tell_gaps(subscriber, catchup);
  while (!over && !is_fed(subscriber, bytes)) over = push_next(subscriber, catchup, &heap);
  store_unlock(store);
  if (!over) return step;
  struct subscription *subscription = NULL;
  while ((subscription = subscriber_next(subscriber, subscription))) subscription->mark &= ~(uint32_t)CATCHUP_MARKS;
  bool ends = catchup->ends;
  catchup_end(subscriber);
  if (ends) tell_ends(subscriber);
  return step;
}
