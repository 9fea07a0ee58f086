#include "server/replay.h"

#include "base/memory.h"
#include "server/server.h"
#include "server/session.h"

static uint64_t position_of(const struct replay_source *source) {
  return history_at(&source->channel->history, source->next)->position;
}

static void look_into(struct replay_source *source, struct hub *hub, struct since since) {
  bool has_since = since.kind != SINCE_NONE;
  uint64_t after = since.kind == SINCE_POSITION ? since.position : 0;
  source->gap = since.kind == SINCE_FOREIGN || (since.kind == SINCE_POSITION && !hub_complete(hub, source->channel, after));
  source->next = hub_replay_from(hub, source->channel, has_since, after);
}

int replay_init(struct replay *replay, struct exchange *exchange, struct since since, struct subscription *only) {
  struct hub *hub = &exchange_worker(exchange)->hub;
  *replay = (struct replay){.cursor = hub->position};
  replay->sources = memory_calloc(exchange->session.subscription_count, sizeof *replay->sources);
  if (!replay->sources) return MW_ENOMEM;
  /* A position that was never given out is of no history of ours. */
  if (since.kind == SINCE_POSITION && since.position > hub->position) since.kind = SINCE_FOREIGN;
  struct subscription *subscription = NULL;
  while ((subscription = session_next(&exchange->session, subscription))) {
    if (only && subscription != only) continue;
    struct replay_source *source = &replay->sources[replay->count++];
    source->channel = subscription->channel;
    look_into(source, hub, since);
    if (source->gap) replay->gap_count++;
    if (source->next == source->channel->history.count) continue;
    uint64_t before = position_of(source) - 1;
    if (before < replay->cursor) replay->cursor = before;
  }
  if (since.kind == SINCE_POSITION) replay->cursor = since.position;
  return 0;
}

/* Moves the source at `i` down to its place in the heap whose top has the lowest position. */
static void sift(struct replay_source *heap, size_t count, size_t i) {
  for (;;) {
    size_t least = i;
    for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < count; child++) {
      if (position_of(&heap[child]) < position_of(&heap[least])) least = child;
    }
    if (least == i) return;
    struct replay_source moved = heap[i];
    heap[i] = heap[least];
    heap[least] = moved;
    i = least;
  }
}

void replay_push(struct replay *replay, struct exchange *exchange) {
  struct replay_source *heap = replay->sources;
  size_t count = 0;
  for (size_t i = 0; i < replay->count; i++) {
    if (heap[i].next < heap[i].channel->history.count) heap[count++] = heap[i];
  }
  for (size_t i = count / 2; i-- > 0;) sift(heap, count, i);
  while (count > 0) {
    session_replay(exchange, history_at(&heap->channel->history, heap->next));
    if (++heap->next == heap->channel->history.count) heap[0] = heap[--count];
    sift(heap, count, 0);
  }
  replay->count = 0;
}

void replay_deinit(struct replay *replay) { memory_free(replay->sources); }
