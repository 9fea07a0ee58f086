/* GET /poll: one question for messages, which waits for them if there are none, and is answered once.
 *
 * What a poll asks for is subscribed to while it waits: by its own exchange, or, with client=, by a client that lasts from poll to poll
 * (transport/poll_client.h). Messages with a position are read from the histories of the channels when it comes; from then on what is delivered is
 * collected until the end of the turn, and then it is answered. */
#ifndef MOONWIRE_TRANSPORT_POLL_H
#define MOONWIRE_TRANSPORT_POLL_H

#include "app/subscribe_query.h"
#include "base/list.h"
#include "base/rope.h"
#include "hub/id.h"

VISIBILITY_PUSH

struct exchange;
struct poll_client;

struct poll_item {
  struct blob *blob;        /* FORM_POLL; a reference */
  uint64_t position, after; /* position 0: it has none, and comes behind what is up to `after`; else the histories have it, too */
};

/* What was collected, in order. */
struct poll_items {
  struct poll_item *items;
  size_t count, bytes;
  uint32_t capacity;
  size_t own_bytes; /* what those without a position weigh */
  bool full;        /* as much as one answer may have: further ones are left to the histories */
  size_t cut;       /* if full: only so many belong to this answer */
  bool lost;        /* something is missing, for lack of memory */
};

struct poll {
  struct exchange *exchange;
  struct poll_client *client;   /* NULL: it stands for itself */
  struct list link;             /* among the polls of that client */
  struct subscribe_query query; /* until it waits */
  struct since since;
  uint64_t seen;           /* while it waits: it needs nothing up to here */
  uint64_t due_ms;         /* when it waits no longer */
  struct poll_items items; /* of one that stands for itself */
  struct rope joined;      /* members of "channels": what joining gave */
  size_t joining;          /* channels that are still to be joined, of those that the query marks as joined */
  size_t joined_at;        /* of the query: the next of them */
  bool is_new;             /* the client was made for it */
  bool names_channels;     /* its query did */
};

/* ---- transport/poll.c ---- */

/* Looks whether there is something; answers, or waits. */
void role_poll_begin(struct poll *poll);
/* Answers one that waits with what was collected, maybe nothing. */
void role_poll_finish(struct poll *poll);
/* Refuses, and the poll is gone; what passes is refused with Retry-After. */
void role_poll_refuse(struct exchange *exchange, int status, const char *code, const char *reason);

/* ---- transport/poll_items.c ---- */

/* What one of so many bytes weighs with its place. */
size_t poll_items_weight(size_t len);
/* Keeps a reference; position as in struct poll_item. False without memory: then it is marked as lost. */
bool poll_items_add(struct poll_items *items, struct blob *blob, uint64_t position, uint64_t after);
/* What was delivered to the subscriber while a poll of it waits; NULL: it was lost. Of one that is not for it only the end that it brings. */
void poll_items_deliver(struct poll_items *items, struct exchange *exchange, struct message *message, bool is_excepted);
/* Drops the first `count`, and of the others those that have a position, which the histories have. */
void poll_items_consume(struct poll_items *items, size_t count);
void poll_items_deinit(struct poll_items *items);
/* The push that says that the channel has ended. NULL without memory. */
struct blob *poll_items_end(struct bytes channel);

/* ---- transport/poll_answer.c ---- */

/* An answer in the making. */
struct poll_answer {
  struct blob **blobs; /* references */
  size_t count, bytes;
  uint32_t capacity;
  size_t taken;       /* items that are in it */
  uint64_t last;      /* the position of the last that has one */
  uint64_t id;        /* the position after which to go on */
  struct buffer gaps; /* JSON strings */
  size_t gap_count;
  bool more;    /* cut short: the next poll finds something at once */
  bool is_over; /* nothing can come any more: each of the channels has ended, and was seen to its end */
};

/* The bytes of messages in one answer, unless it is a single one. */
size_t poll_answer_room(const struct mw_limits *limits);
void poll_answer_init(struct poll_answer *answer);
void poll_answer_deinit(struct poll_answer *answer);
void poll_answer_add_gap(struct poll_answer *answer, struct bytes channel);
/* What the histories have after `since` of the channels that are subscribed to, by the client or, if that is NULL, by the exchange; merged by
 * position, and, in their places, what was collected for the client that has no position. MW_ENOMEM. */
int poll_answer_read(struct poll_answer *answer, struct exchange *exchange, struct since since, const struct poll_client *client);
/* What was collected for one that has seen everything up to `seen`; only_kept: no more than what has a position. MW_ENOMEM. */
int poll_answer_take(struct poll_answer *answer, struct exchange *source, uint64_t seen, const struct poll_items *items,
                     bool only_kept);
/* Answers the poll, which is gone then. False: without memory for that it was refused. */
bool poll_answer_send(struct poll_answer *answer, struct poll *poll);

VISIBILITY_POP

#endif
