#include "app/idempotency.h"

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

static struct idempotent *add(struct idempotency *idempotency, struct bytes key, uint64_t now_ms) {
  struct idempotent *entry = memory_calloc(1, sizeof *entry + key.len);
  if (!entry) return NULL;
  entry->time_ms = now_ms;
  entry->key_len = key.len;
  memcpy(entry->key, key.ptr, key.len);
  if (table_set(&idempotency->by_key, bytes_of(entry->key, key.len), entry) < 0) {
    memory_free(entry);
    return NULL;
  }
  list_append(&idempotency->by_age, &entry->link);
  return entry;
}

struct idempotent *idempotency_begin(struct idempotency *idempotency, struct bytes key, uint64_t now_ms) {
  lock_take(&idempotency->lock);
  for (struct idempotent *entry = oldest(idempotency); entry; entry = oldest(idempotency)) {
    if (now_ms < entry->time_ms + IDEMPOTENCY_MS) break;
    drop(idempotency, entry);
  }
  struct idempotent *entry = table_get(&idempotency->by_key, key);
  if (!entry) entry = add(idempotency, key, now_ms);
  if (!entry) lock_release(&idempotency->lock);
  return entry;
}

void idempotency_end(struct idempotency *idempotency, struct idempotent *entry) {
  if (!entry->is_known) {
    drop(idempotency, entry);
  } else if (idempotency->by_key.count > IDEMPOTENCY_KEYS) {
    drop(idempotency, oldest(idempotency));
  }
  lock_release(&idempotency->lock);
}
