/* GET /sse: a stream of channels as EventSource reads it. */
#ifndef MOONWIRE_TRANSPORT_SSE_H
#define MOONWIRE_TRANSPORT_SSE_H

#include "base/visibility.h"

VISIBILITY_PUSH

struct exchange;

/* Refuses an event stream temporarily. An EventSource does not reconnect after any status but 200,
 * so a temporary refusal is a stream that ends after a retry field. No empty line follows, so that
 * no library hands an empty event to the application. */
void sse_retry_later(struct exchange *exchange);

VISIBILITY_POP

#endif
