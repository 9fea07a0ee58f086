/* The only point that orders messages, as the rooms above app/ see it: the bus, or a broker before
 * it. */
#ifndef MOONWIRE_APP_ORDER_H
#define MOONWIRE_APP_ORDER_H

#include "app/config.h"
#include "hub/message.h"
#include "hub/roster.h"

VISIBILITY_PUSH

struct app;

struct orderer {
  /* Publishes a message whose parts were checked. `id` (may be NULL) receives the id, which is
   * empty if the message is volatile. MW_EUNAVAILABLE, MW_ENOMEM, MW_ELIMIT: it was not published.
   * Any thread. */
  int (*publish)(struct orderer *orderer, const struct kind *kind, const struct message_parts *parts, bool is_volatile,
                 char id[MW_ID_MAX]);
  /* Sends changes of a channel's members to all workers, in order with the messages. The caller
   * keeps its reference. The batch has a mail for each worker (roster_batch_new). MW_EUNAVAILABLE:
   * it was not sent. */
  int (*update_roster)(struct orderer *orderer, struct roster_batch *batch);
  size_t (*worker_count)(struct orderer *orderer);
  /* Returns the position of the newest message. Any thread. */
  uint64_t (*position)(struct orderer *orderer);
};

/* Checks a publish, finds its kind, and publishes it: mw_publish. */
int order_publish(struct app *app, const struct mw_publish *publish, char id[MW_ID_MAX], struct mw_error *error);
/* Checks a publish or a send, except the channel. `parts` borrows from `publish`. */
int order_read_parts(const struct app *app, const struct mw_publish *publish, struct message_parts *parts,
                     struct mw_error *error);
/* Returns the reason of a status of orderer->publish, for clients. */
const char *order_fault(int status);

VISIBILITY_POP

#endif
