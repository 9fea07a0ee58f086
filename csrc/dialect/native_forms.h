/* The native protocol's forms of a message: events, objects in the answer to a poll, and frames. */
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
/* The same compressed, by window size; small messages are not compressed. */
extern const struct form_class native_ws_compressed[WS_WINDOW_COUNT];
extern const struct form_class native_ws_own; /* compressed for each subscriber by itself */

/* Appends an event of the server, such as "moonwire:gap", in that form; for WebSockets, the payload
 * of a frame. `channel` may be empty: none. `data` is JSON without newlines, and may be shared. */
void native_write_rope(struct rope *out, const struct form_class *form, struct bytes channel, struct bytes event,
                       const struct rope *data);

VISIBILITY_POP

#endif
