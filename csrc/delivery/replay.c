#include "delivery/replay.h"

#include "base/memory.h"
#include "delivery/catchup.h"

static uint32_t tail_of(const struct history *history, const struct replay_limits *limits) {
  return history_tail(history, limits->messages > UINT32_MAX ? UINT32_MAX : (uint32_t)limits->messages, limits->bytes);
}

/* Returns true if more messages would exceed the limits of a replay. */
static bool is_full(const struct history *history, const struct replay_limits *limits) {
  return history->count >= limits->messages || tail_of(history, limits) > 0;
}

bool replay_must_fetch(struct store *store, const struct replay_limits *limits, struct bytes channel, struct since since,
                       uint64_t *until) {
  store_lock(store);
  struct stored *stored = store_look(store, channel);
  uint64_t position = since.kind == SINCE_POSITION ? since.position : 0;
  bool must = stored && !is_full(&stored->history, limits) && store_lacks(store, stored, store_begin(store, stored, position));
  if (must && since.kind == SINCE_NONE) must = stored->history.count < stored->policy->replay;
  if (must) *until = stored->history.evicted;
  store_unlock(store);
  return must;
}

/* Finds where a replay of that channel begins for a client with the cursor `since`. What is later
 * than the hub's position is no part of it: the subscriber will receive it. What must be fetched is
 * fetched when the subscriber catches up. */
static void look_into(struct replay_source *source, const struct delivery *delivery, struct since since) {
  struct hub *hub = delivery->hub;
  struct stored *stored = source->subscription->channel->stored;
  const struct history *history = &stored->history;
  bool has_since = since.kind != SINCE_NONE, is_position = since.kind == SINCE_POSITION;
  uint64_t position = is_position ? since.position : 0;
  store_lock(hub->store);
  bool is_unknown = is_position && store_is_ahead(hub->store, stored, position, hub->position);
  source->gap = since.kind == SINCE_FOREIGN;
  if (is_position && position < hub->position && !is_unknown)
    source->gap = store_complete(hub->store, stored, position) == STORE_HAS_GAP;
  uint32_t next = store_replay_from(hub->store, stored, has_since, position), end = history_end(history, hub->position);
  uint32_t tail = tail_of(history, &delivery->replay);
  bool is_longer = next < tail && next < end;
  if (is_longer) next = tail;
  source->after = next < end ? history_at(history, next)->position - 1 : hub->position;
  uint64_t begin = store_begin(hub->store, stored, position);
  if (has_since && begin < hub->position && store_lacks(hub->store, stored, begin)) {
    is_longer = is_full(history, &delivery->replay);
    if (!is_longer) source->after = begin;
  }
  if (is_longer && is_position) source->gap = true;
  if (is_unknown) source->after = position; /* catching up finds out */
  store_unlock(hub->store);
}

int replay_init(struct replay *replay, struct subscriber *subscriber, struct since since, struct subscription *only) {
  const struct delivery *delivery = subscriber->sink->delivery;
  *replay = (struct replay){.cursor = delivery->hub->position};
  replay->sources = memory_calloc(subscriber->subscription_count, sizeof *replay->sources);
  if (!replay->sources) return MW_ENOMEM;
  since_judge(&since, delivery->epoch, delivery->hub->position);
  struct subscription *subscription = NULL;
  while ((subscription = subscriber_next(subscriber, subscription))) {
    if (only && subscription != only) continue;
    struct replay_source *source = &replay->sources[replay->count++];
    source->subscription = subscription;
    look_into(source, delivery, since);
    if (source->gap) replay->gap_count++;
    if (source->after < replay->cursor) replay->cursor = source->after;
  }
  if (since.kind == SINCE_POSITION) replay->cursor = since.position;
  return 0;
}

void replay_start(const struct replay *replay, struct subscriber *subscriber) {
  const struct hub *hub = subscriber->sink->delivery->hub;
  uint64_t position = hub->position;
  bool together = subscriber->flags & SUBSCRIBER_BEHIND;
  for (size_t i = 0; i < replay->count; i++) together = together || replay->sources[i].after < position;
  if (subscriber->sink->form->cursor_per_channel) together = false;
  for (size_t i = 0; i < replay->count; i++) {
    const struct replay_source *source = &replay->sources[i];
    if (together) {
      catchup_join(subscriber, source->subscription, source->after);
    } else if (source->after < position) {
      catchup_follow(subscriber, source->subscription, source->after);
    }
    if (hub_ended(hub, source->subscription->channel) > 0) catchup_note_end(subscriber);
  }
}

void replay_deinit(struct replay *replay) { memory_free(replay->sources); }
