/* permessage-deflate of one connection: the terms of its handshake, and frames for it alone
 * (delivery/compress.h has the rest). On the worker's thread. */
#ifndef MOONWIRE_TRANSPORT_WEBSOCKET_DEFLATE_H
#define MOONWIRE_TRANSPORT_WEBSOCKET_DEFLATE_H

#include "codec/ws/ws_extension.h"
#include "codec/ws/ws_reader.h"
#include "http/exchange.h"

VISIBILITY_PUSH

/* Checks the offers of a handshake under the options. Returns the value of the answer's
 * Sec-WebSocket-Extensions, written to `out`, or nothing if no offer is accepted. */
struct bytes deflate_agree(const struct http_head *head, const struct mw_deflate_options *options, struct ws_deflate_terms *terms,
                           char out[WS_EXTENSION_MAX]);
/* Sets the terms of a connection that was just upgraded. Returns false if out of memory. */
bool deflate_begin(struct exchange *exchange, struct ws_deflate_terms terms, size_t min);
/* Returns the terms for a reader that the connection borrows. */
struct ws_deflate_terms deflate_terms(struct exchange *exchange);

/* Returns the size below which messages are sent uncompressed. */
size_t deflate_min(const struct mw_deflate_options *options);

VISIBILITY_POP

#endif
