/* The moment at which a native client is in: connected, or subscribed, acknowledged and replayed to in one step. */
#ifndef MOONWIRE_SESSION_NATIVE_JOIN_H
#define MOONWIRE_SESSION_NATIVE_JOIN_H

#include "session/native.h"

VISIBILITY_PUSH

/* All is allowed: subscribes to the job's one channel. */
void native_join(struct subscriber *subscriber, struct script_job *job, const struct reply_to *to, struct bytes ref);
/* Who it is, is settled: of moonwire.1 by its first verb, or by a newer token. */
void native_connected(struct subscriber *subscriber, struct script_job *job, const struct reply_to *to, struct bytes ref);

VISIBILITY_POP

#endif
