/* The store as a cache of what a broker keeps. */
#include <assert.h>

#include "base/status.h"
#include "hub/store_part.h"

/* ---- Pages ----------------------------------------------------------------------------------- */

/* Adds the messages of the page that are older than all that is kept. */
static int add_older(struct store *store, struct stored *stored, const struct store_page *page) {
  struct history *history = &stored->history;
  size_t count = page->count;
  uint64_t evicted = history->evicted;
  while (count > 0 && page->messages[count - 1]->position > evicted) count--;
  while (count > 0) {
    struct message *message = page->messages[count - 1];
    int status = store_make_room(store, stored);
    if (status == 0) status = oldest_add(&store->oldest, stored, message->position);
    if (status == 0) status = history_prepend(history, message, &stored->policy->history);
    if (status == 0) {
      count--;
      continue;
    }
    history->evicted = message->position;
    if (status == MW_ELIMIT) history->gone = message->position; /* the policy keeps no more */
    return status == MW_ELIMIT ? 0 : status;
  }
  history->evicted = page->after;
  return 0;
}

/* Adds those that are newer. */
static void add_newer(struct store *store, struct stored *stored, const struct store_page *page, uint64_t newest) {
  for (size_t i = 0; i < page->count; i++) {
    if (page->messages[i]->position > newest) store_keep(store, stored, page->messages[i], false);
  }
}

static void set_before(const struct store_page *page) {
  uint64_t before = page->after;
  for (size_t i = 0; i < page->count; i++) {
    if (page->messages[i]->before == 0) page->messages[i]->before = before;
    before = page->messages[i]->position;
  }
}

static uint64_t max_u64(uint64_t a, uint64_t b) { return a > b ? a : b; }

/* What was fetched counts as being as new as the newest message. */
static void mark_fetched(const struct store *store, struct stored *stored, const struct store_page *page) {
  uint64_t newest = max_u64(store->position, history_newest(&stored->history));
  if (page->count > 0) newest = max_u64(newest, page->messages[page->count - 1]->position);
  stored->fetched = max_u64(newest, stored->fetched);
}

static int add_page(struct store *store, struct stored *stored, const struct store_page *page) {
  struct history *history = &stored->history;
  uint64_t newest = history_newest(history);
  int status = 0;
  bool joins = page->until >= history->evicted;
  mark_fetched(store, stored, page);
  set_before(page);
  store->history_bytes -= history_weight(history, 0);
  if (page->after > newest) history_miss(history, page->after);
  if (joins && page->after < history->evicted) status = add_older(store, stored, page);
  store->history_bytes += history_weight(history, 0);
  if (page->until >= newest) stored->ended = page->ended;
  add_newer(store, stored, page, max_u64(newest, page->after));
  history->gone = max_u64(history->gone, page->gone);
  if (history->gone > history->evicted) history->gone = history->evicted;
  stored->floor = 0;
  return status;
}

static int restore(struct store *store, struct bytes name, const struct channel_policy *policy, const struct store_page *page) {
  struct stored *stored = store_find(store, name);
  bool is_newest = page->until == UINT64_MAX;
  /* What was published after an older page would be missing. */
  if (store->is_cache && !is_newest && !(stored && stored->is_followed)) return 0;
  int status = store_find_or_make(store, name, policy, &stored);
  if (status < 0) return status;
  if (is_newest) stored->is_followed = store->is_cache;
  status = add_page(store, stored, page);
  store_expire(store, stored);
  store_bound(store);
  store_free_unused(store, stored);
  return status;
}

int store_restore(struct store *store, struct bytes name, const struct channel_policy *policy, const struct store_page *page) {
  assert(page->gone <= page->after && page->after <= page->until);
  store_lock(store);
  int status = restore(store, name, policy, page);
  store_unlock(store);
  return status;
}

/* ---- Losing ---------------------------------------------------------------------------------- */

void store_forget(struct store *store, struct bytes name) {
  store_lock(store);
  struct stored *stored = store_find(store, name);
  if (stored) {
    store->history_bytes -= history_weight(&stored->history, 0);
    oldest_remove(&store->oldest, stored);
    history_miss(&stored->history, max_u64(store->position, stored->history.evicted));
    stored->is_followed = false;
    stored->ended = 0;
    store_free_unused(store, stored);
  }
  store_unlock(store);
}

void store_reach(struct store *store, uint64_t position) {
  store_lock(store);
  store->position = max_u64(store->position, position);
  store_unlock(store);
}

void store_lose(struct store *store, struct bytes name, uint64_t position) {
  store_lock(store);
  struct stored *stored = store_find(store, name);
  if (stored) {
    store->history_bytes -= history_weight(&stored->history, 0);
    history_lose(&stored->history, position);
    store->history_bytes += history_weight(&stored->history, 0);
  }
  store_unlock(store);
}

/* ---- A new epoch ----------------------------------------------------------------------------- */

void store_restart(struct store *store, uint64_t position) {
  store_lock(store);
  size_t marks_max = store->marks.max;
  marks_deinit(&store->marks);
  marks_init(&store->marks, marks_max, position);
  store->position = position;
  for (struct list *link = store->all.next, *next; link != &store->all; link = next) {
    struct stored *stored = container_of(link, struct stored, link);
    next = link->next;
    store->history_bytes -= history_weight(&stored->history, 0);
    oldest_remove(&store->oldest, stored);
    history_pass(&stored->history, position);
    stored->floor = 0;
    stored->ended = 0;
    stored->fetched = 0;
    stored->is_followed = false;
    store_free_unused(store, stored);
  }
  store_unlock(store);
}
