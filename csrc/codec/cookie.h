/* The Cookie field (RFC 6265 section 5.4, read as leniently as servers do). */
#ifndef MOONWIRE_CODEC_COOKIE_H
#define MOONWIRE_CODEC_COOKIE_H

#include "base/bytes.h"

VISIBILITY_PUSH

/* Walks the pairs of a Cookie value. Start with *rest = the value; false at the end. Surrounding white space and one pair of
 * double quotes around the value are dropped; pairs without '=' or with an empty name are passed over. */
bool cookie_next(struct bytes *rest, struct bytes *name, struct bytes *value);

VISIBILITY_POP

#endif
