/* The opening handshake of WebSocket, the server's side (RFC 6455 section 4.2). Extensions are ws_extension's. */
#ifndef MOONWIRE_CODEC_WS_HANDSHAKE_H
#define MOONWIRE_CODEC_WS_HANDSHAKE_H

#include "base/buffer.h"
#include "codec/http_reader.h"

VISIBILITY_PUSH

/* Status 0 if the request may be upgraded, and *key is its Sec-WebSocket-Key, a slice of the head; else 400, 405 or 426, and
 * why. */
struct http_error ws_handshake_judge(const struct http_head *head, struct bytes *key);
/* The fields that an answer with such a status must have: written lines, each with its CRLF, or nothing. */
struct bytes ws_handshake_fields(int status);

/* Walks the subprotocols that the client offers, the one that it likes best first, over all the fields that list them. Start with
 * a zeroed cursor. Those of a head that was judged well are tokens; one that is offered twice comes twice. */
struct ws_offers {
  size_t field_count; /* fields that were looked at */
  struct bytes rest;  /* of the list in the last of them */
};
bool ws_handshake_offer(const struct http_head *head, struct ws_offers *cursor, struct bytes *protocol);

/* Appends the whole answer that upgrades the connection. `protocol` is one that was offered, or empty; `extension` what
 * ws_extension_agree says, or empty. False, and nothing appended, if the library of hashes refuses its service; without memory
 * `out` has failed, as ever. */
bool ws_handshake_accept(struct buffer *out, struct bytes key, struct bytes protocol, struct bytes extension);

VISIBILITY_POP

#endif
