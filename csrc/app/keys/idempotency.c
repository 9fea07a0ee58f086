#include "app/keys/idempotency.h"

#include "base/memory.h"

int idempotency_init(struct idempotency *idempotency) {
  table_init(&idempotency->by_key);
  list_init(&idempotency->by_age);
  return lock_init(&idempotency->lock);
}

static void drop(struct idempotency *idempotency, struct idempotent *entry) {
  table_remove(&idempotency->by_key, bytes_of(entry->key, entry->key_len));
  list_remove(&entry->link);
  memory_free(entry);
}

static struct idempotent *oldest(struct idempotency *idempotency) {
  if (list_empty(&idempotency->by_age)) return NULL;
  return container_of(idempotency->by_age.next, struct idempotent, link);
}

void idempotency_deinit(struct idempotency *idempotency) {
  while (oldest(idempotency)) drop(idempotency, oldest(idempotency));
  table_deinit(&idempotency->by_key);
  lock_deinit(&idempotency->lock);
}

static struct idempotent *add(struct idempotency *idempotency, struct bytes key) {
  struct idempotent *entry = memory_calloc(1, sizeof *entry + key.len);
  if (!entry) return NULL;
  list_init(&entry->link);
  entry->key_len = key.len;
  memcpy(entry->key, key.ptr, key.len);
  if (table_set(&idempotency->by_key, bytes_of(entry->key, key.len), entry) == 0) return entry;
  memory_free(entry);
  return NULL;
}

static enum idempotent_turn enter(struct idempotency *idempotency, struct bytes key, struct mail *waiter,
                                  struct idempotent **entry, char id[MW_ID_MAX]) {
  struct idempotent *known = table_get(&idempotency->by_key, key);
  if (!known) {
    *entry = add(idempotency, key);
    return *entry ? IDEMPOTENT_FIRST : IDEMPOTENT_FAILED;
  }
  if (known->is_known) {
    memcpy(id, known->id, sizeof known->id);
    return IDEMPOTENT_KNOWN;
  }
  if (waiter) {
    waiter->next = known->waiters;
    known->waiters = waiter;
  }
  return IDEMPOTENT_WAITS;
}

enum idempotent_turn idempotency_enter(struct idempotency *idempotency, struct bytes key, uint64_t now_ms, struct mail *waiter,
                                       struct idempotent **entry, char id[MW_ID_MAX]) {
  lock_take(&idempotency->lock);
  for (struct idempotent *each = oldest(idempotency); each; each = oldest(idempotency)) {
    if (now_ms < each->time_ms + IDEMPOTENCY_MS) break;
    drop(idempotency, each);
  }
  enum idempotent_turn turn = enter(idempotency, key, waiter, entry, id);
  lock_release(&idempotency->lock);
  return turn;
}

struct mail *idempotency_settle(struct idempotency *idempotency, struct idempotent *entry, int status, const char *id,
                                uint64_t now_ms) {
  lock_take(&idempotency->lock);
  struct mail *waiters = NULL, *each;
  while ((each = entry->waiters)) { /* the oldest is the first to try again */
    entry->waiters = each->next;
    each->next = waiters;
    waiters = each;
  }
  if (status < 0) {
    drop(idempotency, entry);
  } else {
    entry->is_known = true;
    entry->time_ms = now_ms;
    memcpy(entry->id, id, sizeof entry->id);
    list_append(&idempotency->by_age, &entry->link);
    if (idempotency->by_key.count > IDEMPOTENCY_KEYS) drop(idempotency, oldest(idempotency));
  }
  lock_release(&idempotency->lock);
  return waiters;
}
