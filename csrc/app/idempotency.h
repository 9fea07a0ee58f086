/* Publishes that carried an idempotency key, so that one that is sent again is answered as the first was. */
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
  bool is_known;      /* it was published: */
  char id[MW_ID_MAX]; /* what it was answered with; empty if the message is volatile */
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
/* The entry of the key, which is new if it is not known: then the caller publishes. NULL without memory. Otherwise everybody else
 * waits until idempotency_end, so that of two publishes at once one is the first. */
struct idempotent *idempotency_begin(struct idempotency *idempotency, struct bytes key, uint64_t now_ms);
/* Keeps the entry if it is known now. */
void idempotency_end(struct idempotency *idempotency, struct idempotent *entry);

VISIBILITY_POP

#endif
