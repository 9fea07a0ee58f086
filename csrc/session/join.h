/* Completes what the app has allowed: a client connects, or it is subscribed, acknowledged, and
 * replayed to in one step. */
#ifndef MOONWIRE_SESSION_JOIN_H
#define MOONWIRE_SESSION_JOIN_H

#include "session/reply.h"

VISIBILITY_PUSH

/* Subscribes to the job's only channel, and answers the verb. */
void session_join(struct subscriber *subscriber, struct script_job *job, const struct reply *reply, struct bytes ref);
/* Called when the app has accepted the client, by its first verb or a newer token. Answers the
 * verb. */
void session_connected(struct subscriber *subscriber, struct script_job *job, const struct reply *reply, struct bytes ref);

VISIBILITY_POP

#endif
