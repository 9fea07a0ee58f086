/* WebSocket (RFC 6455): the upgrade, frames in both directions, liveness, closing. What the messages mean is native.h's. */
#ifndef MOONWIRE_SERVER_ROLE_WS_H
#define MOONWIRE_SERVER_ROLE_WS_H

#include "codec/ws_frame.h"
#include "server/exchange.h"

VISIBILITY_PUSH

/* Pushes one frame. */
void role_ws_push(struct exchange *exchange, enum ws_opcode opcode, struct bytes payload);
/* Says farewell and ends the session; a session that is no WebSocket ends its stream. */
void role_ws_close(struct exchange *exchange, unsigned code, const char *reason);

VISIBILITY_POP

#endif
