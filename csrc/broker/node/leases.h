/* The leases that this node has not ended, so that its goodbye frees them. */
#ifndef MOONWIRE_BROKER_NODE_LEASES_H
#define MOONWIRE_BROKER_NODE_LEASES_H

#include "broker/control.h"
#include "broker/node/arguments.h"

VISIBILITY_PUSH

/* Notes that the node may have the lease, or that it does not need it any more. If out of memory, and for
 * more than 64 leases, nothing is noted. */
void leases_note(struct broker *broker, const struct broker_lease *lease, bool may_have);
void leases_free(struct broker *broker);
/* Adds the keys of all leases, and then the holder of each. */
void leases_add_keys(struct arguments *arguments, const struct broker *broker);
void leases_add_holders(struct arguments *arguments, const struct broker *broker);
/* Adds "<node>.<holder>". */
void leases_add_holder(struct arguments *arguments, const struct broker *broker, uint64_t holder);

VISIBILITY_POP

#endif
