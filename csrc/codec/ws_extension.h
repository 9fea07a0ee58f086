/* Which extension a WebSocket connection speaks: permessage-deflate (RFC 7692 section 7.1) or none. Offers are read and one of them
 * is answered here; what was agreed is kept by ws_reader (what the client sends) and ws_deflate (what the server sends). */
#ifndef MOONWIRE_CODEC_WS_EXTENSION_H
#define MOONWIRE_CODEC_WS_EXTENSION_H

#include "codec/http_reader.h"

VISIBILITY_PUSH

enum { WS_EXTENSION_MAX = 128 }; /* bytes of an answer */

/* The server deflates with windows of few sizes, so that a message has few compressed forms. */
enum ws_window { WS_WINDOW_15, WS_WINDOW_12, WS_WINDOW_9, WS_WINDOW_COUNT };
/* Bits: 15, 12 or 9. */
unsigned ws_window_bits(enum ws_window window);

/* What an app wants. */
struct ws_deflate_policy {
  bool server_takeover;  /* the server may refer to messages before, if the client does not mind: compresses better, and each
                            * connection needs a deflater of its own */
  bool client_takeover;  /* likewise the client: each connection needs a window of 32 KiB */
  enum ws_window window; /* the largest one that the server deflates with */
};

/* What was agreed. Zeroed: nothing, messages travel plain. */
struct ws_deflate_terms {
  bool agreed;
  bool server_takeover; /* as in the policy, and by the client's leave */
  bool client_takeover;
  uint8_t window; /* the enum ws_window with which the server deflates */
};

/* True if all Sec-WebSocket-Extensions fields are what RFC 6455 section 9.1 says; also if there are none. */
bool ws_extension_valid(const struct http_head *head);

/* Answers the first offer that can be accepted under the policy; an offer with a parameter that is unknown, given twice or has a
 * wrong value is not. Sets *terms, and returns the value of the answer's Sec-WebSocket-Extensions, written to `out`. It is empty
 * if nothing is agreed: no offer is any good, a field is malformed, or `policy` is NULL. */
struct bytes ws_extension_agree(const struct http_head *head, const struct ws_deflate_policy *policy,
                                struct ws_deflate_terms *terms, char out[WS_EXTENSION_MAX]);

VISIBILITY_POP

#endif
