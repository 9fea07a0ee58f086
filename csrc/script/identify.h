/* Who a new client is, where the app need not be asked: by a ticket, or by a token (mw_token). On
 * the script's thread. */
#ifndef MOONWIRE_SCRIPT_IDENTIFY_H
#define MOONWIRE_SCRIPT_IDENTIFY_H

#include "app/script_job.h"

VISIBILITY_PUSH

/* Sets the user of the job's client, or refuses the job. Returns false, and does nothing, if the
 * app must be asked. */
bool identify_client(struct script *script, struct script_job *job);
/* Sets the user of the job's client: takes the JSON (NULL: anonymous). If it is another user than
 * before, or if out of memory, refuses the job and returns a negative status. */
int identify_as(struct script_job *job, struct blob *user);

VISIBILITY_POP

#endif
