/* A subscriber that catches up, of whose messages some are not in the store: it waits until the hub
 * has received them, or until they are fetched from the broker. It holds no outbox while it waits. */
#ifndef MOONWIRE_DELIVERY_FETCHING_H
#define MOONWIRE_DELIVERY_FETCHING_H

#include "delivery/catchup.h"

VISIBILITY_PUSH

/* Finds out whether the next messages can be pushed. Moves the sources whose messages are nowhere on
 * to the first that is not, and marks their gaps. Under the lock of the store. */
enum catchup_step fetching_look(struct subscriber *subscriber, struct catchup *catchup);
/* Asks for what is missing, if fetching_look returned CATCHUP_WAITS. Without the lock. A subscriber
 * for which that fails is marked broken. */
void fetching_ask(struct subscriber *subscriber, struct catchup *catchup);

VISIBILITY_POP

#endif
