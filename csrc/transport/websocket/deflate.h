/* permessage-deflate of one connection: what its handshake agrees on, and frames that go to it alone (delivery/compress.h has the rest). */
#ifndef MOONWIRE_TRANSPORT_WEBSOCKET_DEFLATE_H
#define MOONWIRE_TRANSPORT_WEBSOCKET_DEFLATE_H

#include "codec/ws/ws_extension.h"
#include "codec/ws/ws_reader.h"
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

VISIBILITY_POP

#endif
