/* Delivery: one per worker. From the hub to the sinks of its subscribers
 * (delivery/subscriber.h). */
#ifndef MOONWIRE_DELIVERY_DELIVERY_H
#define MOONWIRE_DELIVERY_DELIVERY_H

#include <stdatomic.h>

#include "base/clock.h"
#include "codec/ws/ws_deflate.h"
#include "delivery/form_users.h"
#include "delivery/turn_view.h"
#include "hub/hub.h"
#include "moonwire.h"

VISIBILITY_PUSH

struct subscriber;

/* The most messages of one replay, and bytes. */
struct replay_limits {
  size_t messages, bytes;
};

struct delivery {
  struct hub *hub;
  const struct clock *clock;
  const struct epoch *epoch;
  /* of all workers: forms in use are drafted before the order of messages is decided */
  struct form_users *form_users;
  /* Has the store have more of a channel's history: the newest messages up to the position `until`,
   * which a broker has and the store does not. 0: delivery_fetched is called later, never within the
   * call. Negative: it failed. NULL: the store is not a cache. */
  int (*fetch)(void *context, struct bytes channel, uint64_t until);
  void *fetch_context;
  /* counts deflated, gaps, slow, slow_closed, slow_dropped, and slow_replaced */
  struct mw_stats *stats;
  struct replay_limits replay;
  size_t deflate_min;       /* messages of fewer bytes are not compressed */
  size_t turn_bytes;        /* after that many bytes, the rest is written in the next turn */
  size_t written;           /* bytes that were written in this turn */
  struct subscriber *late;  /* put off by the turn before: flushed first */
  struct subscriber *dirty; /* for the flush at the end of the turn */
  struct subscriber *next;  /* for the flush at the end of the next turn */
  bool keeps_lists;         /* one of `next` will read the turn lists then */
  struct turn_views views;
  size_t sink_count;                              /* sinks made so far; each is given a view */
  struct ws_deflater *deflaters[WS_WINDOW_COUNT]; /* NULL until needed */
  struct deflated_part {
    struct blob *plain, *deflated;
    /* the last blob that was compressed as part of messages (compress_rope), or NULL */
  } parts[WS_WINDOW_COUNT];
};

void delivery_deinit(struct delivery *delivery);
/* Begins a turn of the loop: it may write turn_bytes, and subscribers that were put off are
 * flushed again. */
void delivery_begin_turn(struct delivery *delivery);
/* Flushes the marked subscribers. Ends the hub's turn, unless some that were put off still need its
 * lists. May be called several times in a turn. Returns true if some continue in the next turn, which
 * should follow immediately. */
bool delivery_flush(struct delivery *delivery);
/* What was asked for by `fetch` is in the store (0), or is unavailable. The subscribers that wait for it
 * go on in this turn's flush, or are disconnected, so that they resume: a failure is not a gap. */
void delivery_fetched(struct delivery *delivery, struct bytes channel, int status);
/* Removes the subscriber, which has ended, from all lists, before it is freed. */
void delivery_forget(struct delivery *delivery, struct subscriber *subscriber);

VISIBILITY_POP

#endif
