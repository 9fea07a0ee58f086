/* An entry that every worker takes once, in order with the messages: a configuration, an epoch, a
 * position, or what happens to a channel. Private to the bus. */
#ifndef MOONWIRE_SERVER_BUS_ENTRY_H
#define MOONWIRE_SERVER_BUS_ENTRY_H

#include "hub/id.h"
#include "server/server.h"

VISIBILITY_PUSH

struct bus_entry {
  struct mw_config *config; /* a configuration; a reference */
  struct epoch epoch;       /* of one that begins */
  uint64_t position;        /* that every worker reaches with it; after which the epoch begins */
  struct bytes channel;     /* which the entry is about; after the mails */
  size_t worker_count;
  atomic_size_t left;  /* workers that have not taken it */
  struct mail mails[]; /* one for each worker, in their order (mail.to) */
};

/* Returns NULL if out of memory. */
struct bus_entry *bus_entry_new(size_t worker_count, const struct mail_class *class, struct bytes channel);
void bus_entry_free(struct bus_entry *entry);
/* Each mail has that size (0: it is free of the limits of the queues), and goes to its worker. */
void bus_entry_address(struct mail *mails, size_t count, const struct mail_class *class, uint32_t size);
static inline struct bus_entry *bus_entry_of(struct mail *mail) {
  return container_of(mail - mail->to.worker, struct bus_entry, mails[0]);
}
/* A worker has taken it, or never will. Returns how many had not before: with 1, the caller frees
 * it; otherwise it may be gone. */
static inline size_t bus_entry_leave(struct bus_entry *entry) { return atomic_fetch_sub(&entry->left, 1); }
/* The `drop` of every class of entries. */
void bus_entry_drop(struct mail *mail);
/* Posts it to every worker, or to none: MW_EUNAVAILABLE, as bus_reserve. Called with the lock of the
 * bus. */
int bus_entry_post(struct mw_server *server, struct bus_entry *entry, size_t *full);

VISIBILITY_POP

#endif
