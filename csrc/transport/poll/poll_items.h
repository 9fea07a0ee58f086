/* What was collected for a poll, or for a client that polls, in order. */
#ifndef MOONWIRE_TRANSPORT_POLL_POLL_ITEMS_H
#define MOONWIRE_TRANSPORT_POLL_POLL_ITEMS_H

#include "delivery/subscriber.h"

VISIBILITY_PUSH

struct poll_item {
  struct blob *blob;        /* in the form of polls; a reference */
  uint64_t position, after; /* position 0: it has none, and comes behind what is up to `after`; else the histories have it, too */
};

struct poll_items {
  struct poll_item *items;
  size_t count, bytes;
  uint32_t capacity;
  size_t own_bytes; /* what those without a position weigh */
  bool full;        /* as much as one answer may have: further ones are left to the histories */
  size_t cut;       /* if full: only so many belong to this answer */
  bool lost;        /* something is missing, for lack of memory */
};

/* The bytes of messages in one answer, unless it is a single one. */
size_t poll_items_room(const struct mw_limits *limits);
/* What one of so many bytes weighs with its place. */
size_t poll_items_weight(size_t len);
/* Keeps a reference; position as in struct poll_item. False without memory: then it is marked as lost. */
bool poll_items_add(struct poll_items *items, struct blob *blob, uint64_t position, uint64_t after);
/* What was delivered to the subscriber while a poll of it waits; NULL: it was lost. Of one that is not for it only the end that it brings. */
void poll_items_deliver(struct poll_items *items, struct subscriber *subscriber, struct message *message, bool is_excepted);
/* Drops the first `count`, and of the others those that have a position, which the histories have. */
void poll_items_consume(struct poll_items *items, size_t count);
void poll_items_deinit(struct poll_items *items);
/* The push that says that the channel has ended. NULL without memory. */
struct blob *poll_items_end(const struct subscriber *subscriber, struct bytes channel);

VISIBILITY_POP

#endif
