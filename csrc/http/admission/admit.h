/* Which requests an address may make: limits.address_connections behind a trusted proxy, and
 * limits.address_handshakes. */
#ifndef MOONWIRE_HTTP_ADMISSION_ADMIT_H
#define MOONWIRE_HTTP_ADMISSION_ADMIT_H

#include "http/exchange.h"

VISIBILITY_PUSH

/* Called when the request is complete, before its role begins. Returns false if it was refused: with
 * 429, or, for an event stream, with 200 and the time to reconnect. */
bool admit_request(struct exchange *exchange, const struct role *role);

VISIBILITY_POP

#endif
