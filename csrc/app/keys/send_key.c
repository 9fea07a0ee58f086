#include "app/keys/send_key.h"

#include <string.h>

#include "base/memory.h"

void send_keys_init(struct send_keys *keys) {
  *keys = (struct send_keys){.bytes = 0};
  table_init(&keys->by_key);
  list_init(&keys->known);
}

static void send_key_drop(struct send_keys *keys, struct send_key *entry) {
  if (entry->is_known) {
    keys->known_count--;
    keys->bytes -= entry->size;
  }
  table_remove(&keys->by_key, bytes_of(entry->key, entry->key_len));
  list_remove(&entry->link);
  blob_unref(entry->body);
  blob_unref(entry->refusal);
  memory_free(entry);
}

static struct send_key *oldest(struct send_keys *keys) {
  return list_empty(&keys->known) ? NULL : container_of(keys->known.next, struct send_key, link);
}

void send_keys_deinit(struct send_keys *keys) {
  size_t cursor = 0;
  struct send_key *entry;
  while ((entry = table_next(&keys->by_key, &cursor))) {
    send_key_drop(keys, entry);
    cursor = 0;
  }
  table_deinit(&keys->by_key);
}

struct list *send_keys_take_waiter(struct send_keys *keys) {
  size_t cursor = 0;
  struct send_key *entry;
  while ((entry = table_next(&keys->by_key, &cursor))) {
    if (list_empty(&entry->waiters)) continue;
    struct list *waiter = entry->waiters.next;
    list_remove(waiter);
    return waiter;
  }
  return NULL;
}

void send_key_write(struct buffer *out, char kind, struct bytes user, struct bytes key) {
  buffer_append_format(out, "%c%zu:", kind, user.len);
  buffer_append(out, user);
  buffer_append(out, key);
}

static struct send_key *send_key_add(struct send_keys *keys, struct bytes key) {
  struct send_key *entry = memory_calloc(1, sizeof *entry + key.len);
  if (!entry) return NULL;
  list_init(&entry->link);
  list_init(&entry->waiters);
  entry->key_len = key.len;
  memcpy(entry->key, key.ptr, key.len);
  if (table_set(&keys->by_key, bytes_of(entry->key, key.len), entry) == 0) return entry;
  memory_free(entry);
  return NULL;
}

struct send_answer send_key_answer(const struct send_key *entry) {
  struct send_answer answer = {.status = entry->status, .body = entry->body, .is_id = entry->is_id};
  if (entry->refusal) {
    /* "code\0reason\0" */
    answer.code = entry->refusal->data;
    answer.reason = answer.code + strlen(answer.code) + 1;
  }
  return answer;
}

enum send_key_turn send_key_enter(struct send_keys *keys, struct bytes key, struct list *waiter, uint64_t now_ms,
                                  struct send_key **entry) {
  while (oldest(keys) && now_ms >= oldest(keys)->known_ms + SEND_KEYS_MS) send_key_drop(keys, oldest(keys));
  *entry = table_get(&keys->by_key, key);
  if (*entry && (*entry)->is_known) return SEND_KEY_ANSWERED;
  if (*entry) {
    list_append(&(*entry)->waiters, waiter);
    return SEND_KEY_WAITS;
  }
  *entry = send_key_add(keys, key);
  return *entry ? SEND_KEY_FIRST : SEND_KEY_FAILED;
}

/* Returns false if out of memory: then the answer is not kept. */
static bool send_key_keep(struct send_keys *keys, struct send_key *entry, const struct send_answer *answer, uint64_t now_ms) {
  size_t code_len = answer->code ? strlen(answer->code) : 0, reason_len = answer->reason ? strlen(answer->reason) : 0;
  entry->status = answer->status;
  if (answer->status == 200) {
    entry->body = answer->body ? blob_ref(answer->body) : NULL;
    entry->is_id = answer->is_id;
  } else {
    entry->refusal = blob_new(bytes_of(NULL, code_len + reason_len + 2));
    if (!entry->refusal) return false;
    memset(entry->refusal->data, 0, code_len + reason_len + 2);
    if (code_len > 0) memcpy(entry->refusal->data, answer->code, code_len);
    if (reason_len > 0) memcpy(entry->refusal->data + code_len + 1, answer->reason, reason_len);
  }
  entry->is_known = true;
  entry->known_ms = now_ms;
  entry->size = sizeof *entry + entry->key_len + (entry->body ? entry->body->len : code_len + reason_len);
  keys->known_count++;
  keys->bytes += entry->size;
  list_append(&keys->known, &entry->link);
  return true;
}

void send_key_settle(struct send_keys *keys, struct send_key *entry, const struct send_answer *answer, uint64_t now_ms,
                     struct list *ready) {
  bool is_kept = answer && send_key_keep(keys, entry, answer, now_ms);
  while (!list_empty(&entry->waiters)) {
    struct list *link = entry->waiters.next;
    list_remove(link);
    list_append(ready, link);
  }
  if (!is_kept) send_key_drop(keys, entry);
  /* The newest answer stays, because the sends that waited read it next. */
  while (keys->known_count > 1 && (keys->known_count > SEND_KEYS || keys->bytes > SEND_KEYS_BYTES))
    send_key_drop(keys, oldest(keys));
}
