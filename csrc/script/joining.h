/* The steps of a job: the questions that it puts to the app, one after the other, and its answer.
 * On the script's thread. */
#ifndef MOONWIRE_SCRIPT_JOINING_H
#define MOONWIRE_SCRIPT_JOINING_H

#include "app/script_job.h"

VISIBILITY_PUSH

struct script;

/* Begins a job, or has it wait for its client's turn. Takes the reference. */
void joining_begin(struct script *script, struct script_job *job);
/* Cancels a job whose exchange has ended, or has answered by itself. Takes a reference. */
void joining_cancel(struct script *script, struct script_job *job);
/* The app has not answered the job's question in time. If a request waits for the job, it is refused,
 * and what was joined is undone, whatever the answer will be. NULL is allowed. */
void joining_note_late(struct script_job *job);
/* Continues with a job that waited for a channel to open. */
void joining_resume(struct script *script, struct script_job *job);

VISIBILITY_POP

#endif
