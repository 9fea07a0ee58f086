#include "delivery/history_page.h"

#include "base/status.h"

enum { LIMIT = 100 };

/* Returns the page of what is here. */
static struct history_page page_of(const struct stored *stored, uint64_t position, const struct history_query *query) {
  const struct history *history = &stored->history;
  bool from_first = query->since.kind != SINCE_NONE;
  uint32_t first = query->since.kind == SINCE_POSITION ? history_seek(history, query->since.position) : 0;
  uint32_t end = history_end(history, position);
  /* Any other position lies before everything that is kept. */
  uint64_t before = query->before.kind == SINCE_POSITION ? query->before.position : 0;
  if (query->before.kind != SINCE_NONE) end = before > 0 ? history_seek(history, before - 1) : 0;
  if (end < first) end = first;
  size_t limit = query->limit > 0 ? query->limit : LIMIT;
  struct history_page page = {.history = history, .first = first, .count = end - first, .from_first = from_first};
  if (page.count > limit) {
    if (!from_first) page.first = end - (uint32_t)limit;
    page.count = (uint32_t)limit;
    page.more = true;
  }
  return page;
}

/* Returns true if the broker has messages between the given ids that are older than what is here. */
static bool lacks_older(struct store *store, struct stored *stored, const struct history_query *query) {
  uint64_t since = query->since.kind == SINCE_POSITION ? query->since.position : 0;
  uint64_t before = query->before.kind == SINCE_POSITION ? query->before.position : 0;
  if (query->before.kind != SINCE_NONE && before <= store_gone(store, stored) + 1) return false;
  return store_lacks(store, stored, store_begin(store, stored, since));
}

struct history_page history_page_until(struct store *store, uint64_t position, struct bytes name,
                                       const struct history_query *query) {
  struct stored *stored = store_look(store, name);
  if (!stored) return (struct history_page){.history = NULL};
  struct history_page page = page_of(stored, position, query);
  if (!page.from_first && page.count > 0 && lacks_older(store, stored, query)) page.more = true;
  return page;
}

/* What is here is enough for a page of the newest that is full, and has older ones before it. */
static bool must_fetch(struct store *store, struct stored *stored, const struct history_query *query) {
  struct history_page page = page_of(stored, UINT64_MAX, query);
  return (page.from_first || !page.more) && lacks_older(store, stored, query);
}

bool history_page_must_fetch(struct store *store, struct bytes channel, const struct history_query *query, uint64_t *until) {
  store_lock(store);
  struct stored *stored = store_look(store, channel);
  bool must = stored && must_fetch(store, stored, query);
  if (must) *until = stored->history.evicted;
  store_unlock(store);
  return must;
}

int history_page_fit(struct history_page *page, const struct form_class *form, const struct epoch *epoch, size_t bytes) {
  uint32_t end = page->first + page->count, count = 0;
  page->bytes = 0;
  while (count < page->count) {
    uint32_t at = page->from_first ? page->first + count : end - count - 1;
    const struct blob *blob = form_of(form, history_at(page->history, at), epoch);
    if (!blob) return MW_ENOMEM;
    if (count > 0 && page->bytes + blob->len > bytes) break;
    page->bytes += blob->len;
    count++;
  }
  if (count == page->count) return 0;
  if (!page->from_first) page->first = end - count;
  page->count = count;
  page->more = true;
  return 0;
}
