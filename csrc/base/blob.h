/* An immutable, reference-counted run of bytes, shared between messages, outboxes, and threads. */
#ifndef MOONWIRE_BASE_BLOB_H
#define MOONWIRE_BASE_BLOB_H

#include <stdatomic.h>

#include "base/bytes.h"

VISIBILITY_PUSH

struct blob {
  atomic_uint refs;
  uint32_t len;
  char data[]; /* len bytes and a terminating NUL that len does not count */
};

/* Returns a copy of `bytes` with one reference, which the caller owns. If bytes.ptr is NULL, the
 * caller fills `data` before it shares the blob. Returns NULL if out of memory, or if len exceeds
 * UINT32_MAX - 1. */
struct blob *blob_new(struct bytes bytes);
/* Adds a reference and returns `blob`. NULL is allowed. Any thread. */
struct blob *blob_ref(struct blob *blob);
/* Releases a reference; the last one frees the blob. NULL is allowed. Any thread. */
void blob_unref(struct blob *blob);

static inline struct bytes blob_bytes(const struct blob *blob) {
  return blob ? bytes_of(blob->data, blob->len) : bytes_of(NULL, 0);
}

VISIBILITY_POP

#endif
