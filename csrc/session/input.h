/* What a client sends is taken one verb after the other. The same for WebSocket frames and for what comes by POST /send on behalf of a client
 * that only receives.
 *
 * While one of its verbs is with the script, all that follows waits in the input backlog, which is bounded. */
#ifndef MOONWIRE_SESSION_INPUT_H
#define MOONWIRE_SESSION_INPUT_H

#include "session/reply.h"

VISIBILITY_PUSH

struct input {
  struct bytes bytes; /* a frame, or the body of a request, in the words of the dialect that answers it (reply_dialect) */
  bool is_binary;
  struct reply reply;
};

/* Takes what the client has sent: handles it, or lets it wait. */
void session_receive(struct subscriber *subscriber, const struct input *input);
/* Handles the input backlog, as far as possible. */
void session_resume(struct subscriber *subscriber);
/* The script has answered what was asked. */
void session_on_answer(struct subscriber *subscriber, struct script_job *job);
/* True if the handler of a message is waited for when the server stops, so that whoever sent it gets the answer. */
bool session_finishes(struct subscriber *subscriber);
/* The session is about to end: answers for the client what waits for its answers. */
void session_dismiss(struct subscriber *subscriber);

VISIBILITY_POP

#endif
