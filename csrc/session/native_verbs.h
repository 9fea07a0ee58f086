/* The verbs of the native protocol, one an object: each is refused, carried out immediately, or put
 * to the app. On the worker's thread. */
#ifndef MOONWIRE_SESSION_NATIVE_VERBS_H
#define MOONWIRE_SESSION_NATIVE_VERBS_H

#include "session/native.h"

VISIBILITY_PUSH

/* Handles one message of a client that has no request with the script. */
void native_handle(struct subscriber *subscriber, const struct input *input);

VISIBILITY_POP

#endif
