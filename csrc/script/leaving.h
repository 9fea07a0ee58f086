/* Undoes what was done for a client: it leaves channels, disconnects, or its raw WebSocket has
 * ended. On the script's thread. */
#ifndef MOONWIRE_SCRIPT_LEAVING_H
#define MOONWIRE_SCRIPT_LEAVING_H

#include "app/script_job.h"

VISIBILITY_PUSH

struct script;

/* Makes the struct that the next client that leaves will use, if there is none yet. Returns false
 * if out of memory. All mail waits until there is one, so that a client that leaves is never
 * forgotten, nor overtaken by its next request. */
bool leaving_prepare(struct script *script);
/* Takes a membership from its worker. */
void leaving_take_membership(struct script *script, struct membership *membership);
/* Takes a reference to a raw WebSocket that has ended. */
void leaving_take_socket(struct script *script, struct mw_socket *socket);
/* Undoes a job that was refused. Takes the memberships and the reference to the job. Comes before
 * what else is queued for the client. */
void leaving_take_job(struct script *script, struct script_job *job, struct membership *memberships);
void leaving_free(struct leaving *leaving); /* NULL is allowed */

VISIBILITY_POP

#endif
