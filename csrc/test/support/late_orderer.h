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

struct late_orderer {
  struct orderer orderer;
  struct orderer *bus;
  struct mw_server *server;
  bool is_over;
  size_t count; /* pending, oldest first */
  struct late_publish pending[LATE_MAX];
};

/* Puts the orderer before that of the server, until the server is freed. */
void late_orderer_begin(struct late_orderer *late, struct mw_server *server);
/* Has the bus publish the pending message number `i`, from 0, and completes it. */
void late_orderer_publish(struct late_orderer *late, size_t i);
/* Completes it with a status; it goes nowhere. */
void late_orderer_refuse(struct late_orderer *late, size_t i, int status);

/* Begins a new epoch after that position: what is published from then on belongs to it. */
void late_orderer_begin_epoch(struct late_orderer *late, const char *epoch, uint64_t position);

#endif
