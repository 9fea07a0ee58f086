/* What subscribers still have to be written in this turn, once for all that lack the same: the turn
 * list of their only channel from some message on, or parts of several channels' lists, in the order
 * in which the messages were published. */
#ifndef MOONWIRE_DELIVERY_TURN_VIEW_H
#define MOONWIRE_DELIVERY_TURN_VIEW_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"

VISIBILITY_PUSH

struct channel;
struct delivery;
struct sink;
struct subscriber;

/* The most slices of one write. The most bytes that are joined, and after how many writes of the same
 * messages: for fewer subscribers, copying costs more than it spares. */
enum { SINK_SLICES_MAX = 64, TURN_JOIN_MAX = 64 * 1024, TURN_JOIN_USES = 3 };

/* A turn list is written in several forms and framings; few are in use at a time. */
enum { TURN_VIEWS = 8 };

/* Messages of a channel's turn list that come before those of another channel. Parts are named by
 * their number from 1 on, until the end of the turn. Subscribers that received the same messages in
 * this turn have the same part. */
struct turn_part {
  struct channel *channel;
  uint32_t start, end;
  uint16_t before; /* the part that precedes it; 0: none */
  uint16_t count;  /* of messages, with all parts that precede it */
};

/* Messages in one form and framing, ready to be written to all subscribers that need exactly these:
 * as slices, or, once several have needed them, joined, which the kernel takes in less time. */
struct turn_view {
  const struct sink *sink; /* for which it was prepared */
  struct channel *channel; /* NULL if nothing is prepared */
  uint32_t start, count;   /* of the messages of that channel */
  uint16_t before;         /* the part before them; 0: none */
  uint32_t uses;
  uint32_t slice_count;
  size_t bytes;
  struct bytes slices[SINK_SLICES_MAX];
  struct buffer joined; /* keeps its memory, at most TURN_JOIN_MAX */
};

struct turn_views {
  struct turn_view items[TURN_VIEWS];
  struct turn_part *parts;
  uint32_t part_count, part_capacity;
};

/* Returns the part `start` to `end` of the channel's turn list that follows the part `before`, or 0 if
 * there is no room for it: the caller then takes the messages out of the lists. */
uint16_t turn_part_get(struct turn_views *views, uint16_t before, struct channel *channel, uint32_t start, uint32_t end);
/* Prepares a view of what the subscriber lacks, at most SINK_SLICES_MAX messages, and returns it, or
 * NULL if out of memory. */
const struct turn_view *turn_view_prepare(struct turn_view *view, const struct subscriber *subscriber);
/* Copies the messages of a view one behind the other. If they are many bytes, or if out of memory,
 * they stay as they are. */
void turn_view_join(struct turn_view *view);
/* Forgets all views: the lists may grow. */
void turn_views_forget(struct turn_views *views);
/* Forgets all views and parts: their turn is over. */
void turn_views_end(struct turn_views *views);
void turn_views_deinit(struct turn_views *views);

VISIBILITY_POP

#endif
