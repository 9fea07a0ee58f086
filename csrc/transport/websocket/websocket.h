/* WebSocket (RFC 6455): the upgrade, frames in both directions, liveness, closing. What the
 * messages mean is the session's (session/input.h), or raw_websocket.h's. */
#ifndef MOONWIRE_TRANSPORT_WEBSOCKET_WEBSOCKET_H
#define MOONWIRE_TRANSPORT_WEBSOCKET_WEBSOCKET_H

#include "codec/ws/ws_frame.h"
#include "http/exchange.h"

VISIBILITY_PUSH

struct dialect;

/* Sends a close frame, ends the session, and waits for the peer's close frame. */
void websocket_close(struct exchange *exchange, unsigned code, const char *reason);
/* Sends a close frame that answers one, or follows a protocol error, and does not wait for the
 * peer's. */
void websocket_finish(struct exchange *exchange, unsigned code, const char *reason);

/* Refuses a request that cannot be upgraded. Returns true if it has. */
bool websocket_refuse(struct exchange *exchange, const struct http_head *head, bool origin_allowed);
/* Refuses temporarily: upgrades, and closes with 1013, or with the code of the server's stop. A
 * page cannot read a status before the upgrade. `protocol` may be empty. */
void websocket_put_off(struct exchange *exchange, const struct dialect *dialect, struct bytes protocol, const char *reason);
/* Answers with the upgrade. Returns false if it was refused because out of memory. */
bool websocket_upgrade(struct exchange *exchange, const struct dialect *dialect, struct bytes protocol);

/* The role->on_read of WebSockets, and their on_silent if only a ping is due. */
size_t websocket_read(struct exchange *exchange, struct bytes bytes);
void websocket_on_silent(struct exchange *exchange);
void websocket_on_end(struct exchange *exchange);
void websocket_on_close(struct exchange *exchange, const struct closing *closing);
void websocket_give_up(struct exchange *exchange, const struct closing *closing);
/* Returns how long it may be silent. */
uint64_t websocket_silence_ms(struct exchange *exchange);

VISIBILITY_POP

#endif
