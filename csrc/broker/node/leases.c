#include "broker/node/leases.h"

#include "base/memory.h"
#include "broker/node/node.h"

enum { LEASES_MAX = 64 };

struct noted_lease {
  struct list link; /* in broker->leases */
  uint64_t holder;
  size_t len;
  char name[];
};

static struct noted_lease *noted_of(const struct list *link) { return container_of(link, struct noted_lease, link); }

static void forget(struct broker *broker, struct noted_lease *noted) {
  list_remove(&noted->link);
  broker->lease_count--;
  memory_free(noted);
}

static struct noted_lease *find(const struct broker *broker, const struct broker_lease *lease) {
  for (struct list *link = broker->leases.next; link != &broker->leases; link = link->next) {
    struct noted_lease *noted = noted_of(link);
    if (noted->holder == lease->holder && bytes_equal(bytes_of(noted->name, noted->len), lease->name)) return noted;
  }
  return NULL;
}

void leases_note(struct broker *broker, const struct broker_lease *lease, bool may_have) {
  struct noted_lease *noted = find(broker, lease);
  if (noted && !may_have) forget(broker, noted);
  if (noted || !may_have || broker->lease_count == LEASES_MAX) return;
  noted = memory_alloc(sizeof *noted + lease->name.len + 1);
  if (!noted) return;
  *noted = (struct noted_lease){.holder = lease->holder, .len = lease->name.len};
  if (noted->len > 0) memcpy(noted->name, lease->name.ptr, noted->len);
  list_append(&broker->leases, &noted->link);
  broker->lease_count++;
}

void leases_free(struct broker *broker) {
  while (!list_empty(&broker->leases)) forget(broker, noted_of(broker->leases.next));
}

void leases_add_keys(struct arguments *arguments, const struct broker *broker) {
  for (const struct list *link = broker->leases.next; link != &broker->leases; link = link->next)
    arguments_add_key(arguments, broker, "o", bytes_of(noted_of(link)->name, noted_of(link)->len));
}

void leases_add_holders(struct arguments *arguments, const struct broker *broker) {
  for (const struct list *link = broker->leases.next; link != &broker->leases; link = link->next)
    leases_add_holder(arguments, broker, noted_of(link)->holder);
}

void leases_add_holder(struct arguments *arguments, const struct broker *broker, uint64_t holder) {
  buffer_append(&arguments->texts, broker->options.node);
  buffer_append_char(&arguments->texts, '.');
  buffer_append_u64(&arguments->texts, holder);
  arguments_end_one(arguments);
}
