#include "delivery/outbox.h"

#include <assert.h>

#include "base/array.h"
#include "base/memory.h"
#include "base/status.h"

struct outbox *outbox_new(void) {
  return memory_calloc(1, sizeof(struct outbox));
}

static struct outbox_slice *slice_at(const struct outbox *outbox, uint32_t index) {
  return &outbox->slices[(outbox->first + index) & (outbox->capacity - 1)];
}

static void outbox_release(struct outbox_slice *slice) {
  blob_unref(slice->blob);
  message_unref(slice->message);
}

void outbox_free(struct outbox *outbox) {
  if (!outbox) return;
  for (uint32_t i = 0; i < outbox->count; i++) outbox_release(slice_at(outbox, i));
  memory_free(outbox->slices);
  memory_free(outbox);
}

static bool outbox_grow(struct outbox *outbox) {
  uint32_t capacity = outbox->capacity > 0 ? outbox->capacity * 2 : 4;
  struct outbox_slice *slices =
      array_unroll(outbox->slices, sizeof *slices, outbox->capacity, outbox->first, outbox->count, capacity);
  if (!slices) return false;
  outbox->slices = slices;
  outbox->capacity = capacity;
  outbox->first = 0;
  return true;
}

int outbox_push(struct outbox *outbox, struct blob *blob, struct bytes part, struct message *message, uint64_t now_ms) {
  assert(part.ptr >= blob->data && part.ptr + part.len <= blob->data + blob->len);
  if (part.len == 0) return 0;
  if (outbox->count == outbox->capacity && !outbox_grow(outbox)) return MW_ENOMEM;
  *slice_at(outbox, outbox->count++) = (struct outbox_slice){.blob = blob_ref(blob),
                                                             .message = message ? message_ref(message) : NULL,
                                                             .at = (uint32_t)(part.ptr - blob->data),
                                                             .len = (uint32_t)part.len,
                                                             .pushed_ms = (uint32_t)now_ms};
  outbox->bytes += part.len;
  if (message) outbox->message_bytes += part.len;
  if (message) outbox->message_count++;
  return 0;
}

void outbox_continue(struct outbox *outbox) {
  if (outbox->count > 0) slice_at(outbox, outbox->count - 1)->continues = true;
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
    size_t taken = len < slice->len ? len : slice->len;
    if (slice->message) outbox->message_bytes -= taken;
    if (taken < slice->len) {
      slice->at += (uint32_t)taken;
      slice->len -= (uint32_t)taken;
      outbox->is_begun = true;
      return;
    }
    len -= taken;
    if (slice->message) outbox->message_count--;
    outbox->is_begun = slice->continues;
    outbox_release(slice);
    outbox->first = (outbox->first + 1) & (outbox->capacity - 1);
    outbox->count--;
  }
}

size_t outbox_messages_size(const struct outbox *outbox) {
  return outbox ? outbox->message_bytes + (size_t)outbox->message_count * OUTBOX_PLACE : 0;
}

size_t outbox_own_size(const struct outbox *outbox) {
  if (!outbox) return 0;
  return outbox->bytes - outbox->message_bytes + (size_t)(outbox->count - outbox->message_count) * OUTBOX_OWN;
}

uint64_t outbox_age_ms(const struct outbox *outbox, uint64_t now_ms) {
  for (uint32_t i = 0; i < outbox->count; i++) {
    const struct outbox_slice *slice = slice_at(outbox, i);
    if (slice->message) return (uint32_t)now_ms - slice->pushed_ms;
  }
  return 0;
}

/* Drops what the sink does not hold and has not begun: all of it, or the messages alone. */
static void outbox_take_out(struct outbox *outbox, bool all, void (*on_drop)(void *context, struct message *message),
                            void *context) {
  uint32_t kept = 0;
  size_t passed = 0;
  bool is_begun = outbox->is_begun;
  for (uint32_t i = 0; i < outbox->count; i++) {
    struct outbox_slice slice = *slice_at(outbox, i);
    bool taken = passed < outbox->writing || is_begun;
    passed += slice.len;
    is_begun = is_begun && slice.continues;
    if (taken || !(slice.message || all)) {
      *slice_at(outbox, kept++) = slice;
      continue;
    }
    outbox->bytes -= slice.len;
    if (slice.message) outbox->message_bytes -= slice.len;
    if (slice.message) outbox->message_count--;
    if (on_drop) on_drop(context, slice.message);
    outbox_release(&slice);
  }
  outbox->count = kept;
}

void outbox_drop_messages(struct outbox *outbox, void (*on_drop)(void *context, struct message *message), void *context) {
  outbox_take_out(outbox, false, on_drop, context);
}

void outbox_drop_all(struct outbox *outbox) { outbox_take_out(outbox, true, NULL, NULL); }
