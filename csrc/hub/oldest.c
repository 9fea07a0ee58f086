#include "hub/oldest.h"

#include <assert.h>

#include "base/array.h"
#include "base/memory.h"
#include "base/status.h"

void oldest_init(struct oldest *oldest) { *oldest = (struct oldest){.count = 0}; }

void oldest_deinit(struct oldest *oldest) {
  assert(oldest->count == 0);
  memory_free(oldest->heap);
}

/* A place of 0 means that a channel is not in the heap. */
static void put(struct oldest *oldest, uint32_t at, struct channel *channel) {
  oldest->heap[at] = channel;
  channel->oldest_place = at + 1;
}

static void sift_up(struct oldest *oldest, uint32_t at) {
  struct channel *channel = oldest->heap[at];
  while (at > 0 && channel->oldest_position < oldest->heap[(at - 1) / 2]->oldest_position) {
    put(oldest, at, oldest->heap[(at - 1) / 2]);
    at = (at - 1) / 2;
  }
  put(oldest, at, channel);
}

static void sift_down(struct oldest *oldest, uint32_t at) {
  struct channel *channel = oldest->heap[at];
  for (;;) {
    uint32_t child = 2 * at + 1;
    if (child >= oldest->count) break;
    bool right = child + 1 < oldest->count && oldest->heap[child + 1]->oldest_position < oldest->heap[child]->oldest_position;
    if (right) child++;
    if (channel->oldest_position <= oldest->heap[child]->oldest_position) break;
    put(oldest, at, oldest->heap[child]);
    at = child;
  }
  put(oldest, at, channel);
}

int oldest_reserve(struct oldest *oldest, uint32_t count) {
  struct channel **grown =
      array_reserve(oldest->heap, sizeof *grown, &oldest->capacity, (size_t)oldest->count + count, UINT32_MAX);
  if (!grown) return MW_ENOMEM;
  oldest->heap = grown;
  return 0;
}

int oldest_add(struct oldest *oldest, struct channel *channel, uint64_t position) {
  if (channel->oldest_place > 0) return 0;
  if (oldest_reserve(oldest, 1) < 0) return MW_ENOMEM;
  channel->oldest_position = position;
  put(oldest, oldest->count, channel);
  sift_up(oldest, oldest->count++);
  return 0;
}

void oldest_remove(struct oldest *oldest, struct channel *channel) {
  if (channel->oldest_place == 0) return;
  uint32_t at = channel->oldest_place - 1;
  struct channel *last = oldest->heap[--oldest->count];
  channel->oldest_place = 0;
  if (last == channel) return;
  put(oldest, at, last);
  sift_up(oldest, at);
  sift_down(oldest, last->oldest_place - 1);
}

struct channel *oldest_top(struct oldest *oldest) {
  while (oldest->count > 0) {
    struct channel *channel = oldest->heap[0];
    if (channel->history.count == 0) {
      oldest_remove(oldest, channel);
      continue;
    }
    uint64_t position = history_at(&channel->history, 0)->position;
    if (channel->oldest_position == position) return channel;
    channel->oldest_position = position;
    sift_down(oldest, 0);
  }
  return NULL;
}
