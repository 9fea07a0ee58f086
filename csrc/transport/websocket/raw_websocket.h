/* Raw WebSocket endpoints: the app is asked for the upgrade and handed each message, in order. */
#ifndef MOONWIRE_TRANSPORT_WEBSOCKET_RAW_WEBSOCKET_H
#define MOONWIRE_TRANSPORT_WEBSOCKET_RAW_WEBSOCKET_H

#include "app/socket.h"
#include "codec/ws/ws_reader.h"
#include "http/exchange.h"

VISIBILITY_PUSH

/* The reader has a message. */
void raw_websocket_receive(struct exchange *exchange, struct ws_reader *reader);
/* Nothing more is read: the peer has closed it (is_answer), or what it sent was wrong. What came before is handled first. */
void raw_websocket_end_reading(struct exchange *exchange, struct ws_close_info info, bool is_answer);
VISIBILITY_POP

#endif
