/* A client of the native protocol: takes what it sends, one after the other, and answers. The same for WebSocket frames and for what comes by
 * POST /send on behalf of a client that only receives.
 *
 * While one of its requests is with the script, all that follows waits in a bounded stash. */
#ifndef MOONWIRE_SESSION_NATIVE_H
#define MOONWIRE_SESSION_NATIVE_H

#include "session/session.h"

VISIBILITY_PUSH

struct input {
  struct bytes bytes; /* one object of the protocol; with reply_to.is_poll, the name of a channel to subscribe to */
  bool is_binary;
  struct reply_to reply_to;
};

/* Takes one message of the client: handles it, or lets it wait. */
void native_receive(struct subscriber *subscriber, const struct input *input);
/* Handles what is in the stash, as far as that goes. */
void native_resume(struct subscriber *subscriber);
/* The script has answered what was asked. */
void native_on_answer(struct subscriber *subscriber, struct script_job *job);
/* True if the handler of a message is waited for when the server stops, so that whoever sent it gets the answer. */
bool native_finishes(struct subscriber *subscriber);
/* The session is about to end: answers for the client what waits for its answers. */
void native_dismiss(struct subscriber *subscriber);

VISIBILITY_POP

#endif
