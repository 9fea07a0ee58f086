#include "delivery/turn_view.h"

#include "base/array.h"
#include "base/memory.h"
#include "delivery/compress.h"
#include "delivery/subscriber.h"

/* How far back a part is looked for: subscribers of one channel are delivered to one after the other,
 * and few combinations of channels alternate. More room than PARTS_KEPT is freed at the end of the
 * turn. */
enum { PARTS_SEEN = 8, PARTS_KEPT = 64 };

/* ---- Parts ----------------------------------------------------------------------------------- */

static uint16_t turn_part_find(const struct turn_views *views, const struct turn_part *sought) {
  for (uint32_t n = views->part_count, left = PARTS_SEEN; n > 0 && left > 0; n--, left--) {
    const struct turn_part *part = &views->parts[n - 1];
    if (part->channel == sought->channel && part->start == sought->start && part->end == sought->end &&
        part->before == sought->before)
      return (uint16_t)n;
  }
  return 0;
}

uint16_t turn_part_get(struct turn_views *views, uint16_t before, struct channel *channel, uint32_t start, uint32_t end) {
  uint32_t count = end - start + (before > 0 ? views->parts[before - 1].count : 0);
  /* the rest of a view is for the channel that follows */
  if (count >= SINK_SLICES_MAX) return 0;
  struct turn_part part = {.channel = channel, .start = start, .end = end, .before = before, .count = (uint16_t)count};
  uint16_t found = turn_part_find(views, &part);
  if (found > 0) return found;
  struct turn_part *grown =
      array_reserve(views->parts, sizeof *grown, &views->part_capacity, (size_t)views->part_count + 1, UINT16_MAX);
  if (!grown) return 0;
  views->parts = grown;
  views->parts[views->part_count++] = part;
  return (uint16_t)views->part_count;
}

/* ---- Views ----------------------------------------------------------------------------------- */

void turn_view_join(struct turn_view *view) {
  if (view->slice_count < 2 || view->bytes > TURN_JOIN_MAX) return;
  buffer_clear(&view->joined);
  if (!buffer_reserve_within(&view->joined, view->bytes, TURN_JOIN_MAX)) return;
  for (size_t i = 0; i < view->slice_count; i++) buffer_append(&view->joined, view->slices[i]);
  view->slices[0] = buffer_bytes(&view->joined);
  view->slice_count = 1;
}

/* Adds messages of a channel's turn list while there is room. Returns how many, or -1 if out of
 * memory. */
static int64_t turn_view_add(struct turn_view *view, const struct channel *channel, uint32_t start, uint32_t end) {
  const struct sink *sink = view->sink;
  uint32_t i = start;
  for (; i < end && view->slice_count < SINK_SLICES_MAX; i++) {
    struct blob *blob = compress_shared(sink->delivery, sink->form, channel->turn[i]);
    if (!blob) return -1;
    view->slices[view->slice_count] = form_slice(blob, sink->framing);
    view->bytes += view->slices[view->slice_count++].len;
  }
  return i - start;
}

/* Adds a part and all that precede it. Each has a message at least, so there are few. */
static bool turn_view_add_parts(struct turn_view *view, uint16_t last) {
  if (last == 0) return true;
  const struct turn_part *part = &view->sink->delivery->views.parts[last - 1];
  return turn_view_add_parts(view, part->before) && turn_view_add(view, part->channel, part->start, part->end) >= 0;
}

const struct turn_view *turn_view_prepare(struct turn_view *view, const struct subscriber *subscriber) {
  struct channel *channel = subscriber->turn->channel;
  view->channel = NULL;
  view->sink = subscriber->sink;
  view->start = subscriber->turn_start;
  view->before = subscriber->turn_before;
  view->uses = 1;
  view->slice_count = 0;
  view->bytes = 0;
  if (!turn_view_add_parts(view, view->before)) return NULL;
  int64_t count = turn_view_add(view, channel, view->start, channel->turn_count);
  if (count < 0) return NULL;
  view->count = (uint32_t)count;
  view->channel = channel;
  return view;
}

void turn_views_forget(struct turn_views *views) {
  for (size_t i = 0; i < TURN_VIEWS; i++) views->items[i].channel = NULL;
}

void turn_views_end(struct turn_views *views) {
  turn_views_forget(views);
  views->part_count = 0;
  if (views->part_capacity <= PARTS_KEPT) return;
  memory_free(views->parts);
  views->parts = NULL;
  views->part_capacity = 0;
}

void turn_views_deinit(struct turn_views *views) {
  for (size_t i = 0; i < TURN_VIEWS; i++) buffer_deinit(&views->items[i].joined);
  memory_free(views->parts);
}
