#include "server/bus_entry.h"

#include "base/memory.h"

int bus_reserve(struct worker *workers, size_t worker_count, size_t size, size_t *full) {
  for (size_t i = 0; i < worker_count; i++) {
    int status = mailbox_reserve(&workers[i].mailbox, size);
    if (status == 0) continue;
    *full = i;
    while (i-- > 0) mailbox_unreserve(&workers[i].mailbox, size);
    return status;
  }
  return 0;
}

void bus_post_reserved(struct worker *workers, struct mail *mails, size_t worker_count) {
  for (size_t i = 0; i < worker_count; i++) mailbox_post_reserved(&workers[i].mailbox, &mails[i]);
}

void bus_entry_address(struct mail *mails, size_t count, const struct mail_class *class, uint32_t size) {
  for (size_t i = 0; i < count; i++) mails[i] = (struct mail){.class = class, .to = {.worker = (uint32_t)i}, .size = size};
}

struct bus_entry *bus_entry_new(size_t worker_count, const struct mail_class *class, struct bytes channel) {
  size_t size = sizeof(struct bus_entry) + worker_count * sizeof(struct mail);
  struct bus_entry *entry = memory_calloc(1, size + channel.len);
  if (!entry) return NULL;
  char *text = (char *)entry + size;
  if (channel.len > 0) memcpy(text, channel.ptr, channel.len);
  entry->channel = bytes_of(text, channel.len);
  entry->worker_count = worker_count;
  atomic_init(&entry->left, worker_count);
  bus_entry_address(entry->mails, worker_count, class, mail_size(sizeof *entry));
  return entry;
}

void bus_entry_free(struct bus_entry *entry) {
  mw_config_unref(entry->config);
  memory_free(entry);
}

void bus_entry_drop(struct mail *mail) {
  struct bus_entry *entry = bus_entry_of(mail);
  if (bus_entry_leave(entry) == 1) bus_entry_free(entry);
}

int bus_entry_post(struct mw_server *server, struct bus_entry *entry, size_t *full) {
  int status = bus_reserve(server->workers, server->worker_count, entry->mails[0].size, full);
  if (status == 0) bus_post_reserved(server->workers, entry->mails, server->worker_count);
  return status;
}
