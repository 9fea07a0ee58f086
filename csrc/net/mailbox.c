#include "net/mailbox.h"

#include <assert.h>

#include "base/memory.h"
#include "base/status.h"

/* A list that grew beyond this many is given back once it is empty. */
enum { KEPT = 1024 };

int mailbox_init(struct mailbox *mailbox, struct loop *loop, size_t limit) {
  *mailbox = (struct mailbox){.loop = loop, .limit = limit};
  return uv_mutex_init(&mailbox->lock);
}

void mailbox_deinit(struct mailbox *mailbox) {
  assert(mailbox->reserved == 0);
  assert(mailbox->count == 0 && mailbox->drained_next == mailbox->drained_count);
  memory_free(mailbox->mails);
  memory_free(mailbox->drained);
  uv_mutex_destroy(&mailbox->lock);
}

/* With the lock held: room for one more beside those promised. */
static int make_room(struct mailbox *mailbox, size_t size) {
  if (size > 0 && mailbox->bytes + size > mailbox->limit) return MW_EUNAVAILABLE;
  if (mailbox->count + mailbox->reserved < mailbox->capacity) return 0;
  size_t capacity = mailbox->capacity > 0 ? mailbox->capacity * 2 : 16;
  struct mail *grown = memory_realloc(mailbox->mails, capacity * sizeof *grown);
  if (!grown) return MW_ENOMEM;
  mailbox->mails = grown;
  mailbox->capacity = capacity;
  return 0;
}

static void append(struct mailbox *mailbox, struct mail mail) {
  mailbox->mails[mailbox->count++] = mail;
  mailbox->bytes += mail.size;
}

int mailbox_reserve(struct mailbox *mailbox, size_t size) {
  uv_mutex_lock(&mailbox->lock);
  int status = make_room(mailbox, size);
  if (status == 0) mailbox->reserved++;
  uv_mutex_unlock(&mailbox->lock);
  return status;
}

void mailbox_post_reserved(struct mailbox *mailbox, struct mail mail) {
  uv_mutex_lock(&mailbox->lock);
  mailbox->reserved--;
  append(mailbox, mail);
  uv_mutex_unlock(&mailbox->lock);
  /* Also if others wait already: the drainer passes over a list in which places are promised. */
  loop_wake(mailbox->loop);
}

void mailbox_unreserve(struct mailbox *mailbox) {
  uv_mutex_lock(&mailbox->lock);
  mailbox->reserved--;
  uv_mutex_unlock(&mailbox->lock);
  loop_wake(mailbox->loop);
}

int mailbox_post(struct mailbox *mailbox, struct mail mail) {
  uv_mutex_lock(&mailbox->lock);
  int status = make_room(mailbox, mail.size);
  bool first = mailbox->count == 0;
  if (status == 0) append(mailbox, mail);
  uv_mutex_unlock(&mailbox->lock);
  if (status == 0 && first) loop_wake(mailbox->loop);
  return status;
}

/* The list that waits becomes the one that is drained, and the used-up one takes its place. */
static bool swap(struct mailbox *mailbox) {
  if (mailbox->drained_capacity > KEPT) {
    memory_free(mailbox->drained);
    mailbox->drained = NULL;
    mailbox->drained_capacity = 0;
  }
  uv_mutex_lock(&mailbox->lock);
  if (mailbox->reserved > mailbox->drained_capacity) {
    uv_mutex_unlock(&mailbox->lock);
    return false;
  }
  struct mail *mails = mailbox->mails;
  size_t count = mailbox->count, capacity = mailbox->capacity;
  mailbox->mails = mailbox->drained;
  mailbox->capacity = mailbox->drained_capacity;
  mailbox->count = mailbox->bytes = 0;
  uv_mutex_unlock(&mailbox->lock);
  mailbox->drained = mails;
  mailbox->drained_capacity = capacity;
  mailbox->drained_count = count;
  mailbox->drained_next = 0;
  return count > 0;
}

bool mailbox_take(struct mailbox *mailbox, struct mail *mail) {
  if (mailbox->drained_next == mailbox->drained_count && (mailbox_empty(mailbox) || !swap(mailbox))) return false;
  *mail = mailbox->drained[mailbox->drained_next++];
  return true;
}

bool mailbox_empty(struct mailbox *mailbox) {
  if (mailbox->drained_next < mailbox->drained_count) return false;
  uv_mutex_lock(&mailbox->lock);
  bool empty = mailbox->count == 0;
  uv_mutex_unlock(&mailbox->lock);
  return empty;
}
