#include "base/memory.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"

static void *resize_default(void *context, void *ptr, size_t size) {
  (void)context;
  if (size == 0) {
    free(ptr);
    return NULL;
  }
  return realloc(ptr, size);
}

/* Set before the first allocation and never changed after it, so it does not need a lock. */
static mw_resize_fn resize_with = resize_default;
static void *resize_context;

/* Two threads that count in the same cache line take turns at it: an allocation would cost several
 * times as much. So each thread has a lane of its own (beyond LANES threads, some share one). Only the
 * sum over the lanes means something: what one thread allocates, another may free. All operations on
 * them are relaxed: nothing else is published by a count. */
enum { LANES = 64, LANE_BYTES = 128 };
static struct lane {
  _Alignas(LANE_BYTES) atomic_int_fast64_t live;
  atomic_int_fast64_t objects[OBJECT_KIND_COUNT];
} lanes[LANES];
static atomic_uint lane_count; /* that were given out */
static _Thread_local struct lane *own_lane;

static atomic_uint_fast64_t fail_countdown; /* of tests; 0: no allocation fails */

/* Relaxed: each thread receives a number of its own, and no more is needed. */
static struct lane *take_lane(void) {
  own_lane = &lanes[atomic_fetch_add_explicit(&lane_count, 1, memory_order_relaxed) % LANES];
  return own_lane;
}

static inline void lane_add(atomic_int_fast64_t *count, int change) {
  atomic_fetch_add_explicit(count, change, memory_order_relaxed);
}

static inline struct lane *lane_get(void) { return own_lane ? own_lane : take_lane(); }

/* Counts down. Returns true for the allocation that brings the count to 0. The load is relaxed,
 * because the exchange corrects what was read, and because every allocation does this. */
static bool must_fail(void) {
  uint_fast64_t left = atomic_load_explicit(&fail_countdown, memory_order_relaxed);
  while (left > 0) {
    if (atomic_compare_exchange_weak(&fail_countdown, &left, left - 1)) return left == 1;
  }
  return false;
}

void *memory_realloc(void *ptr, size_t size) {
  if (must_fail()) return NULL;
  void *moved = resize_with(resize_context, ptr, size > 0 ? size : 1);
  if (moved && !ptr) lane_add(&lane_get()->live, 1);
  return moved;
}

void *memory_alloc(size_t size) { return memory_realloc(NULL, size); }

void *memory_calloc(size_t count, size_t size) {
  if (size > 0 && count > SIZE_MAX / size) return NULL;
  void *ptr = memory_alloc(count * size);
  if (ptr) memset(ptr, 0, count * size);
  return ptr;
}

void memory_free(void *ptr) {
  if (!ptr) return;
  lane_add(&lane_get()->live, -1);
  resize_with(resize_context, ptr, 0);
}

char *memory_copy(const char *ptr, size_t len) {
  if (len == SIZE_MAX) return NULL;
  char *copy = memory_alloc(len + 1);
  if (!copy) return NULL;
  if (len > 0) memcpy(copy, ptr, len);
  copy[len] = '\0';
  return copy;
}

void memory_set_allocator(void *(*resize)(void *context, void *ptr, size_t size), void *context) {
  resize_with = resize ? resize : resize_default;
  resize_context = context;
}

void memory_fail_after(uint64_t countdown) { atomic_store(&fail_countdown, countdown); }

int64_t memory_live(void) {
  int64_t sum = 0;
  for (size_t i = 0; i < LANES; i++) sum += atomic_load_explicit(&lanes[i].live, memory_order_relaxed);
  return sum;
}

void object_count(enum object_kind kind, int change) { lane_add(&lane_get()->objects[kind], change); }

int64_t object_live(enum object_kind kind) {
  int64_t sum = 0;
  for (size_t i = 0; i < LANES; i++) sum += atomic_load_explicit(&lanes[i].objects[kind], memory_order_relaxed);
  return sum;
}

const char *object_name(enum object_kind kind) {
  switch (kind) {
    case OBJECT_CONN: return "conn";
    case OBJECT_SESSION: return "session";
    case OBJECT_CLIENT: return "client";
    case OBJECT_REQUEST: return "request";
    case OBJECT_MEMBERSHIP: return "membership";
    case OBJECT_CHANNEL: return "channel";
    case OBJECT_MESSAGE: return "message";
    case OBJECT_BLOB: return "blob";
    case OBJECT_SUBSCRIPTION: return "subscription";
    case OBJECT_KIND_COUNT: break;
  }
  return "unknown";
}

void mw_set_allocator(mw_resize_fn resize, void *context) { memory_set_allocator(resize, context); }

int64_t mw_live(const char *what) {
  if (strcmp(what, "memory") == 0) return memory_live();
  for (int kind = 0; kind < OBJECT_KIND_COUNT; kind++) {
    if (strcmp(what, object_name((enum object_kind)kind)) == 0) return object_live((enum object_kind)kind);
  }
  return -1;
}
