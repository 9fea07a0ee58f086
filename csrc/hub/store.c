#include "hub/store.h"

#include <assert.h>

#include "base/log_limit.h"
#include "base/memory.h"
#include "base/status.h"
#include "hub/id.h"
#include "hub/store_part.h"

void store_init(struct store *store, const struct clock *clock, const struct store_bounds *bounds) {
  *store = (struct store){.clock = clock,
                          .position = bounds->position,
                          .channels_max = bounds->channels,
                          .history_max = bounds->history,
                          .is_cache = bounds->is_cache};
  optional_lock_init(&store->lock, bounds->is_shared || bounds->is_cache);
  oldest_init(&store->oldest);
  marks_init(&store->marks, bounds->marks, bounds->position);
  atomic_init(&store->late_bytes, 0);
  table_init(&store->channels);
  list_init(&store->all);
}

void store_set_bounds(struct store *store, const struct store_bounds *bounds) {
  store_lock(store);
  store->channels_max = bounds->channels;
  store->history_max = bounds->history;
  marks_set_max(&store->marks, bounds->marks);
  store_unlock(store);
}

/* ---- The channels of each kind --------------------------------------------------------------- */

/* Returns false if out of memory. */
static bool store_reserve_kind(struct store *store, uint32_t kind) {
  if (kind < store->kind_capacity) return true;
  uint32_t *counts = memory_realloc(store->kind_counts, (kind + 1) * sizeof *counts);
  if (!counts) return false;
  memset(counts + store->kind_capacity, 0, (kind + 1 - store->kind_capacity) * sizeof *counts);
  store->kind_counts = counts;
  store->kind_capacity = kind + 1;
  return true;
}

/* Takes over a newer policy. If out of memory, the channel keeps the one that it has. */
static void store_renew(struct store *store, struct stored *stored, const struct channel_policy *policy) {
  uint32_t before = stored->policy->kind;
  if (stored->policy == policy || !store_reserve_kind(store, policy->kind)) return;
  if (!policy_renew(&stored->policy, policy)) return;
  store->kind_counts[before]--;
  store->kind_counts[policy->kind]++;
}

static bool store_has_room(struct store *store, struct bytes name, const struct channel_policy *policy) {
  if (store->channels.count >= store->channels_max) {
    store->refused++;
    log_limited(MW_LOG_WARNING, "refused a new channel: limits.channels (%zu) reached (channel=%.*s)", store->channels_max,
                (int)name.len, name.ptr);
    return false;
  }
  if (policy->channels > 0 && store->kind_counts[policy->kind] >= policy->channels) {
    store->refused_of_kind++;
    log_limited(MW_LOG_WARNING, "refused a new channel: limits.channels (%zu) of its pattern reached (channel=%.*s)",
                policy->channels, (int)name.len, name.ptr);
    return false;
  }
  return true;
}

/* ---- The part of a channel ------------------------------------------------------------------- */

static struct stored *stored_new(struct store *store, struct bytes name, const struct channel_policy *policy) {
  struct stored *stored = memory_alloc(sizeof *stored + name.len + 1);
  if (!stored) return NULL;
  struct mark mark = {.position = store->position};
  if (!store->is_cache) mark = marks_get(&store->marks, name, policy->kind);
  *stored = (struct stored){.policy = policy_ref(policy),
                            .ended = mark.is_final ? mark.position : 0,
                            .floor = mark.is_floor ? mark.position : 0,
                            .name = bytes_of(stored->text, name.len)};
  memcpy(stored->text, name.ptr, name.len);
  stored->text[name.len] = '\0';
  list_init(&stored->link);
  history_init(&stored->history, mark.position, &store->late_bytes);
  if (store->is_cache) stored->history.gone = 0; /* perhaps all can be fetched */
  object_count(OBJECT_CHANNEL, 1);
  return stored;
}

static void stored_free(struct stored *stored) {
  list_remove(&stored->link);
  history_deinit(&stored->history);
  policy_unref(stored->policy);
  object_count(OBJECT_CHANNEL, -1);
  memory_free(stored);
}

static void store_free_stored(struct store *store, struct stored *stored) {
  if (store->on_forget) store->on_forget(store, stored);
  store->history_bytes -= history_weight(&stored->history, 0);
  oldest_remove(&store->oldest, stored);
  table_remove(&store->channels, stored->name);
  store->kind_counts[stored->policy->kind]--;
  stored_free(stored);
}

void store_free_unused(struct store *store, struct stored *stored) {
  if (stored->history.count > 0 || stored->users > 0 || stored->promised > 0 || stored->is_followed) return;
  uint64_t evicted = stored->history.evicted;
  uint32_t kind = stored->policy->kind;
  /* A position up to the floor adds nothing to it. */
  if (!store->is_cache && (evicted > marks_floor(&store->marks, kind) || stored->ended > 0))
    marks_put(&store->marks, stored->name, kind, evicted, stored->ended > 0);
  store_free_stored(store, stored);
}

