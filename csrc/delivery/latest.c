#include "delivery/latest.h"

#include "base/memory.h"
#include "base/status.h"

struct item {
  struct list link;
  struct message *message; /* a reference */
  uint64_t position;
  /* the channel, a line feed, which no name has, and the key; ptr NULL: it was appended */
  struct bytes key;
  char text[];
};

void latest_init(struct latest *latest) {
  *latest = (struct latest){.bytes = 0};
  table_init(&latest->by_key);
  list_init(&latest->all);
}

static void latest_drop(struct latest *latest, struct item *item) {
  latest->bytes -= message_len(item->message) + LATEST_PLACE;
  if (item->key.ptr) table_remove(&latest->by_key, item->key);
  list_remove(&item->link);
  message_unref(item->message);
  memory_free(item);
}

void latest_deinit(struct latest *latest) {
  while (!list_empty(&latest->all)) latest_drop_first(latest);
  table_deinit(&latest->by_key);
}

static struct item *latest_make(const struct message *message) {
  struct bytes channel = message->parts.channel, key = message->parts.key;
  struct item *item = memory_alloc(sizeof *item + channel.len + 1 + key.len);
  if (!item) return NULL;
  *item = (struct item){.message = NULL};
  memcpy(item->text, channel.ptr, channel.len);
  item->text[channel.len] = '\n';
  if (key.len > 0) memcpy(item->text + channel.len + 1, key.ptr, key.len);
  item->key = bytes_of(item->text, channel.len + 1 + key.len);
  return item;
}

static void latest_add(struct latest *latest, struct item *item, struct message *message, uint64_t position) {
  item->message = message_ref(message);
  item->position = position;
  list_append(&latest->all, &item->link);
  latest->bytes += message_len(message) + LATEST_PLACE;
}

int latest_put(struct latest *latest, struct message *message, uint64_t position, bool *replaced) {
  struct item *item = latest_make(message);
  if (!item) return MW_ENOMEM;
  struct item *older = table_get(&latest->by_key, item->key);
  *replaced = older != NULL;
  if (older) latest_drop(latest, older);
  if (table_set(&latest->by_key, item->key, item) < 0) {
    memory_free(item);
    return MW_ENOMEM;
  }
  latest_add(latest, item, message, position);
  return 0;
}

int latest_append(struct latest *latest, struct message *message, uint64_t position) {
  struct item *item = memory_alloc(sizeof *item);
  if (!item) return MW_ENOMEM;
  item->key = bytes_of(NULL, 0);
  latest_add(latest, item, message, position);
  return 0;
}

struct message *latest_first(const struct latest *latest, uint64_t *position) {
  if (list_empty(&latest->all)) return NULL;
  const struct item *item = container_of(latest->all.next, struct item, link);
  *position = item->position;
  return item->message;
}

void latest_drop_first(struct latest *latest) { latest_drop(latest, container_of(latest->all.next, struct item, link)); }

size_t latest_forget(struct latest *latest, struct bytes channel) {
  size_t count = 0;
  for (struct list *link = latest->all.next, *next; link != &latest->all; link = next) {
    struct item *item = container_of(link, struct item, link);
    next = link->next;
    if (!bytes_equal(item->message->parts.channel, channel)) continue;
    latest_drop(latest, item);
    count++;
  }
  return count;
}
