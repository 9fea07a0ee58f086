/* Handles the input of a client, one verb at a time: WebSocket frames, and requests of POST /send
 * that act as the client.
 *
 * While one of its verbs is with the script, further input is queued in the input backlog, which is
 * bounded. */
#ifndef MOONWIRE_SESSION_INPUT_H
#define MOONWIRE_SESSION_INPUT_H

#include "session/reply.h"

VISIBILITY_PUSH

struct input {
  /* a frame, or the body of a request, in the dialect that answers it (reply_dialect) */
  struct bytes bytes;
  bool is_binary;
  struct reply reply;
};

/* Handles the input, or copies it to the input backlog. If out of memory, breaks the subscriber. */
void session_receive(struct subscriber *subscriber, const struct input *input);
/* Handles the input backlog, until a verb is with the script or the budget is spent. */
void session_resume(struct subscriber *subscriber);
/* Called when the script has answered the job of a verb. */
void session_on_answer(struct subscriber *subscriber, struct script_job *job);
/* Returns true if the stop of the server must wait for the handler of a message, so that its sender
 * receives the answer. */
bool session_finishes(struct subscriber *subscriber);
/* Called before the session ends: refuses the requests of POST /send and polls that still wait for
 * an answer. */
void session_dismiss(struct subscriber *subscriber);

VISIBILITY_POP

#endif
