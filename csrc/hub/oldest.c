#include "hub/oldest.h"

#include <assert.h>

#include "base/array.h"
#include "base/memory.h"
#include "base/status.h"
#include "hub/store.h"

void oldest_init(struct oldest *oldest) { *oldest = (struct oldest){.count = 0}; }

void oldest_deinit(struct oldest *oldest) {
  assert(oldest->count == 0);
  memory_free(oldest->heap);
}

/* The index 0 means that a channel is not in the heap. */
static void oldest_put(struct oldest *oldest, uint32_t at, struct stored *stored) {
  oldest->heap[at] = stored;
  stored->oldest_place = at + 1;
}

static void sift_up(struct oldest *oldest, uint32_t at) {
  struct stored *stored = oldest->heap[at];
  while (at > 0 && stored->oldest_position < oldest->heap[(at - 1) / 2]->oldest_position) {
    oldest_put(oldest, at, oldest->heap[(at - 1) / 2]);
    at = (at - 1) / 2;
  }
  oldest_put(oldest, at, stored);
}

static void sift_down(struct oldest *oldest, uint32_t at) {
  struct stored *stored = oldest->heap[at];
  for (;;) {
    uint32_t child = 2 * at + 1;
    if (child >= oldest->count) break;
    bool right = child + 1 < oldest->count && oldest->heap[child + 1]->oldest_position < oldest->heap[child]->oldest_position;
    if (right) child++;
    if (stored->oldest_position <= oldest->heap[child]->oldest_position) break;
    oldest_put(oldest, at, oldest->heap[child]);
    at = child;
  }
  oldest_put(oldest, at, stored);
}

int oldest_reserve(struct oldest *oldest, uint32_t count) {
  struct stored **grown =
      array_reserve(oldest->heap, sizeof *grown, &oldest->capacity, (size_t)oldest->count + count, UINT32_MAX);
  if (!grown) return MW_ENOMEM;
  oldest->heap = grown;
  return 0;
}

int oldest_add(struct oldest *oldest, struct stored *stored, uint64_t position) {
  if (stored->oldest_place > 0) return 0;
  if (oldest_reserve(oldest, 1) < 0) return MW_ENOMEM;
  stored->oldest_position = position;
  oldest_put(oldest, oldest->count, stored);
  sift_up(oldest, oldest->count++);
  return 0;
}

void oldest_remove(struct oldest *oldest, struct stored *stored) {
  if (stored->oldest_place == 0) return;
  uint32_t at = stored->oldest_place - 1;
  struct stored *last = oldest->heap[--oldest->count];
  stored->oldest_place = 0;
  if (last == stored) return;
  oldest_put(oldest, at, last);
  sift_up(oldest, at);
  sift_down(oldest, last->oldest_place - 1);
}

struct stored *oldest_top(struct oldest *oldest) {
  while (oldest->count > 0) {
    struct stored *stored = oldest->heap[0];
    if (stored->history.count == 0) {
      oldest_remove(oldest, stored);
      continue;
    }
    uint64_t position = history_at(&stored->history, 0)->position;
    if (position < stored->fetched) position = stored->fetched;
    if (stored->oldest_position == position) return stored;
    stored->oldest_position = position;
    sift_down(oldest, 0);
  }
  return NULL;
}
