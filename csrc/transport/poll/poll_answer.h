/* The answer to a poll: messages from the histories, and those that were collected, in order. On
 * the worker's thread. */
#ifndef MOONWIRE_TRANSPORT_POLL_POLL_ANSWER_H
#define MOONWIRE_TRANSPORT_POLL_POLL_ANSWER_H

#include "transport/poll/poll.h"

VISIBILITY_PUSH

/* An answer that is being built. */
struct poll_answer {
  struct blob **blobs; /* references */
  size_t count, bytes;
  uint32_t capacity;
  size_t taken;       /* how many items are in it */
  uint64_t last;      /* the highest position in it */
  uint64_t id;        /* the position after which the client continues */
  struct bytes *gaps; /* names of channels, borrowed from the client and the hub */
  size_t gap_count;
  uint32_t gap_capacity;
  /* a channel whose messages are in the broker only, up to that position; or NULL */
  struct channel *lacks;
  uint64_t lacks_until;
  bool has_failed; /* a gap is missing, because out of memory */
  bool more;       /* not complete: the next poll finds something immediately */
  /* nothing can come any more: each of the channels has ended, and was seen to its end */
  bool has_ended;
};

void poll_answer_init(struct poll_answer *answer);
void poll_answer_deinit(struct poll_answer *answer);
void poll_answer_add_gap(struct poll_answer *answer, struct bytes channel);
/* Adds what the histories have after `since` of the subscribed channels, and, with a client, of
 * those that it has left because they ended. Merges by position, and adds collected messages
 * without a position in their places. Returns 0, MW_ENOMEM, or MW_EUNAVAILABLE: messages are missing that
 * only the broker has, of the channel `lacks`. */
int poll_answer_read(struct poll_answer *answer, struct subscriber *subscriber, struct since since,
                     const struct poll_client *client);
/* Adds what was collected for a client that has seen everything up to `seen`. only_kept: only
 * messages with a position. Returns 0 or MW_ENOMEM. */
int poll_answer_take(struct poll_answer *answer, struct subscriber *subscriber, uint64_t seen, const struct poll_items *items,
                     bool only_kept);
/* Answers the poll, and frees it. Returns false if it was refused because out of memory. */
bool poll_answer_send(struct poll_answer *answer, struct poll *poll);

VISIBILITY_POP

#endif