void store_deinit(struct store *store) {
  while (!list_empty(&store->all)) {
    struct stored *stored = container_of(store->all.next, struct stored, link);
    assert(stored->users == 0);
    store_free_stored(store, stored);
  }
  table_deinit(&store->channels);
  memory_free(store->kind_counts);
  oldest_deinit(&store->oldest);
  marks_deinit(&store->marks);
  optional_lock_deinit(&store->lock);
}

struct stored *store_find(const struct store *store, struct bytes name) {
  return table_get(&store->channels, name);
}

int store_find_or_make(struct store *store, struct bytes name, const struct channel_policy *policy, struct stored **found) {
  *found = store_find(store, name);
  if (*found) store_renew(store, *found, policy);
  if (*found) return 0;
  if (!store_reserve_kind(store, policy->kind)) return MW_ENOMEM;
  if (!store_has_room(store, name, policy)) return MW_ELIMIT;
  struct stored *stored = stored_new(store, name, policy);
  if (!stored) return MW_ENOMEM;
  if (table_set(&store->channels, stored->name, stored) < 0) {
    stored_free(stored);
    return MW_ENOMEM;
  }
  list_append(&store->all, &stored->link);
  store->kind_counts[policy->kind]++;
  *found = stored;
  return 0;
}

int store_acquire(struct store *store, struct bytes name, const struct channel_policy *policy, struct stored **stored) {
  store_lock(store);
  int status = store_find_or_make(store, name, policy, stored);
  if (status == 0) (*stored)->users++;
  store_unlock(store);
  return status;
}

void store_release(struct store *store, struct stored *stored) {
  store_lock(store);
  assert(stored->users > 0);
  stored->users--;
  store_free_unused(store, stored);
  store_unlock(store);
}

/* ---- Age and bounds -------------------------------------------------------------------------- */

/* The times of messages never decrease, so neither does the time by which they expire, even if the
 * clock is set back. */
static uint64_t store_now_ms(const struct store *store) {
  uint64_t wall_ms = store->clock->wall_ms, newest_ms = position_time_ms(store->position);
  return wall_ms > newest_ms ? wall_ms : newest_ms;
}

void store_expire(struct store *store, struct stored *stored) {
  uint64_t ttl = stored->policy->history_ttl_ms, before = history_weight(&stored->history, 0), now_ms = store_now_ms(store);
  if (ttl > 0 && now_ms > ttl) history_expire(&stored->history, now_ms - ttl);
  store->history_bytes -= before - history_weight(&stored->history, 0);
}

struct stored *store_look(struct store *store, struct bytes name) {
  struct stored *stored = store_find(store, name);
  if (stored) store_expire(store, stored);
  return stored;
}

/* Relaxed, because it is compared with a limit repeatedly: what is missed now is seen next time. */
uint64_t store_history_bytes(const struct store *store) {
  return store->history_bytes + atomic_load_explicit(&store->late_bytes, memory_order_relaxed);
}

void store_bound(struct store *store) {
  store_lock(store);
  while (store_history_bytes(store) > store->history_max) {
    struct stored *stored = oldest_top(&store->oldest);
    if (!stored) break;
    store->history_bytes -= history_weight(&stored->history, 0) - history_weight(&stored->history, 1);
    history_evict(&stored->history);
    store->evicted++;
  }
  store_unlock(store);
}

void store_sweep(struct store *store, size_t budget) {
  store_lock(store);
  if (budget > store->channels.count) budget = store->channels.count;
  for (; budget > 0; budget--) {
    struct stored *stored = container_of(store->all.next, struct stored, link);
    list_remove(&stored->link);
    list_append(&store->all, &stored->link);
    store_expire(store, stored);
    store_free_unused(store, stored);
  }
  store_unlock(store);
}

/* ---- Keeping messages ------------------------------------------------------------------------ */

int store_make_room(struct store *store, struct stored *stored) {
  if (stored->oldest_place == 0 && oldest_reserve(&store->oldest, store->promised_count + 1) < 0) return MW_ENOMEM;
  return history_reserve(&stored->history, stored->promised + 1, &stored->policy->history);
}

static int promise(struct store *store, struct message *message, const struct channel_policy *policy) {
  struct stored *stored;
  int status = store_find_or_make(store, message->parts.channel, policy, &stored);
  if (status < 0) return status;
  if (store_make_room(store, stored) < 0) {
    store_free_unused(store, stored);
    return MW_ENOMEM;
  }
  if (stored->promised++ == 0) store->promised_count++;
  message->promised = stored;
  return 0;
}

