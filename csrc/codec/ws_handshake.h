/* The opening handshake of WebSocket, the server's side (RFC 6455 section 4.2). Extensions are ws_extension's. */
#ifndef MOONWIRE_CODEC_WS_HANDSHAKE_H
#define MOONWIRE_CODEC_WS_HANDSHAKE_H

#include "base/buffer.h"
#include "codec/http_reader.h"

VISIBILITY_PUSH

/* Status 0 if the request may be upgraded, and *key is its Sec-WebSocket-Key, a slice of the head; else 400, 405 or 426, and
 * why. */
struct http_error ws_handshake_check(const struct http_head *head, struct bytes *key);
/* The fields that an answer with such a status must have; returns how many there are. */
size_t ws_handshake_fields(int status, const struct http_field **fields);

/* Walks the subprotocols that the client offers, the one that it likes best first, over all the fields that list them. Start with
 * a zeroed cursor. Those of a head that was judged well are tokens; one that is offered twice comes twice. */
struct ws_offers {
  size_t field_count; /* fields that were looked at */
  struct bytes rest;  /* of the list in the last of them */
};
bool ws_handshake_offer(const struct http_head *head, struct ws_offers *cursor, struct bytes *protocol);

/* Writes what proves that the server has read the key as that of a WebSocket, terminated: the value of Sec-WebSocket-Accept. The key is one
 * that ws_handshake_check returned. False if the library of hashes fails. */
enum { WS_ACCEPT_LEN = 28 };
bool ws_handshake_accept(char out[WS_ACCEPT_LEN + 1], struct bytes key);

VISIBILITY_POP

#endif
