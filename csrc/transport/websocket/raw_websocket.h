/* Raw WebSocket endpoints: the app allows the upgrade, and then receives each message, in order. On
 * the worker's thread. */
#ifndef MOONWIRE_TRANSPORT_WEBSOCKET_RAW_WEBSOCKET_H
#define MOONWIRE_TRANSPORT_WEBSOCKET_RAW_WEBSOCKET_H

#include "app/socket.h"
#include "codec/ws/ws_reader.h"
#include "http/exchange.h"

VISIBILITY_PUSH

/* Called when the reader has a message. */
void raw_websocket_receive(struct exchange *exchange, struct ws_reader *reader);
/* Ends reading: the peer has closed it (is_answer), or has sent something invalid. Earlier messages
 * are handled first. */
void raw_websocket_end_reading(struct exchange *exchange, struct ws_close_info info, bool is_answer);
VISIBILITY_POP

#endif
