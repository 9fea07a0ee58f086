/* What one thread wants of another: a node inside what it is about, so that posting it needs no
 * memory (net/mailbox.h). */
#ifndef MOONWIRE_BASE_MAIL_H
#define MOONWIRE_BASE_MAIL_H

#include <stddef.h>
#include <stdint.h>

#include "base/address.h"

struct mail;
struct subscriber;

/* What is done with the mail of one kind. Exactly one of the two is called for each mail that was
 * posted. */
struct mail_class {
  /* Carries it out, and frees it. `room` is what the queue belongs to; `subscriber` is whom it is
   * addressed to, NULL if that has gone, or if the room has no subscribers. Called on the thread
   * that drains the queue. */
  void (*take)(struct mail *mail, void *room, struct subscriber *subscriber);
  /* Frees it: nobody will carry it out. */
  void (*drop)(struct mail *mail);
};

struct mail {
  struct mail *next; /* the queue's */
  const struct mail_class *class;
  struct address to; /* the session that it is about, or just the worker */
  /* bytes that it counts against the limit of the queue; 0: it is free of the limit */
  uint32_t size;
};

static inline uint32_t mail_size(size_t size) { return size < UINT32_MAX ? (uint32_t)size : UINT32_MAX; }

#endif
