/* Questions to the app, which waits as long as it likes with the answer. */
#ifndef MOONWIRE_SCRIPT_QUESTION_H
#define MOONWIRE_SCRIPT_QUESTION_H

#include "script/script.h"

VISIBILITY_PUSH

/* Puts a question to the app; the answer comes by request->on_answer, perhaps before this returns. */
void question_ask(struct script *script, struct mw_request *request, enum mw_request_type type);
/* Tells the app that its answer is not wanted any more; it answers all the same. Does nothing if the request does not wait. */
void question_cancel(struct mw_request *request);
/* The app has answered: what is stored where the request belongs says how. */
void question_answered(struct mw_request *request);

VISIBILITY_POP

#endif
