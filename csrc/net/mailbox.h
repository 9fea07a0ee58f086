/* A first-in first-out queue between threads. Anybody posts; one loop drains, and is woken when there is something. */
#ifndef MOONWIRE_NET_MAILBOX_H
#define MOONWIRE_NET_MAILBOX_H

#include "net/loop.h"

VISIBILITY_PUSH

struct mail {
  unsigned type; /* the owner's */
  void *item;    /* what it is about; who posts gives it away */
  size_t size;   /* bytes it counts against the limit */
};

struct mailbox {
  uv_mutex_t lock;
  struct loop *loop; /* whose turn drains it */
  struct mail *mails;
  size_t count, capacity;
  size_t reserved; /* places that are promised */
  size_t bytes;    /* of what waits */
  size_t limit;
  struct mail *drained; /* the list that was swapped out; used by the drainer alone */
  size_t drained_count, drained_capacity, drained_next;
};

int mailbox_init(struct mailbox *mailbox, struct loop *loop, size_t limit);
/* What still waits must have been drained. */
void mailbox_deinit(struct mailbox *mailbox);

/* Appends and wakes the loop. MW_EUNAVAILABLE over the limit in bytes (never for a size of 0), MW_ENOMEM. Any thread. */
int mailbox_post(struct mailbox *mailbox, struct mail mail);
/* Keeps a place for one mail, which mailbox_post_reserved fills (it cannot fail) or mailbox_unreserve gives back. Any thread. */
int mailbox_reserve(struct mailbox *mailbox, size_t size);
void mailbox_post_reserved(struct mailbox *mailbox, struct mail mail);
void mailbox_unreserve(struct mailbox *mailbox);
/* Takes the oldest; false if there is none. The drainer's thread. Fetches all that waits in one swap when its last catch is used up. */
bool mailbox_take(struct mailbox *mailbox, struct mail *mail);
bool mailbox_empty(struct mailbox *mailbox);

VISIBILITY_POP

#endif
