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

/* Appends the push as a JSON object; bytes come as base64. */
void native_write_push(struct buffer *out, const struct message *message, const struct epoch *epoch);
/* Appends {"channel":NAME}, the data of gaps and ends. */
void native_write_channel(struct buffer *out, struct bytes channel);
/* Appends one event of the server's own ("moonwire:gap") in that form, which is not of a WebSocket;
 * data is JSON. */
void native_write_event(struct buffer *out, const struct form_class *form, struct bytes event, struct bytes data);
/* The same in any form (for WebSockets the payload of a frame), with a channel (empty: none), and
 * with data that may be shared, and has no newlines. */
void native_write_rope(struct rope *out, const struct form_class *form, struct bytes channel, struct bytes event,
                       const struct rope *data);

VISIBILITY_POP

#endif
