/* What a client asks for, one verb after the other: each is refused, done at once, or asked of the app. */
#ifndef MOONWIRE_SESSION_VERBS_H
#define MOONWIRE_SESSION_VERBS_H

#include "session/input.h"

VISIBILITY_PUSH

/* Handles the verbs of a client that has none with the script. Returns what is left of the input, for later: a verb is with the script, or the
 * budget is spent. */
struct bytes verbs_handle(struct subscriber *subscriber, const struct input *input);

VISIBILITY_POP

#endif
