#include "net/mailbox.h"

#include <assert.h>

#include "base/status.h"

int mailbox_init(struct mailbox *mailbox, struct loop *loop, size_t limit) {
  *mailbox = (struct mailbox){.loop = loop, .limit = limit};
  return uv_mutex_init(&mailbox->lock);
}

void mailbox_deinit(struct mailbox *mailbox) {
  assert(mailbox->reserved == 0);
  assert(!mailbox->first && !mailbox->drained);
  uv_mutex_destroy(&mailbox->lock);
}

void mailbox_set_limit(struct mailbox *mailbox, size_t limit) {
  uv_mutex_lock(&mailbox->lock);
  mailbox->limit = limit;
  uv_mutex_unlock(&mailbox->lock);
}

/* Call with the lock held. */
static bool has_room(const struct mailbox *mailbox, size_t size) { return size == 0 || mailbox->bytes + size <= mailbox->limit; }

/* Call with the lock held. Returns true if the queue was empty: then the taking thread must be
 * woken. */
static bool mailbox_append(struct mailbox *mailbox, struct mail *mail) {
  bool first = !mailbox->first;
  mail->next = NULL;
  if (first) {
    mailbox->first = mail;
  } else {
    mailbox->last->next = mail;
  }
  mailbox->last = mail;
  return first;
}

static void mailbox_wake(const struct mailbox *mailbox) {
  if (!loop_is_entered(mailbox->loop)) loop_wake(mailbox->loop);
}

int mailbox_post(struct mailbox *mailbox, struct mail *mail) {
  bool first = false;
  uv_mutex_lock(&mailbox->lock);
  bool fits = has_room(mailbox, mail->size);
  if (fits) {
    mailbox->bytes += mail->size;
    first = mailbox_append(mailbox, mail);
  }
  uv_mutex_unlock(&mailbox->lock);
  if (first) mailbox_wake(mailbox);
  return fits ? 0 : MW_EUNAVAILABLE;
}

int mailbox_reserve(struct mailbox *mailbox, size_t size) {
  uv_mutex_lock(&mailbox->lock);
  bool fits = has_room(mailbox, size);
  if (fits) {
    mailbox->bytes += size;
    mailbox->reserved += size;
  }
  uv_mutex_unlock(&mailbox->lock);
  return fits ? 0 : MW_EUNAVAILABLE;
}

void mailbox_post_reserved(struct mailbox *mailbox, struct mail *mail) {
  uv_mutex_lock(&mailbox->lock);
  mailbox->reserved -= mail->size;
  bool first = mailbox_append(mailbox, mail);
  uv_mutex_unlock(&mailbox->lock);
  if (first) mailbox_wake(mailbox);
}

void mailbox_unreserve(struct mailbox *mailbox, size_t size) {
  uv_mutex_lock(&mailbox->lock);
  mailbox->bytes -= size;
  mailbox->reserved -= size;
  uv_mutex_unlock(&mailbox->lock);
}

struct mail *mailbox_take(struct mailbox *mailbox) {
  if (!mailbox->drained) {
    uv_mutex_lock(&mailbox->lock);
    mailbox->drained = mailbox->first;
    mailbox->first = NULL;
    mailbox->bytes = mailbox->reserved;
    uv_mutex_unlock(&mailbox->lock);
  }
  struct mail *mail = mailbox->drained;
  if (mail) mailbox->drained = mail->next;
  return mail;
}

bool mailbox_empty(struct mailbox *mailbox) {
  if (mailbox->drained) return false;
  uv_mutex_lock(&mailbox->lock);
  bool empty = !mailbox->first;
  uv_mutex_unlock(&mailbox->lock);
  return empty;
}

void mailbox_drop(struct mailbox *mailbox) {
  struct mail *mail;
  while ((mail = mailbox_take(mailbox)) != NULL) mail->class->drop(mail);
}
