/* Publishes with an idempotency key, so that a repeated one gets the answer of the first. */
#ifndef MOONWIRE_APP_KEYS_IDEMPOTENCY_H
#define MOONWIRE_APP_KEYS_IDEMPOTENCY_H

#include "base/list.h"
#include "base/mail.h"
#include "base/table.h"
#include "moonwire.h"
#include "net/thread.h"

VISIBILITY_PUSH

enum { IDEMPOTENCY_KEYS = 10000, IDEMPOTENCY_MS = 5 * 60 * 1000, IDEMPOTENCY_KEY_MAX = 128 };

/* The publish that was the first with a key. Until its outcome is known, others with the key
 * wait. */
struct idempotent {
  struct list link; /* in by_age, once it is known */
  uint64_t time_ms; /* when it became known */
  bool is_known;
  char id[MW_ID_MAX];   /* what it was answered with; empty if the message is volatile */
  struct mail *waiters; /* newest first */
  size_t key_len;
  char key[];
};

struct idempotency {
  struct lock lock;
  struct table by_key;
  struct list by_age; /* those that are known, oldest first */
};

enum idempotent_turn {
  IDEMPOTENT_FIRST, /* the caller publishes; idempotency_settle must follow */
  /* `waiter` is posted when the outcome of the first is known; then it tries again */
  IDEMPOTENT_WAITS,
  IDEMPOTENT_KNOWN,  /* the id was written */
  IDEMPOTENT_FAILED, /* out of memory */
};

int idempotency_init(struct idempotency *idempotency);
/* There are no waiters any more. */
void idempotency_deinit(struct idempotency *idempotency);
/* Finds out what is to be done with a publish. `waiter` is addressed to the worker that is to try
 * again, and its size is 0; NULL: it is not noted, and the caller tries again with one. *entry is
 * set if it is the first. No lock is held afterwards. Any thread. */
enum idempotent_turn idempotency_enter(struct idempotency *idempotency, struct bytes key, uint64_t now_ms, struct mail *waiter,
                                       struct idempotent **entry, char id[MW_ID_MAX]);
/* The first was published with that id (status 0), or refused: then the key is free again. Returns
 * the mail of those that wait, which the caller posts, or NULL. Any thread. */
struct mail *idempotency_settle(struct idempotency *idempotency, struct idempotent *entry, int status, const char *id,
                                uint64_t now_ms);

VISIBILITY_POP

#endif
