/* Carries out the verbs of a client, one at a time: each is refused, done immediately, or passed to
 * the app. */
#ifndef MOONWIRE_SESSION_VERBS_H
#define MOONWIRE_SESSION_VERBS_H

#include "session/input.h"

VISIBILITY_PUSH

/* Handles the verbs of a client that has none with the script. Returns the rest of the input, which
 * the caller keeps for later: a verb is with the script, or the budget is spent. */
struct bytes verbs_handle(struct subscriber *subscriber, const struct input *input);

/* Answers a verb that reads a history, which was fetched for the job. */
void verbs_answer_history(struct subscriber *subscriber, const struct script_job *job, const struct reply *reply,
                          struct bytes ref);

VISIBILITY_POP

#endif
