/* What a WebSocket reads with: a reader is lent by the worker while there is something to read, and stays with the session only in the middle of
 * something. */
#ifndef MOONWIRE_TRANSPORT_WEBSOCKET_WS_INPUT_H
#define MOONWIRE_TRANSPORT_WEBSOCKET_WS_INPUT_H

#include "base/buffer.h"
#include "codec/ws/ws_reader.h"
#include "http/exchange.h"

VISIBILITY_PUSH

/* The session's reader, or one for it; NULL without memory. */
struct ws_reader *ws_input_borrow(struct exchange *exchange);
/* Gives the reader that was used back to the worker, or leaves it with the session, whose unfinished message is counted (http/unfinished.h). is_new:
 * a message that was unfinished when it was borrowed has ended. */
void ws_input_return(struct exchange *exchange, struct ws_reader *reader, bool is_new);
/* Frees the reader that was used: nothing more is read. */
void ws_input_drop(struct exchange *exchange, struct ws_reader *reader);
/* The reader with what it is in the middle of, taken from the session; NULL if there is none. */
struct ws_reader *ws_input_detach(struct exchange *exchange);

VISIBILITY_POP

#endif
