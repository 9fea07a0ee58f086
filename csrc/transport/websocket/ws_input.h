/* Readers of WebSockets: the worker lends a reader while there is something to read. It stays with
 * the session only in the middle of a message. On the worker's thread. */
#ifndef MOONWIRE_TRANSPORT_WEBSOCKET_WS_INPUT_H
#define MOONWIRE_TRANSPORT_WEBSOCKET_WS_INPUT_H

#include "base/buffer.h"
#include "codec/ws/ws_reader.h"
#include "http/exchange.h"

VISIBILITY_PUSH

/* Returns the session's reader, or lends it one. NULL if out of memory. */
struct ws_reader *ws_input_borrow(struct exchange *exchange);
/* Returns the reader to the worker, or keeps it with the session, and accounts for its incomplete
 * message (http/unfinished.h). is_new: a message that was incomplete when it was borrowed has
 * ended. */
void ws_input_return(struct exchange *exchange, struct ws_reader *reader, bool is_new);
/* Frees the reader: nothing more is read. */
void ws_input_drop(struct exchange *exchange, struct ws_reader *reader);
/* Takes a reader with an incomplete message from the session. NULL if there is none. */
struct ws_reader *ws_input_detach(struct exchange *exchange);

VISIBILITY_POP

#endif
