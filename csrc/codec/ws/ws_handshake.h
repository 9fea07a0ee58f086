/* The server's side of the WebSocket handshake (RFC 6455 section 4.2). ws_extension negotiates
 * extensions. */
#ifndef MOONWIRE_CODEC_WS_HANDSHAKE_H
#define MOONWIRE_CODEC_WS_HANDSHAKE_H

#include "base/buffer.h"
#include "codec/http/http_reader.h"

VISIBILITY_PUSH

/* Checks a request. Returns status 0 if it can be upgraded, and *key is its Sec-WebSocket-Key, a
 * slice of the head. Otherwise returns 400, 405, or 426, and the reason. */
struct http_error ws_handshake_check(const struct http_head *head, struct bytes *key);
/* Returns the number of fields that an answer with such a status must have; *fields points to
 * them. */
size_t ws_handshake_fields(int status, const struct http_field **fields);

/* Walks the subprotocols that the client offers, in its order of preference, over all fields that
 * list them: start with a zeroed cursor. If ws_handshake_check accepted the head, they are tokens.
 * One that is offered twice comes twice. */
struct ws_offers {
  size_t field_count; /* fields that were read */
  struct bytes rest;  /* the rest of the list in the last of them */
};
bool ws_handshake_offer(const struct http_head *head, struct ws_offers *cursor, struct bytes *protocol);

/* Writes the value of Sec-WebSocket-Accept, terminated, for a key of ws_handshake_check. Returns
 * false if the hash function fails. */
enum { WS_ACCEPT_LEN = 28 };
bool ws_handshake_accept(char out[WS_ACCEPT_LEN + 1], struct bytes key);

VISIBILITY_POP

#endif
