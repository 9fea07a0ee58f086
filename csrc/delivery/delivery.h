/* Delivery: one per worker. From the hub to the sinks of its subscribers
 * (delivery/subscriber.h). */
#ifndef MOONWIRE_DELIVERY_DELIVERY_H
#define MOONWIRE_DELIVERY_DELIVERY_H

#include <stdatomic.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "codec/ws/ws_deflate.h"
#include "delivery/form_users.h"
#include "hub/hub.h"
#include "moonwire.h"

VISIBILITY_PUSH

struct subscriber;

/* The most slices of one write. The most bytes that are joined, and after how many writes of the same
 * messages: for fewer subscribers, copying costs more than it spares. */
enum { SINK_SLICES_MAX = 64, TURN_JOIN_MAX = 64 * 1024, TURN_JOIN_USES = 3 };

/* A part of a channel's turn list in one form and framing, ready to be written to all subscribers
 * that need exactly this: as slices of its messages, or, once several have needed it, joined, which
 * the kernel takes in less time. */
struct turn_view {
  const struct sink *sink; /* for which it was prepared */
  struct channel *channel; /* NULL if nothing is prepared */
  uint32_t start, count;   /* of messages */
  uint32_t uses;
  uint32_t slice_count;
  size_t bytes;
  struct bytes slices[SINK_SLICES_MAX];
  struct buffer joined; /* keeps its memory, at most TURN_JOIN_MAX */
};

/* A turn list is written in several forms and framings; few are in use at a time. */
enum { TURN_VIEWS = 8 };

struct delivery {
  struct hub *hub;
  const struct clock *clock;
  const struct epoch *epoch;
  /* of all workers: forms in use are drafted before the order of messages is decided */
  struct form_users *form_users;
  /* counts deflated, gaps, slow, slow_closed, slow_dropped, and slow_replaced */
  struct mw_stats *stats;
  size_t replay; /* the most messages of one replay, and bytes */
  size_t replay_bytes;
  size_t deflate_min;       /* messages of fewer bytes are not compressed */
  size_t turn_bytes;        /* after that many bytes, the rest is written in the next turn */
  size_t written;           /* bytes that were written in this turn */
  struct subscriber *dirty; /* for the flush at the end of the turn */
  struct subscriber *next;  /* for the flush at the end of the next turn */
  struct turn_view views[TURN_VIEWS];
  size_t sink_count;                              /* sinks made so far; each is given a view */
  struct ws_deflater *deflaters[WS_WINDOW_COUNT]; /* NULL until needed */
  struct deflated_part {
    struct blob *plain, *deflated;
    /* the last blob that was compressed as part of messages (compress_rope), or NULL */
  } parts[WS_WINDOW_COUNT];
};

void delivery_deinit(struct delivery *delivery);
/* Begins a turn of the loop: it may write turn_bytes, and subscribers that were deferred are
 * flushed again. */
void delivery_begin_turn(struct delivery *delivery);
/* Flushes the marked subscribers and ends the hub's turn. May be called several times in a turn.
 * Returns true if some continue in the next turn, which should follow immediately. */
bool delivery_flush(struct delivery *delivery);
/* Removes the subscriber, which has ended, from all lists, before it is freed. */
void delivery_forget(struct delivery *delivery, struct subscriber *subscriber);

VISIBILITY_POP

#endif
