/* The moment at which a client is in: connected, or subscribed, acknowledged and replayed to in one step. */
#ifndef MOONWIRE_SESSION_JOIN_H
#define MOONWIRE_SESSION_JOIN_H

#include "session/reply.h"

VISIBILITY_PUSH

/* All is allowed: subscribes to the job's one channel. */
void session_join(struct subscriber *subscriber, struct script_job *job, const struct reply *reply, struct bytes ref);
/* Who it is, is settled: by its first verb, or by a newer token. */
void session_connected(struct subscriber *subscriber, struct script_job *job, const struct reply *reply, struct bytes ref);

VISIBILITY_POP

#endif
