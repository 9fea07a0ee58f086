/* The end of a turn: writes its messages (delivery.h). */
#include <assert.h>

#include "base/log_limit.h"
#include "delivery/catchup.h"
#include "delivery/compress.h"
#include "delivery/subscriber.h"

/* How often one subscriber is fed in a turn; the size of writes that are never put off, such as the
 * answer to a request; and how much is kept in turn lists for subscribers that were put off. */
enum { FEED_ROUNDS = 4, SMALL_BYTES = 16 * 1024, LISTS_BYTES = 1024 * 1024 };

void delivery_deinit(struct delivery *delivery) {
  for (size_t i = 0; i < WS_WINDOW_COUNT; i++) {
    ws_deflater_free(delivery->deflaters[i]);
    blob_unref(delivery->parts[i].plain);
    blob_unref(delivery->parts[i].deflated);
  }
  turn_views_deinit(&delivery->views);
}

/* Returns true if no unsent data will be written. */
static bool is_lost(const struct subscriber *subscriber) { return subscriber->flags & (SUBSCRIBER_BROKEN | SUBSCRIBER_SLOW); }

/* Returns the view of what the subscriber lacks, which is mostly there already. NULL: out of memory. */
static const struct turn_view *find_view(const struct subscriber *subscriber) {
  const struct sink *sink = subscriber->sink;
  struct turn_view *view = &sink->delivery->views.items[sink->view];
  if (view->channel != subscriber->turn->channel || view->start != subscriber->turn_start ||
      view->before != subscriber->turn_before || view->sink != sink)
    return turn_view_prepare(view, subscriber);
  if (++view->uses == TURN_JOIN_USES) turn_view_join(view);
  return view;
}

/* Writes what many have to be written in this turn. */
static void write_turn(struct subscriber *subscriber) {
  const struct sink *sink = subscriber->sink;
  while (subscriber->turn) {
    const struct turn_view *view = find_view(subscriber);
    ptrdiff_t written = view ? sink->ops->write(subscriber, view->slices, view->slice_count) : MW_ENOMEM;
    if (written < 0) {
      subscriber->flags |= SUBSCRIBER_BROKEN;
      return;
    }
    sink->delivery->written += (size_t)written;
    uint32_t start = subscriber->turn_start + view->count;
    bool is_written = (size_t)written == view->bytes;
    if (is_written && start == subscriber->turn->channel->turn_count) {
      subscriber_forget_turn(subscriber);
      return;
    }
    if (!is_written || start > UINT16_MAX) {
      subscriber_settle(subscriber, (size_t)written);
      return;
    }
    subscriber->turn_before = 0;
    subscriber->turn_start = (uint16_t)start;
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
    enum catchup_step step = round == FEED_ROUNDS ? CATCHUP_NEXT_TURN : catchup_feed(subscriber);
    if (step == CATCHUP_NEXT_TURN) mark_next(subscriber);
    if (step != CATCHUP_GOES_ON) return;
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
 * copies it. The next turn continues the lists of this one, so that many are still written the same.
 * Beyond LISTS_BYTES, what the subscriber lacks goes to its outbox, where limits count. */
static void put_off(struct subscriber *subscriber) {
  struct delivery *delivery = subscriber->sink->delivery;
  mark_next(subscriber); /* first, or settling marks it for this turn */
  if (!subscriber->turn) return;
  bool keeps = !subscriber->outbox && !(subscriber->flags & SUBSCRIBER_BEHIND) && delivery->hub->turn_bytes <= LISTS_BYTES;
  if (keeps) {
    delivery->keeps_lists = true;
  } else {
    subscriber_settle(subscriber, 0);
  }
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
  if (subscriber->turn) subscriber_forget_turn(subscriber); /* one that is lost; the lists end with the turn */
  subscriber->sink->ops->flushed(subscriber);
}

void delivery_begin_turn(struct delivery *delivery) {
  assert(!delivery->late);
  delivery->written = 0;
  delivery->late = delivery->next;
  delivery->next = NULL;
  delivery->keeps_lists = false;
}

static void unlink_dirty(struct subscriber **at, const struct subscriber *subscriber) {
  while (*at && *at != subscriber) at = &(*at)->next_dirty;
  if (*at) *at = subscriber->next_dirty;
}

void delivery_forget(struct delivery *delivery, struct subscriber *subscriber) {
  if (!(subscriber->flags & SUBSCRIBER_DIRTY)) return;
  unlink_dirty(&delivery->late, subscriber);
  unlink_dirty(&delivery->dirty, subscriber);
  unlink_dirty(&delivery->next, subscriber);
  subscriber->flags &= (uint16_t)~SUBSCRIBER_DIRTY;
}

static void flush_list(struct subscriber **list) {
  while (*list) {
    struct subscriber *subscriber = *list;
    *list = subscriber->next_dirty;
    subscriber->flags &= (uint16_t)~SUBSCRIBER_DIRTY;
    if (subscriber->flags & SUBSCRIBER_OVER) continue;
    if (can_wait(subscriber)) {
      put_off(subscriber);
    } else {
      flush(subscriber);
    }
  }
}

bool delivery_flush(struct delivery *delivery) {
  flush_list(&delivery->late);
  flush_list(&delivery->dirty);
  if (delivery->keeps_lists) {
    turn_views_forget(&delivery->views);
  } else {
    turn_views_end(&delivery->views);
    hub_end_turn(delivery->hub);
  }
  return delivery->next;
}
