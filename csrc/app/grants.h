/* The channels that a token grants: the claim "channels", a list of patterns. */
#ifndef MOONWIRE_APP_GRANTS_H
#define MOONWIRE_APP_GRANTS_H

#include "base/bytes.h"

VISIBILITY_PUSH

extern const char grants_refusal[];

/* Returns true if a pattern of the claim matches the name. `user` is JSON that json_scan accepts.
 * Entries that are not patterns of channels grant nothing. */
bool grants_channel(struct bytes user, struct bytes name);

VISIBILITY_POP

#endif
