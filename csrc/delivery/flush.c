/* The end of a turn: writes its messages (delivery.h). */
#include "base/log_limit.h"
#include "delivery/catchup.h"
#include "delivery/compress.h"
#include "delivery/subscriber.h"

/* How often one subscriber is fed in a turn; the size of writes that are never deferred, such as
 * the answer to a request. */
enum { FEED_ROUNDS = 4, SMALL_BYTES = 16 * 1024 };

void delivery_deinit(struct delivery *delivery) {
  for (size_t i = 0; i < WS_WINDOW_COUNT; i++) {
    ws_deflater_free(delivery->deflaters[i]);
    blob_unref(delivery->parts[i].plain);
    blob_unref(delivery->parts[i].deflated);
  }
  for (size_t i = 0; i < TURN_VIEWS; i++) buffer_deinit(&delivery->views[i].joined);
}

/* Returns true if no unsent data will be written. */
static bool is_lost(const struct subscriber *subscriber) { return subscriber->flags & (SUBSCRIBER_BROKEN | SUBSCRIBER_SLOW); }

/* Copies the messages of a view one behind the other. Out of memory, they stay as they are. */
static void join_view(struct turn_view *view) {
  buffer_clear(&view->joined);
  if (!buffer_reserve_within(&view->joined, view->bytes, TURN_JOIN_MAX)) return;
  for (size_t i = 0; i < view->slice_count; i++) buffer_append(&view->joined, view->slices[i]);
  view->slices[0] = buffer_bytes(&view->joined);
  view->slice_count = 1;
}

/* Returns the turn list of a channel from `start` on, at most SINK_SLICES_MAX messages, or NULL if
 * out of memory. */
static const struct turn_view *prepare_view(const struct sink *sink, struct channel *channel, uint32_t start) {
  struct turn_view *view = &sink->delivery->views[sink->view];
  if (view->channel == channel && view->start == start && view->sink == sink) {
    if (++view->uses == TURN_JOIN_USES && view->slice_count > 1 && view->bytes <= TURN_JOIN_MAX) join_view(view);
    return view;
  }
  view->channel = NULL;
  view->sink = sink;
  view->start = start;
  view->count = 0;
  view->uses = 1;
  view->bytes = 0;
  for (uint32_t i = start; i < channel->turn_count && view->count < SINK_SLICES_MAX; i++) {
    struct blob *blob = compress_shared(sink->delivery, sink->form, channel->turn[i]);
    if (!blob) return NULL;
    view->slices[view->count] = form_slice(blob, sink->framing);
    view->bytes += view->slices[view->count++].len;
  }
  view->slice_count = view->count;
  view->channel = channel;
  return view;
}

/* Writes the shared list of the only channel with messages in this turn. */
static void write_turn(struct subscriber *subscriber) {
  const struct sink *sink = subscriber->sink;
  while (subscriber->turn) {
    struct channel *channel = subscriber->turn->channel;
    const struct turn_view *view = prepare_view(sink, channel, subscriber->turn_start);
    ptrdiff_t written = view ? sink->ops->write(subscriber, view->slices, view->slice_count) : MW_ENOMEM;
    if (written < 0) {
      subscriber->flags |= SUBSCRIBER_BROKEN;
      return;
    }
    sink->delivery->written += (size_t)written;
    if ((size_t)written < view->bytes) {
      subscriber_settle(subscriber, (size_t)written);
      return;
    }
    subscriber->turn_start += view->count;
    if (subscriber->turn_start == channel->turn_count) subscriber->turn = NULL;
  }
}

static void mark_next(struct subscriber *subscriber) {
  struct delivery *delivery = subscriber->sink->delivery;
  if (subscriber->flags & (SUBSCRIBER_DIRTY | SUBSCRIBER_OVER)) return;
  subscriber->flags |= SUBSCRIBER_DIRTY;
  subscriber->next_dirty = delivery->next;
  delivery->next = subscriber;
}

/* Pushes and writes messages that the subscriber lacks, while all of them are accepted and the
 * others do not wait for too long. */
