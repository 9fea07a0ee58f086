/* Negotiates the extension of a WebSocket: permessage-deflate (RFC 7692 section 7.1) or none.
 * Offers are read and answered here. The terms are applied by ws_reader to messages of the client,
 * and by ws_deflate to those of the server. */
#ifndef MOONWIRE_CODEC_WS_EXTENSION_H
#define MOONWIRE_CODEC_WS_EXTENSION_H

#include "codec/http/http_reader.h"

VISIBILITY_PUSH

enum { WS_EXTENSION_MAX = 128 }; /* the most bytes of an answer */

/* The server's windows have few sizes, so that a message has few compressed forms. */
enum ws_window { WS_WINDOW_15, WS_WINDOW_12, WS_WINDOW_9, WS_WINDOW_COUNT };
/* Returns 15, 12, or 9 bits. */
unsigned ws_window_bits(enum ws_window window);

/* The options of an app. */
struct ws_deflate_policy {
  /* the server may refer to earlier messages, if the client allows it: smaller, but each connection
   * needs its own deflater */
  bool server_takeover;
  bool client_takeover;  /* the same for the client: each connection needs a window of 32 KiB */
  enum ws_window window; /* the largest window of the server */
};

/* The negotiated terms. Zeroed: none, and messages are not compressed. */
struct ws_deflate_terms {
  bool agreed;
  bool server_takeover; /* as in the policy, if the client allows it */
  bool client_takeover;
  uint8_t window; /* the enum ws_window with which the server deflates */
};

/* Returns true if all Sec-WebSocket-Extensions fields are valid (RFC 6455 section 9.1), or if there
 * are none. */
bool ws_extension_valid(const struct http_head *head);

/* Accepts the first offer that the policy allows. An offer with an unknown, repeated, or invalid
 * parameter is not accepted. Sets *terms, and returns the value of Sec-WebSocket-Extensions in the
 * answer, written to `out`. It is empty if no offer is accepted, if a field is malformed, or if
 * `policy` is NULL. */
struct bytes ws_extension_agree(const struct http_head *head, const struct ws_deflate_policy *policy,
                                struct ws_deflate_terms *terms, char out[WS_EXTENSION_MAX]);

VISIBILITY_POP

#endif
