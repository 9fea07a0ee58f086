/* A client of the native protocol: handles its messages one after the other, and answers them. The
 * same for WebSocket frames, and for POST /send on behalf of a client that only receives. On the
 * worker's thread.
 *
 * While one of its requests is with the script, later messages wait in the input backlog, which is
 * bounded. */
#ifndef MOONWIRE_SESSION_NATIVE_H
#define MOONWIRE_SESSION_NATIVE_H

#include "session/session.h"

VISIBILITY_PUSH

struct input {
  /* one object of the protocol; with reply_to.is_poll, the name of a channel to subscribe to */
  struct bytes bytes;
  bool is_binary;
  struct reply_to reply_to;
};

/* Takes one message of the client: handles it, or lets it wait. */
void native_receive(struct subscriber *subscriber, const struct input *input);
/* Handles the input backlog, as far as possible. */
void native_resume(struct subscriber *subscriber);
/* Called with the script's answer to the client's request. */
void native_on_answer(struct subscriber *subscriber, struct script_job *job);
/* Returns true if the handler of a message is waited for when the server stops, so that the sender
 * gets the answer. */
bool native_finishes(struct subscriber *subscriber);
/* Called before the session ends: answers the requests that wait for the client's answers. */
void native_fail_pending(struct subscriber *subscriber);

VISIBILITY_POP

#endif
