#include "server/send_key.h"

#include <stdio.h>

#include "base/memory.h"
#include "server/errand.h"

void send_keys_init(struct send_keys *keys) {
  *keys = (struct send_keys){.bytes = 0};
  table_init(&keys->by_key);
  list_init(&keys->known);
}

static void drop(struct send_keys *keys, struct send_key *entry) {
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
    drop(keys, entry);
    cursor = 0;
  }
  table_deinit(&keys->by_key);
}

struct errand *send_keys_take_waiter(struct send_keys *keys) {
  size_t cursor = 0;
  struct send_key *entry;
  while ((entry = table_next(&keys->by_key, &cursor))) {
    if (list_empty(&entry->waiters)) continue;
    struct errand *errand = container_of(entry->waiters.next, struct errand, link);
    list_remove(&errand->link);
    return errand;
  }
  return NULL;
}

/* Whose key it is, then the key. The length keeps "a" + "bc" and "ab" + "c" apart. */
static void write_key(struct buffer *out, const struct errand *errand) {
  const struct mw_client *client = errand->client;
  struct bytes user = client->user_id ? blob_bytes(client->user_id) : blob_bytes(client->user);
  buffer_append_format(out, "%c%zu:", client->user_id ? 'i' : client->user ? 'u' : 'a', user.len);
  buffer_append(out, user);
  buffer_append(out, errand->idempotency_key);
}

static struct send_key *add(struct send_keys *keys, struct bytes key) {
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

static void answer(const struct send_key *entry, struct errand *errand) {
  if (entry->status == 200) {
    if (entry->body) errand->body = blob_ref(entry->body);
    return;
  }
  /* "code\0reason\0" */
  const char *code = entry->refusal->data;
  errand_refuse(errand, entry->status, code, code + strlen(code) + 1);
}

enum send_key_turn send_key_enter(struct send_keys *keys, struct errand *errand, uint64_t now_ms) {
  while (oldest(keys) && now_ms >= oldest(keys)->known_ms + SEND_KEYS_MS) drop(keys, oldest(keys));
  struct buffer key;
  buffer_init(&key);
  write_key(&key, errand);
  struct send_key *entry = key.failed ? NULL : table_get(&keys->by_key, buffer_bytes(&key));
  enum send_key_turn turn = SEND_KEY_ANSWERED;
  if (entry && entry->is_known) {
    answer(entry, errand);
  } else if (entry) {
    list_append(&entry->waiters, &errand->link);
    turn = SEND_KEY_WAITS;
  } else if (!key.failed && (entry = add(keys, buffer_bytes(&key)))) {
    errand->send_key = entry;
    turn = SEND_KEY_FIRST;
  } else {
    errand_refuse(errand, 503, "unavailable", "out of memory");
  }
  buffer_deinit(&key);
  return turn;
}

/* False if out of memory: then the answer is not kept. */
static bool keep(struct send_keys *keys, struct send_key *entry, const struct errand *errand, uint64_t now_ms) {
  size_t code_len = strlen(errand->code), reason_len = strlen(errand->reason);
  entry->status = errand->status;
  if (errand->status == 200) {
    entry->body = errand->body ? blob_ref(errand->body) : NULL;
  } else {
    entry->refusal = blob_new(bytes_of(NULL, code_len + reason_len + 2));
    if (!entry->refusal) return false;
    memcpy(entry->refusal->data, errand->code, code_len + 1);
    memcpy(entry->refusal->data + code_len + 1, errand->reason, reason_len + 1);
  }
  entry->is_known = true;
  entry->known_ms = now_ms;
  entry->size = sizeof *entry + entry->key_len + (entry->body ? entry->body->len : code_len + reason_len);
  keys->known_count++;
  keys->bytes += entry->size;
  list_append(&keys->known, &entry->link);
  return true;
}

/* What was not done may be done by the next one: no handler was asked, the server had no room, or the app took too long. */
static bool is_worth_keeping(const struct errand *errand) {
  return errand->status == 200 || (errand->status != 0 && errand->status != 503 && !errand->request.cancelled);
}

void send_key_settle(struct send_keys *keys, struct errand *errand, uint64_t now_ms, struct list *ready) {
  struct send_key *entry = errand->send_key;
  if (!entry) return;
  errand->send_key = NULL;
  bool is_kept = is_worth_keeping(errand) && keep(keys, entry, errand, now_ms);
  while (!list_empty(&entry->waiters)) {
    struct list *link = entry->waiters.next;
    list_remove(link);
    list_append(ready, link);
  }
  if (!is_kept) drop(keys, entry);
  /* The newest one stays: those that waited come for it next. */
  while (keys->known_count > 1 && (keys->known_count > SEND_KEYS || keys->bytes > SEND_KEYS_BYTES)) drop(keys, oldest(keys));
}
