/* Which web origins may ask (RFC 6454; the Origin field of the Fetch standard). */
#ifndef MOONWIRE_AUTH_ORIGIN_H
#define MOONWIRE_AUTH_ORIGIN_H

#include "base/bytes.h"

VISIBILITY_PUSH

/* One entry of a list of allowed origins: "https://a.example[:port]", "https://" "*.b.example[:port]" (one label or more in front), or
 * "*". NULL, or what is wrong with it. */
const char *origin_fault(struct bytes entry);
/* True if the entry allows the origin; names compared without regard to case. */
bool origin_matches(struct bytes entry, struct bytes origin);
/* True if the origin's host and port are those of the Host field: whatever the scheme, since TLS may have ended in front of us. */
bool origin_is_same(struct bytes origin, struct bytes host);

VISIBILITY_POP

#endif
