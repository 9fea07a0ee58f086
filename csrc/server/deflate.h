/* Compressed WebSockets (permessage-deflate). What is published is deflated once for each size of window in use, whatever the number of
 * subscribers, and a connection holds nothing for it; only one whose client may be referred to earlier messages has a stream of its own. */
#ifndef MOONWIRE_SERVER_DEFLATE_H
#define MOONWIRE_SERVER_DEFLATE_H

#include "codec/ws_extension.h"
#include "codec/ws_reader.h"
#include "server/exchange.h"

VISIBILITY_PUSH

/* Judges the offers of a handshake under the options. Returns the value of the answer's Sec-WebSocket-Extensions, written to `out`; empty: nothing
 * is agreed. */
struct bytes deflate_agree(const struct http_head *head, const struct mw_deflate_options *options, struct ws_deflate_terms *terms,
                           char out[WS_EXTENSION_MAX]);
/* The connection, just upgraded, is to keep to the terms. False without memory. */
bool deflate_begin(struct exchange *exchange, struct ws_deflate_terms terms);
/* What a reader must know that is lent to it. */
struct ws_deflate_terms deflate_terms(struct exchange *exchange);

/* The message in that format, deflated now if nobody did it before. Borrowed from the message; NULL without memory. Not for FORM_WS_OWN. */
struct blob *deflate_shared(struct worker *worker, enum form form, struct message *message);
/* The message as it goes to this one: a reference, or NULL without memory. */
struct blob *deflate_message(struct exchange *exchange, struct message *message);
/* Writes a text that shares one blob as a frame that shares the blob deflated, which is done once for all who get the same. False: it goes as it
 * is. */
bool deflate_rope(struct exchange *exchange, const struct rope *text, struct rope *frame);
/* The same for a frame that goes to it alone. Takes the frame, which may be NULL. */
struct blob *deflate_frame(struct exchange *exchange, struct blob *frame);

VISIBILITY_POP

#endif