static void feed(struct subscriber *subscriber) {
  for (int round = 0; subscriber->flags & SUBSCRIBER_BEHIND && !subscriber->outbox && !is_lost(subscriber); round++) {
    if (round == FEED_ROUNDS) {
      mark_next(subscriber);
      return;
    }
    catchup_feed(subscriber);
    if (!is_lost(subscriber)) subscriber_offer(subscriber);
  }
}

/* Drops what a slow subscriber has not started to receive, so that its end can be written. */
static void drop_unwritten(struct subscriber *subscriber) {
  struct mw_stats *stats = subscriber->sink->delivery->stats;
  stats->slow_closed++;
  log_limited(MW_LOG_INFO,
              "closed slow subscriber: outbox over limits.outbox (messages=%zu keyed=%zu other=%zu bytes, closed_total=%llu)",
              outbox_messages_size(subscriber->outbox), catchup_kept_bytes(subscriber), outbox_own_size(subscriber->outbox),
              (unsigned long long)stats->slow_closed);
  if (subscriber->outbox) outbox_drop_all(subscriber->outbox);
}

/* Otherwise, one large message to thousands of subscribers would block all others while the kernel
 * copies it. The turn list is kept in the outbox, as pointers. */
static void put_off(struct subscriber *subscriber) {
  mark_next(subscriber); /* first, or settling marks it for this turn */
  subscriber_settle(subscriber, 0);
}

/* Returns true if the turn has written enough, and there may be much to write. */
static bool can_wait(const struct subscriber *subscriber) {
  const struct delivery *delivery = subscriber->sink->delivery;
  if (delivery->written < delivery->turn_bytes || is_lost(subscriber) || subscriber_waits(subscriber)) return false;
  if (subscriber->turn || subscriber->flags & SUBSCRIBER_BEHIND) return true;
  return subscriber->outbox && subscriber->outbox->bytes > SMALL_BYTES;
}

static void flush(struct subscriber *subscriber) {
  if (subscriber->outbox) subscriber_settle(subscriber, 0);
  if (!subscriber_waits(subscriber) && !is_lost(subscriber)) {
    if (subscriber->turn) write_turn(subscriber);
    if (subscriber->outbox && !is_lost(subscriber)) subscriber_offer(subscriber);
    if (subscriber->flags & SUBSCRIBER_BEHIND) feed(subscriber);
  }
  bool is_slow = (subscriber->flags & (SUBSCRIBER_SLOW | SUBSCRIBER_BROKEN | SUBSCRIBER_COLLECTS)) == SUBSCRIBER_SLOW;
  if (is_slow) drop_unwritten(subscriber);
  subscriber->sink->ops->flushed(subscriber);
}

void delivery_begin_turn(struct delivery *delivery) {
  struct subscriber *next = delivery->next;
  delivery->written = 0;
  delivery->next = NULL;
  while (next) {
    struct subscriber *subscriber = next;
    next = subscriber->next_dirty;
    subscriber->next_dirty = delivery->dirty;
    delivery->dirty = subscriber;
  }
}

static void unlink_dirty(struct subscriber **at, const struct subscriber *subscriber) {
  while (*at && *at != subscriber) at = &(*at)->next_dirty;
  if (*at) *at = subscriber->next_dirty;
}

void delivery_forget(struct delivery *delivery, struct subscriber *subscriber) {
  if (!(subscriber->flags & SUBSCRIBER_DIRTY)) return;
  unlink_dirty(&delivery->dirty, subscriber);
  unlink_dirty(&delivery->next, subscriber);
  subscriber->flags &= (uint16_t)~SUBSCRIBER_DIRTY;
}

bool delivery_flush(struct delivery *delivery) {
  while (delivery->dirty) {
    struct subscriber *subscriber = delivery->dirty;
    delivery->dirty = subscriber->next_dirty;
    subscriber->flags &= (uint16_t)~SUBSCRIBER_DIRTY;
    if (subscriber->flags & SUBSCRIBER_OVER) continue;
    if (can_wait(subscriber)) {
      put_off(subscriber);
    } else {
      flush(subscriber);
    }
  }
  for (size_t i = 0; i < TURN_VIEWS; i++) delivery->views[i].channel = NULL;
  hub_end_turn(delivery->hub);
  return delivery->next;
}
