/* Web origins that may use the server (RFC 6454; the Origin header of the Fetch standard). */
#ifndef MOONWIRE_AUTH_ORIGIN_H
#define MOONWIRE_AUTH_ORIGIN_H

#include "base/bytes.h"

VISIBILITY_PUSH

/* Checks one entry of a list of allowed origins: "https://a.example[:port]", "https://"
 * "*.b.example[:port]" (one or more labels in front), or "*". Returns NULL, or a constant that
 * states the fault. */
const char *origin_fault(struct bytes entry);
/* Returns true if the entry allows the origin. Names are compared regardless of case. */
bool origin_matches(struct bytes entry, struct bytes origin);
/* Returns true if the host and port of the origin are those of the Host header, and its scheme is
 * `scheme`. Empty: the scheme does not count, because a proxy may have ended TLS. */
bool origin_is_same(struct bytes origin, struct bytes host, struct bytes scheme);

VISIBILITY_POP

#endif
