/* Commands that all nodes carry out, such as closing the clients of a user, and leases, for what only
 * one node does. As for broker.h: one thread, and callbacks from link events and from
 * broker_tick only. */
#ifndef MOONWIRE_BROKER_CONTROL_H
#define MOONWIRE_BROKER_CONTROL_H

#include "base/bytes.h"

VISIBILITY_PUSH

struct broker;

enum {
  BROKER_CONTROL_BYTES_MAX = 72 << 10, /* of one command: 64 KiB of data, and names */
  BROKER_CONTROL_WAITING = 16 << 20,   /* bytes of commands that wait */
  BROKER_CONTROLS_MAX = 4096,          /* that Redis keeps */
  BROKER_CONTROLS_MS = 600000          /* for which it keeps them */
};

/* Sends a command to all other nodes. A node that reconnects does not miss it, because each node
 * continues to read where it stopped. The text is copied. 0: on_done follows, once, with 0: the command is in Redis;
 * MW_EUNAVAILABLE: it is not, or this is unknown. MW_ETOOLARGE, MW_EUNAVAILABLE: too many wait;
 * MW_ENOMEM, MW_ECLOSED. `on_done` may be NULL. */
int broker_control(struct broker *broker, struct bytes command, void (*on_done)(void *context, int status), void *context);

struct broker_lease {
  struct bytes name;
  uint64_t holder; /* of this node, which may have several; a new one each time that it is taken */
  uint64_t ms;     /* for which no other holder may take it, from the call on */
  bool is_ended;   /* the holder does not need it any more; it cannot be taken before `ms` have passed */
};

/* Takes a lease, unless another holder has it; keeps it, if this one has it; or ends it. The name is
 * copied. 0: `on_done` (may be NULL) follows, once. With 0, the lease is this holder's if `left_ms` is 0;
 * otherwise, another holder has it for `left_ms`. With MW_EUNAVAILABLE, the outcome is unknown: end it.
 * MW_EUNAVAILABLE: too many wait; MW_ENOMEM, MW_ECLOSED. If Redis loses data, two nodes may have the same
 * lease. The goodbye of the node frees up to 64 leases that have not ended. */
int broker_lease(struct broker *broker, const struct broker_lease *lease,
                 void (*on_done)(void *context, int status, uint64_t left_ms), void *context);

VISIBILITY_POP

#endif
