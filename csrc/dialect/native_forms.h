/* The native protocol's forms of a message: as events, as an object in the answer to a poll, and as
 * frames. */
#ifndef MOONWIRE_DIALECT_NATIVE_FORMS_H
#define MOONWIRE_DIALECT_NATIVE_FORMS_H

#include "codec/sse.h"
#include "delivery/form.h"

VISIBILITY_PUSH

extern const struct form_class native_sse; /* event, data, and id lines */
/* the push as a JSON object in the data line, and an id line */
extern const struct form_class native_envelope;
extern const struct form_class native_poll; /* the push as a JSON object */
/* the push as a JSON object in a text frame; a binary one has the bytes after it */
extern const struct form_class native_ws;
/* The same compressed, by size of window; small messages as they are. */
extern const struct form_class native_ws_compressed[WS_WINDOW_COUNT];
extern const struct form_class native_ws_own; /* compressed for each subscriber by itself */

/* Appends one event of the server's own ("moonwire:gap") in that form, for WebSockets the payload
 * of a frame. It has a channel (empty: none), and data, which is JSON, may be shared, and has no
 * newlines. */
void native_write_rope(struct rope *out, const struct form_class *form, struct bytes channel, struct bytes event,
                       const struct rope *data);

VISIBILITY_POP

#endif
