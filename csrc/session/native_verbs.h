/* What a client of the native protocol asks for, one verb an object: each is refused, done at once, or asked of the app. */
#ifndef MOONWIRE_SESSION_NATIVE_VERBS_H
#define MOONWIRE_SESSION_NATIVE_VERBS_H

#include "session/native.h"

VISIBILITY_PUSH

/* Handles one message of a client that has no request with the script. */
void native_handle(struct subscriber *subscriber, const struct input *input);

VISIBILITY_POP

#endif