int store_promise(struct store *store, struct message *message, const struct channel_policy *policy) {
  if (policy->history.size == 0) return 0;
  store_lock(store);
  int status = promise(store, message, policy);
  store_unlock(store);
  return status;
}

/* Returns the one that had reserved room for the message, or NULL, and ends the reservation. */
static struct stored *store_take_promise(struct store *store, struct message *message) {
  struct stored *stored = message->promised;
  message->promised = NULL;
  if (stored && --stored->promised == 0) store->promised_count--;
  return stored;
}

void store_break_promise(struct store *store, struct message *message) {
  if (!message->promised) return;
  store_lock(store);
  store_free_unused(store, store_take_promise(store, message));
  store_unlock(store);
}

void store_keep(struct store *store, struct stored *stored, struct message *message, bool was_promised) {
  struct history *history = &stored->history;
  const struct history_bounds *bounds = &stored->policy->history;
  store->history_bytes -= history_weight(history, 0);
  if (bounds->size == 0) {
    history_pass(history, message->position);
  } else if ((!was_promised && store_make_room(store, stored) < 0) || oldest_add(&store->oldest, stored, message->position) < 0) {
    history_miss(history, message->position);
    store->lost++;
  } else {
    history_push(history, message, bounds);
  }
  store->history_bytes += history_weight(history, 0);
  store_bound(store);
}

/* Sets the mark of a channel of which nothing else is kept, or can be. */
static void store_mark(struct store *store, struct message *message, const struct channel_policy *policy) {
  if (message->before == 0) message->before = marks_get(&store->marks, message->parts.channel, policy->kind).position;
  marks_put(&store->marks, message->parts.channel, policy->kind, message->position, message->parts.is_final);
}

/* A broker states what precedes the message, so everything after that is here. */
static void store_begin_following(struct store *store, struct stored *stored, const struct message *message) {
  if (!store->is_cache || stored->is_followed) return;
  if (message->before > 0) history_miss(&stored->history, message->before);
  stored->is_followed = true;
}

static void put(struct store *store, struct stored *stored, struct message *message, const struct channel_policy *policy) {
  assert(message->position > store->position);
  store->position = message->position;
  struct stored *promised = store_take_promise(store, message);
  if (promised) stored = promised;
  if (!stored) stored = store_find(store, message->parts.channel);
  if (!stored && policy->history.size > 0 && store_find_or_make(store, message->parts.channel, policy, &stored) < 0)
    store->lost++;
  if (!stored && store->is_cache) return;
  if (!stored) {
    store_mark(store, message, policy);
    return;
  }
  store_renew(store, stored, policy);
  store_begin_following(store, stored, message);
  if (message->before == 0) message->before = history_newest(&stored->history);
  store_keep(store, stored, message, promised != NULL);
  store_expire(store, stored);
  stored->ended = message->parts.is_final ? message->position : 0;
  store_free_unused(store, stored);
}

void store_put(struct store *store, struct stored *stored, struct message *message, const struct channel_policy *policy) {
  store_lock(store);
  put(store, stored, message, policy);
  store_unlock(store);
}

/* ---- Reading --------------------------------------------------------------------------------- */

enum store_has store_complete(struct store *store, struct stored *stored, uint64_t since) {
  store_expire(store, stored);
  uint64_t evicted = stored->history.evicted;
  bool is_here = !store->is_cache || stored->is_followed || since >= store->position;
  if (is_here && since >= evicted) return STORE_HAS_ALL;
  if (since >= store_gone(store, stored)) return STORE_MUST_FETCH;
  if (evicted == stored->floor) store->floor_gaps++;
  return STORE_HAS_GAP;
}

uint64_t store_begin(const struct store *store, const struct stored *stored, uint64_t since) {
  uint64_t gone = store_gone(store, stored);
  return since > gone ? since : gone;
}

bool store_lacks(struct store *store, struct stored *stored, uint64_t begin) {
  return store->is_cache && store_complete(store, stored, begin) == STORE_MUST_FETCH;
}

bool store_is_ahead(struct store *store, struct stored *stored, uint64_t since, uint64_t until) {
  store_expire(store, stored);
  return since < until && until < stored->history.evicted;
}

uint32_t store_replay_from(struct store *store, struct stored *stored, bool has_since, uint64_t since) {
  store_expire(store, stored);
  const struct history *history = &stored->history;
  if (has_since) return history_seek(history, since);
  uint32_t replay = stored->policy->replay;
  return history->count > replay ? history->count - replay : 0;
}

uint64_t store_ended(struct store *store, struct bytes name) {
  store_lock(store);
  const struct stored *stored = store_find(store, name);
  uint64_t ended = 0;
  if (stored) {
    ended = stored->ended;
  } else {
    struct mark mark = marks_get(&store->marks, name, 0);
    if (mark.is_final) ended = mark.position;
  }
  store_unlock(store);
  return ended;
}
