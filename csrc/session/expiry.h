/* The end of a session whose client was identified by a token: the client is notified before its
 * token expires, and closed when it has, unless a newer token arrives. Only such sessions have this
 * record. On the worker's thread. */
#ifndef MOONWIRE_SESSION_EXPIRY_H
#define MOONWIRE_SESSION_EXPIRY_H

#include "session/session.h"

VISIBILITY_PUSH

/* The notice comes when a fifth of the time is left, and at most a minute, or a second earlier. */
enum { EXPIRY_NOTICE_PART = 5, EXPIRY_NOTICE_MAX_MS = 60 * 1000 };

/* Called when a job has identified the client: the session ends when the job says. Nothing changes
 * if the app identified it. If out of memory, breaks the subscriber. */
void expiry_set(struct subscriber *subscriber, const struct script_job *job);
/* Frees the record of a session, if it has one. */
void expiry_clear(struct session *session);
/* Returns the seconds that are left to the client of a job, at least 1; 0: without end. */
uint64_t expiry_seconds(const struct http *http, const struct script_job *job);
/* Called when the timer of a record is due. */
void expiry_due(struct timer *timer);

VISIBILITY_POP

#endif
