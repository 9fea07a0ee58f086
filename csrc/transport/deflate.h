/* permessage-deflate of one connection: what its handshake agrees on, and frames that go to it alone (delivery/compress.h has the rest). */
#ifndef MOONWIRE_TRANSPORT_DEFLATE_H
#define MOONWIRE_TRANSPORT_DEFLATE_H

#include "codec/ws_extension.h"
#include "codec/ws_reader.h"
#include "http/exchange.h"

VISIBILITY_PUSH

/* Judges the offers of a handshake under the options. Returns the value of the answer's Sec-WebSocket-Extensions, written to `out`; empty: nothing
 * is agreed. */
struct bytes deflate_agree(const struct http_head *head, const struct mw_deflate_options *options, struct ws_deflate_terms *terms,
                           char out[WS_EXTENSION_MAX]);
/* The connection, just upgraded, is to keep to the terms. False without memory. */
bool deflate_begin(struct exchange *exchange, struct ws_deflate_terms terms, size_t min);
/* What a reader must know that is lent to it. */
struct ws_deflate_terms deflate_terms(struct exchange *exchange);

/* Messages of fewer bytes travel plain. */
size_t deflate_min(const struct mw_deflate_options *options);
/* Writes a text that shares one blob as a frame that shares the blob deflated, which is done once for all who get the same. False: it goes as it
 * is. */
bool deflate_rope(struct exchange *exchange, const struct rope *text, struct rope *frame);
/* The same for a frame that goes to it alone. Takes the frame, which may be NULL. */
struct blob *deflate_frame(struct exchange *exchange, struct blob *frame);

VISIBILITY_POP

#endif
