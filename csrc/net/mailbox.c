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

/* Call with the lock held. */
static void mailbox_append(struct mailbox *mailbox, struct mail *mail) {
  mail->next = NULL;
  if (!mailbox->first) {
    mailbox->first = mail;
  } else {
    mailbox->last->next = mail;
  }
  mailbox->last = mail;
}

/* ---- Waking ---------------------------------------------------------------------------------- */

/* Mailboxes that this thread has posted to without waking their loops. */
static _Thread_local struct held {
  bool is_active;
  size_t count;
  struct mailbox *items[64];
} held;

/* Call with the lock held. Returns true if the caller must call mailbox_wake, without the lock. */
static bool mailbox_must_wake(struct mailbox *mailbox) {
  bool must = mailbox->first && !mailbox->is_woken;
  if (must) mailbox->is_woken = true;
  return must;
}

static void mailbox_wake(const struct mailbox *mailbox) {
  if (!loop_is_entered(mailbox->loop)) loop_wake(mailbox->loop);
}

/* Returns true if mailbox_release_wakes will wake it. */
static bool mailbox_is_held(struct mailbox *mailbox) {
  if (!held.is_active) return false;
  for (size_t i = 0; i < held.count; i++) {
    if (held.items[i] == mailbox) return true;
  }
  if (held.count == sizeof held.items / sizeof held.items[0]) return false;
  held.items[held.count++] = mailbox;
  return true;
}

void mailbox_hold_wakes(void) { held.is_active = true; }

void mailbox_release_wakes(void) {
  held.is_active = false;
  for (; held.count > 0; held.count--) {
    struct mailbox *mailbox = held.items[held.count - 1];
    uv_mutex_lock(&mailbox->lock);
    bool must = mailbox_must_wake(mailbox);
    uv_mutex_unlock(&mailbox->lock);
    if (must) mailbox_wake(mailbox);
  }
}

/* ---- Posting --------------------------------------------------------------------------------- */

int mailbox_post(struct mailbox *mailbox, struct mail *mail) {
  bool must = false;
  uv_mutex_lock(&mailbox->lock);
  bool fits = has_room(mailbox, mail->size);
  if (fits) {
    mailbox->bytes += mail->size;
    mailbox_append(mailbox, mail);
    must = mailbox_must_wake(mailbox);
  }
  uv_mutex_unlock(&mailbox->lock);
  if (must) mailbox_wake(mailbox);
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
  mailbox_append(mailbox, mail);
  bool must = !mailbox_is_held(mailbox) && mailbox_must_wake(mailbox);
  uv_mutex_unlock(&mailbox->lock);
  if (must) mailbox_wake(mailbox);
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
    mailbox->is_woken = false;
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
