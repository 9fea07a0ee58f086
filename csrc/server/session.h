/* A subscriber: gets messages from the hub and has them written, at the end of the turn, with all that came in it. */
#ifndef MOONWIRE_SERVER_SESSION_H
#define MOONWIRE_SERVER_SESSION_H

#include "server/exchange.h"

VISIBILITY_PUSH

/* Subscribes to one more channel of the worker's hub. MW_ENOMEM, MW_ELIMIT. */
int session_subscribe(struct exchange *exchange, struct bytes name, const struct channel_policy *policy);
/* The subscription to a channel, or NULL. */
struct subscription *session_find(struct session *session, struct bytes name);
/* Leaves one channel; what was published to it before is written before anything that follows. */
void session_unsubscribe(struct exchange *exchange, struct subscription *subscription);
/* Leaves all channels. */
void session_end(struct exchange *exchange);
/* The next subscription after `subscription`; NULL starts. */
struct subscription *session_next(struct session *session, struct subscription *subscription);
/* hub_deliver_fn: marks, and pushes if other things are waiting already. */
void session_deliver(struct subscription *subscription, struct message *message);
/* Pushes one message that it missed, whatever waits already: unless it is one that is not for it. */
void session_replay(struct exchange *exchange, struct message *message);
/* Moves what is still to be written of a turn list to the outbox, because something else comes behind it. `skip` bytes of it are written
 * already. */
void session_settle(struct exchange *exchange, size_t skip);

VISIBILITY_POP

#endif
