/* The steps of a job: the questions that it puts to the app, one after the other, and its answer. */
#ifndef MOONWIRE_SERVER_JOINING_H
#define MOONWIRE_SERVER_JOINING_H

#include "app/script_job.h"

VISIBILITY_PUSH

struct mw_server;

/* Begins, or waits for its client's turn; takes the reference. */
void joining_begin(struct mw_server *server, struct script_job *job);
/* The asker has gone, or answered by itself; takes a reference. */
void joining_cancel(struct mw_server *server, struct script_job *job);
/* Goes on with one that waited for a channel to open. */
void joining_resume(struct mw_server *server, struct script_job *job);
/* The app has answered: what is stored in the job says how. */
void joining_answered(struct mw_server *server, struct script_job *job);

VISIBILITY_POP

#endif
