/* A subscriber that is behind: what it still gets from the histories of its channels is read there as it takes it, so that nothing is
 * queued for it. That is how a replay is fed, and how one goes on that took less than there was.
 *
 * Over all its channels what has a position leaves in increasing position (server/session.h). */
#ifndef MOONWIRE_SERVER_LAG_H
#define MOONWIRE_SERVER_LAG_H

#include "delivery/latest.h"
#include "server/exchange.h"

VISIBILITY_PUSH

/* Marks of a subscription. */
enum {
  LAG_BEHIND = 1, /* it is read from its history */
  LAG_HELD = 2,   /* it has no history, and what comes waits for those that are */
  LAG_GAP = 4,    /* its subscriber is to be told of a gap */
  LAG_ENDED = 8   /* its subscriber was told of the end, and is still subscribed; also while it does not lag */
};

/* One channel that is read from its history. */
struct lag_source {
  struct subscription *subscription; /* LAG_BEHIND */
  uint64_t after;                    /* everything up to here was pushed */
  uint32_t next;                     /* an index in the history, while it is fed */
};

struct lag {
  struct lag_source *sources;
  size_t count, capacity;
  struct latest latest;
  bool stalled; /* it was over a limit: what no history has is treated as its channel says */
  bool has_gap; /* a subscription has LAG_GAP */
  bool ends;    /* a channel has ended */
};

void lag_free(struct lag *lag); /* NULL is allowed */

/* Reads a channel from its history after that position. Without memory the session is broken. */
void lag_follow(struct exchange *exchange, struct subscription *subscription, uint64_t after);
/* A channel was just subscribed to by an event stream, whose positions only grow: what comes of it waits until all others are read. Without
 * memory the session is broken. */
void lag_join(struct exchange *exchange, struct subscription *subscription, uint64_t after);
/* A channel of the session has ended: told when all of it was pushed. Without memory the session is broken. */
void lag_end(struct exchange *exchange);
/* With this message a limit would be exceeded: lets go what waits, as the channels say, or marks the session as slow. */
void lag_stall(struct exchange *exchange, struct subscription *subscription, struct message *message);
/* True if the message, just delivered, is not to be pushed: it is read later, let go, or kept. Only with EXCHANGE_LAGS. */
bool lag_take(struct exchange *exchange, struct subscription *subscription, struct message *message);
/* The subscription is about to end. Only with EXCHANGE_LAGS. */
void lag_leave(struct exchange *exchange, struct subscription *subscription);
/* Everything that was pushed is written: pushes more, or ends lagging. Only with EXCHANGE_LAGS. */
void lag_feed(struct exchange *exchange);

VISIBILITY_POP

#endif
