/* An immutable, refcounted run of bytes, shared between messages, outboxes and threads. */
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

/* One reference, owned by the caller. NULL without memory or if len exceeds UINT32_MAX - 1.
 * `bytes.ptr` may be NULL: then the caller fills `data` before anybody else sees the blob. */
struct blob *blob_new(struct bytes bytes);
/* Returns its argument; NULL is allowed. */
struct blob *blob_ref(struct blob *blob);
/* NULL is allowed. */
void blob_unref(struct blob *blob);

static inline struct bytes blob_bytes(const struct blob *blob) {
  return blob ? bytes_of(blob->data, blob->len) : bytes_of(NULL, 0);
}

VISIBILITY_POP

#endif
