/* The Cookie header (RFC 6265 section 5.4, read as leniently as other servers do). */
#ifndef MOONWIRE_CODEC_COOKIE_H
#define MOONWIRE_CODEC_COOKIE_H

#include "base/bytes.h"

VISIBILITY_PUSH

/* Walks the pairs of a Cookie value: start with *rest = the value; returns false at the end.
 * Removes white space and one pair of double quotes around the value. Ignores pairs without '=' or
 * with an empty name. */
bool cookie_next(struct bytes *rest, struct bytes *name, struct bytes *value);

VISIBILITY_POP

#endif
