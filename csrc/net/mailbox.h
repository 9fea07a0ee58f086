/* A bounded first-in first-out queue of mail between threads. Any thread posts; one loop takes, and
 * is woken when there is mail. */
#ifndef MOONWIRE_NET_MAILBOX_H
#define MOONWIRE_NET_MAILBOX_H

#include "base/mail.h"
#include "net/loop.h"

VISIBILITY_PUSH

struct mailbox {
  uv_mutex_t lock;
  struct loop *loop;         /* the loop whose turn takes the mail */
  struct mail *first, *last; /* queued mail; `last` is valid only if there is some */
  bool is_woken;             /* the loop was woken for it */
  size_t bytes;              /* of queued and of reserved mail */
  size_t reserved;           /* the reserved part */
  size_t limit;
  struct mail *drained; /* mail that was fetched; only for the thread that takes it */
};

int mailbox_init(struct mailbox *mailbox, struct loop *loop, size_t limit);
/* Replaces the limit. What is queued beyond it stays. Any thread. */
void mailbox_set_limit(struct mailbox *mailbox, size_t limit);
/* Frees the mailbox. All mail must have been taken. */
void mailbox_deinit(struct mailbox *mailbox);

/* Appends a mail, which must not be in a queue, and wakes the loop if necessary. Returns 0, or MW_EUNAVAILABLE
 * over the limit in bytes, which is never the case for a size of 0: the mail then stays the
 * caller's. Any thread. */
int mailbox_post(struct mailbox *mailbox, struct mail *mail);
/* Reserves room for a mail of that size. mailbox_post_reserved uses it and cannot fail;
 * mailbox_unreserve releases it. Returns 0 or MW_EUNAVAILABLE. Any thread. */
int mailbox_reserve(struct mailbox *mailbox, size_t size);
void mailbox_post_reserved(struct mailbox *mailbox, struct mail *mail);
void mailbox_unreserve(struct mailbox *mailbox, size_t size);
/* Between these calls, mailbox_post_reserved on this thread wakes no loop; mailbox_release_wakes does,
 * each once. So several messages of one request take one waking of each worker. Not nested; what
 * happens in between must not wait for another thread. */
void mailbox_hold_wakes(void);
void mailbox_release_wakes(void);
/* Takes the oldest mail, or returns NULL if there is none. Fetches all queued mail whenever what it
 * fetched before is used up. The taking thread. */
struct mail *mailbox_take(struct mailbox *mailbox);
bool mailbox_empty(struct mailbox *mailbox);
/* Takes all mail and drops it. The taking thread. */
void mailbox_drop(struct mailbox *mailbox);

VISIBILITY_POP

#endif
