/* A first-in first-out queue of mail between threads. Any thread posts; one loop drains, and is woken when there is something. */
#ifndef MOONWIRE_NET_MAILBOX_H
#define MOONWIRE_NET_MAILBOX_H

#include "base/mail.h"
#include "net/loop.h"

VISIBILITY_PUSH

struct mailbox {
  uv_mutex_t lock;
  struct loop *loop;         /* whose turn drains it */
  struct mail *first, *last; /* what waits; `last` is meaningless if nothing does */
  size_t bytes;              /* of what waits, and of what is promised */
  size_t reserved;           /* the part of them that is promised */
  size_t limit;
  struct mail *drained; /* the list that was taken out; used by the drainer alone */
};

int mailbox_init(struct mailbox *mailbox, struct loop *loop, size_t limit);
/* What still waits must have been taken. */
void mailbox_deinit(struct mailbox *mailbox);

/* Appends the mail, which must be in no queue, and wakes the loop. 0, or MW_EUNAVAILABLE over the limit in bytes, never for a size of 0: then
 * the mail is still the caller's. Any thread. */
int mailbox_post(struct mailbox *mailbox, struct mail *mail);
/* Keeps room for a mail of that size, which mailbox_post_reserved fills (it cannot fail) or mailbox_unreserve gives back. MW_EUNAVAILABLE.
 * Any thread. */
int mailbox_reserve(struct mailbox *mailbox, size_t size);
void mailbox_post_reserved(struct mailbox *mailbox, struct mail *mail);
void mailbox_unreserve(struct mailbox *mailbox, size_t size);
/* Takes the oldest; NULL if there is none. The drainer's thread. Fetches all that waits at once when its last catch is used up. */
struct mail *mailbox_take(struct mailbox *mailbox);
bool mailbox_empty(struct mailbox *mailbox);
/* Takes everything and drops it. The drainer's thread. */
void mailbox_drop(struct mailbox *mailbox);

VISIBILITY_POP

#endif
