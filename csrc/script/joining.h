/* The steps of a job: the questions that it puts to the app, one after the other, and its answer. */
#ifndef MOONWIRE_SCRIPT_JOINING_H
#define MOONWIRE_SCRIPT_JOINING_H

#include "app/script_job.h"

VISIBILITY_PUSH

struct script;

/* Begins, or waits for its client's turn; takes the reference. */
void joining_begin(struct script *script, struct script_job *job);
/* The asker has gone, or answered by itself; takes a reference. */
void joining_cancel(struct script *script, struct script_job *job);
/* Goes on with one that waited for a channel to open. */
void joining_resume(struct script *script, struct script_job *job);

VISIBILITY_POP

#endif
