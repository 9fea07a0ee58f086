#include "server/outbox.h"

#include <assert.h>

#include "base/memory.h"
#include "base/status.h"

struct outbox *outbox_new(void) {
  return memory_calloc(1, sizeof(struct outbox));
}

static struct outbox_slice *slice_at(const struct outbox *outbox, uint32_t index) {
  return &outbox->slices[(outbox->first + index) & (outbox->capacity - 1)];
}

void outbox_free(struct outbox *outbox) {
  if (!outbox) return;
  for (uint32_t i = 0; i < outbox->count; i++) blob_unref(slice_at(outbox, i)->blob);
  memory_free(outbox->slices);
  memory_free(outbox);
}

static bool grow(struct outbox *outbox) {
  uint32_t capacity = outbox->capacity > 0 ? outbox->capacity * 2 : 4;
  struct outbox_slice *slices = memory_alloc(capacity * sizeof *slices);
  if (!slices) return false;
  for (uint32_t i = 0; i < outbox->count; i++) slices[i] = *slice_at(outbox, i);
  memory_free(outbox->slices);
  outbox->slices = slices;
  outbox->capacity = capacity;
  outbox->first = 0;
  return true;
}

int outbox_push(struct outbox *outbox, struct blob *blob, struct bytes part) {
  assert(part.ptr >= blob->data && part.ptr + part.len <= blob->data + blob->len);
  if (part.len == 0) return 0;
  if (outbox->count == outbox->capacity && !grow(outbox)) return MW_ENOMEM;
  *slice_at(outbox, outbox->count++) =
      (struct outbox_slice){.blob = blob_ref(blob), .at = (uint32_t)(part.ptr - blob->data), .len = (uint32_t)part.len};
  outbox->bytes += part.len;
  return 0;
}

size_t outbox_peek(const struct outbox *outbox, struct bytes *slices, size_t max) {
  size_t count = outbox->count < max ? outbox->count : max;
  for (uint32_t i = 0; i < count; i++) {
    const struct outbox_slice *slice = slice_at(outbox, i);
    slices[i] = bytes_of(slice->blob->data + slice->at, slice->len);
  }
  return count;
}

void outbox_consume(struct outbox *outbox, size_t len) {
  assert(len <= outbox->bytes);
  outbox->bytes -= len;
  while (len > 0) {
    struct outbox_slice *slice = slice_at(outbox, 0);
    if (len < slice->len) {
      slice->at += (uint32_t)len;
      slice->len -= (uint32_t)len;
      return;
    }
    len -= slice->len;
    blob_unref(slice->blob);
    outbox->first = (outbox->first + 1) & (outbox->capacity - 1);
    outbox->count--;
  }
}
