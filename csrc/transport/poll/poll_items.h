/* What was collected for a poll, or for a client that polls, in order. On the worker's thread. */
#ifndef MOONWIRE_TRANSPORT_POLL_POLL_ITEMS_H
#define MOONWIRE_TRANSPORT_POLL_POLL_ITEMS_H

#include "delivery/subscriber.h"

VISIBILITY_PUSH

struct poll_item {
  struct blob *blob; /* in the form of polls; a reference */
  /* position 0: none, and it follows messages up to `after`; else the histories have it, too */
  uint64_t position, after;
};

struct poll_items {
  struct poll_item *items;
  size_t count, bytes;
  uint32_t capacity;
  size_t own_bytes; /* weight of those without a position */
  /* as much as one answer may have: further messages are read from the histories */
  bool full;
  size_t cut; /* if full: the number that belongs to this answer */
  bool lost;  /* something is missing because out of memory */
};

/* Returns how many bytes of messages one answer may have, unless it is a single one. */
size_t poll_items_room(const struct mw_limits *limits);
/* Returns the weight of an item of `len` bytes with its place. */
size_t poll_items_weight(size_t len);
/* Adds an item; keeps a reference. `position` is as in struct poll_item. Returns false if out of
 * memory: then the items are marked as lost. */
bool poll_items_add(struct poll_items *items, struct blob *blob, uint64_t position, uint64_t after);
/* Adds a message that was delivered to the subscriber while its poll waits; NULL: it was lost.
 * is_excepted: only the end that it brings. */
void poll_items_deliver(struct poll_items *items, struct subscriber *subscriber, struct message *message, bool is_excepted);
/* Drops the first `count`, and those of the others that have a position, which the histories
 * have. */
void poll_items_consume(struct poll_items *items, size_t count);
/* Drops those that have a position. They were collected for a poll that ended before it was
 * answered. */
void poll_items_drop_kept(struct poll_items *items);
void poll_items_deinit(struct poll_items *items);
/* Makes the push for the end of a channel. NULL if out of memory. */
struct blob *poll_items_end(const struct subscriber *subscriber, struct bytes channel);

VISIBILITY_POP

#endif
