/* Publishes with an idempotency key, so that a repeated one gets the answer of the first. */
#ifndef MOONWIRE_APP_IDEMPOTENCY_H
#define MOONWIRE_APP_IDEMPOTENCY_H

#include "base/list.h"
#include "base/table.h"
#include "moonwire.h"
#include "net/thread.h"

VISIBILITY_PUSH

enum { IDEMPOTENCY_KEYS = 10000, IDEMPOTENCY_MS = 5 * 60 * 1000, IDEMPOTENCY_KEY_MAX = 128 };

struct idempotent {
  struct list link; /* in by_age */
  uint64_t time_ms;
  bool is_known;      /* the first was published */
  char id[MW_ID_MAX]; /* its id; empty if the message is volatile */
  size_t key_len;
  char key[];
};

struct idempotency {
  struct lock lock;
  struct table by_key;
  struct list by_age; /* oldest first */
};

int idempotency_init(struct idempotency *idempotency);
void idempotency_deinit(struct idempotency *idempotency);
/* Returns the entry of the key. If it is not known, the caller publishes. All other threads wait
 * until idempotency_end, so that of two simultaneous publishes one is the first. Returns NULL if
 * out of memory. */
struct idempotent *idempotency_begin(struct idempotency *idempotency, struct bytes key, uint64_t now_ms);
/* Ends it, and keeps the entry if it is known now. */
void idempotency_end(struct idempotency *idempotency, struct idempotent *entry);

VISIBILITY_POP

#endif
