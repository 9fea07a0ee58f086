/* The answer to a poll: what the histories have, and what was collected, in one order. */
#ifndef MOONWIRE_TRANSPORT_POLL_POLL_ANSWER_H
#define MOONWIRE_TRANSPORT_POLL_POLL_ANSWER_H

#include "transport/poll/poll.h"

VISIBILITY_PUSH

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
  bool more;      /* cut short: the next poll finds something at once */
  bool has_ended; /* nothing can come any more: each of the channels has ended, and was seen to its end */
};

void poll_answer_init(struct poll_answer *answer);
void poll_answer_deinit(struct poll_answer *answer);
void poll_answer_add_gap(struct poll_answer *answer, struct bytes channel);
/* What the histories have after `since` of the channels that are subscribed to, or, with a client, were; merged by
 * position, and, in their places, what was collected for the client that has no position. MW_ENOMEM. */
int poll_answer_read(struct poll_answer *answer, struct subscriber *subscriber, struct since since,
                     const struct poll_client *client);
/* What was collected for one that has seen everything up to `seen`; only_kept: no more than what has a position. MW_ENOMEM. */
int poll_answer_take(struct poll_answer *answer, struct subscriber *subscriber, uint64_t seen, const struct poll_items *items,
                     bool only_kept);
/* Answers the poll, which is gone then. False: without memory for that it was refused. */
bool poll_answer_send(struct poll_answer *answer, struct poll *poll);

VISIBILITY_POP

#endif
