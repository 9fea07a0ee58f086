/* An orderer before the bus that completes publishes when the test says so: later, out of turn, or
 * not at all, as a broker does. */
#ifndef MOONWIRE_TEST_SUPPORT_LATE_ORDERER_H
#define MOONWIRE_TEST_SUPPORT_LATE_ORDERER_H

#include "app/order.h"

enum { LATE_MAX = 64 };

struct late_publish {
  const struct kind *kind;
  struct message *copy; /* of the parts */
  bool is_volatile;
  struct completion *completion;
};

/* An interest or a fetch that is pending. */
struct late_wait {
  char channel[64]; /* the first one */
  size_t count;     /* channels */
  bool is_fetch;
  const struct kind *kind; /* of the first one */
  struct completion *completion;
};

struct late_orderer {
  struct orderer orderer;
  struct orderer *bus;
  struct mw_server *server;
  bool is_over;
  size_t count; /* pending, oldest first */
  struct late_publish pending[LATE_MAX];
  size_t wait_count; /* pending, oldest first */
  struct late_wait waits[LATE_MAX];
  size_t interest_count; /* interests that were declared and have not ended */
};

/* Puts the orderer before that of the server, until the server is freed. */
void late_orderer_begin(struct late_orderer *late, struct mw_server *server);
/* Has the bus publish the pending message number `i`, from 0, and completes it. */
void late_orderer_publish(struct late_orderer *late, size_t i);
/* Completes it with a status; it goes nowhere. */
void late_orderer_refuse(struct late_orderer *late, size_t i, int status);

/* From now on, interests and fetches are pending. */
void late_orderer_wait(struct late_orderer *late);
/* Completes the oldest of them: 0, or why it failed. */
void late_orderer_confirm(struct late_orderer *late, int status);
/* Hands over a page of history for the oldest, a fetch, and confirms it: messages with these
 * positions as data, after the position `after`. */
void late_orderer_hand_page(struct late_orderer *late, const uint64_t *positions, size_t count, uint64_t after);

/* Begins a new epoch after that position: what is published from then on belongs to it. */
void late_orderer_begin_epoch(struct late_orderer *late, const char *epoch, uint64_t position);

#endif
