#include "base/blob.h"

#include "base/memory.h"
#include "base/refs.h"

struct blob *blob_new(struct bytes bytes) {
  if (bytes.len > UINT32_MAX - 1) return NULL;
  struct blob *blob = memory_alloc(sizeof(*blob) + bytes.len + 1);
  if (!blob) return NULL;
  atomic_init(&blob->refs, 1);
  blob->len = (uint32_t)bytes.len;
  if (bytes.ptr) memcpy(blob->data, bytes.ptr, bytes.len);
  blob->data[bytes.len] = '\0';
  object_count(OBJECT_BLOB, 1);
  return blob;
}

struct blob *blob_ref(struct blob *blob) {
  if (blob) refs_add(&blob->refs);
  return blob;
}

void blob_unref(struct blob *blob) {
  if (!blob || !refs_remove(&blob->refs)) return;
  object_count(OBJECT_BLOB, -1);
  memory_free(blob);
}
