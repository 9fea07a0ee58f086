/* Undoing what was done for a client: it leaves channels, disconnects, or its raw WebSocket is over. */
#ifndef MOONWIRE_SCRIPT_LEAVING_H
#define MOONWIRE_SCRIPT_LEAVING_H

#include "app/script_job.h"

VISIBILITY_PUSH

struct script;

/* Makes the one that the next mail about a client that leaves will use, if it is not there yet. False: out of memory. All mail waits until there
 * is one, so that a client that leaves is never forgotten, nor overtaken by what it does next. */
bool leaving_prepare(struct script *script);
/* Takes a membership from its worker. */
void leaving_take_membership(struct script *script, struct membership *membership);
/* Takes a reference to a raw WebSocket that is over. */
void leaving_take_socket(struct script *script, struct mw_socket *socket);
/* Undoes what the job has done, which was refused; takes the memberships and the reference to the job. It comes before what else waits of the
 * client. */
void leaving_take_job(struct script *script, struct script_job *job, struct membership *memberships);
void leaving_free(struct leaving *leaving); /* NULL is allowed */

VISIBILITY_POP

#endif
