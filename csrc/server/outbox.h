/* What is still to be written to one peer: references to shared bytes, in order, counted. Exists only while there is something. */
#ifndef MOONWIRE_SERVER_OUTBOX_H
#define MOONWIRE_SERVER_OUTBOX_H

#include "base/blob.h"

VISIBILITY_PUSH

struct outbox_slice {
  struct blob *blob; /* a reference */
  uint32_t at, len;
};

struct outbox {
  struct outbox_slice *slices; /* a ring, its capacity a power of two */
  uint32_t capacity, first, count;
  size_t bytes;
  size_t allowance;  /* bytes of a replay that were let in beyond the limit */
  size_t writing;    /* slices that a stream_write has taken; they stay until it is over */
  size_t seen_bytes; /* what of that was unsent when progress was last looked at */
};

struct outbox *outbox_new(void);         /* NULL without memory */
void outbox_free(struct outbox *outbox); /* NULL is allowed */
/* Appends a part of a blob, keeping a reference of its own. 0 or MW_ENOMEM. */
int outbox_push(struct outbox *outbox, struct blob *blob, struct bytes part);
/* The first slices, up to `max`; returns how many. */
size_t outbox_peek(const struct outbox *outbox, struct bytes *slices, size_t max);
/* Drops the first `len` bytes. */
void outbox_consume(struct outbox *outbox, size_t len);

VISIBILITY_POP

#endif
