/* Questions to the app, which may take any time to answer. On the script's thread. */
#ifndef MOONWIRE_SCRIPT_QUESTION_H
#define MOONWIRE_SCRIPT_QUESTION_H

#include "script/script.h"

VISIBILITY_PUSH

/* Puts a question to the app. The answer comes by request->on_answer, perhaps before this
 * returns. */
void question_ask(struct script *script, struct mw_request *request, enum mw_request_type type);
/* Tells the app that its answer is not needed any more. The app answers all the same. Does nothing
 * if the request does not wait. */
void question_cancel(struct mw_request *request);
/* Called when the app has answered; the answer is stored where the request belongs. */
void question_answered(struct mw_request *request);
/* Checks the head of a raw stream, and keeps its fields. MW_EINVAL, with an error (NULL: nowhere),
 * or MW_ENOMEM. */
int question_keep_stream_head(const struct mw_response *head, struct blob **out, struct mw_error *error);

VISIBILITY_POP

#endif
