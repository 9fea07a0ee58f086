/* Admits a native client: connected, or subscribed, acknowledged, and replayed to in one step. On
 * the worker's thread. */
#ifndef MOONWIRE_SESSION_NATIVE_JOIN_H
#define MOONWIRE_SESSION_NATIVE_JOIN_H

#include "session/native.h"

VISIBILITY_PUSH

/* Subscribes to the job's one channel, which was allowed. */
void native_join(struct subscriber *subscriber, struct script_job *job, const struct reply_to *to, struct bytes ref);
/* Called when its identity is known: of moonwire.1 by its first verb, or by a newer token. */
void native_connected(struct subscriber *subscriber, struct script_job *job, const struct reply_to *to, struct bytes ref);

VISIBILITY_POP

#endif
