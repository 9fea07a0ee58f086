/* Raw WebSocket endpoints: the app is asked for the upgrade and handed each message, in order. */
#ifndef MOONWIRE_SERVER_ROLE_SOCKET_H
#define MOONWIRE_SERVER_ROLE_SOCKET_H

#include "codec/ws_reader.h"
#include "server/exchange.h"
#include "server/socket.h"

VISIBILITY_PUSH

/* The raw WebSocket that the exchange is; NULL: it is none, or over. */
struct mw_socket *role_socket_of(struct exchange *exchange);

/* The reader has a message. */
void role_socket_receive(struct exchange *exchange, struct ws_reader *reader);
/* Nothing more is read: the peer has closed it (is_answer), or what it sent was wrong. What came before is handled first. */
void role_socket_end_reading(struct exchange *exchange, struct ws_farewell farewell, bool is_answer);
/* The app has handled a message. */
void role_socket_handled(struct exchange *exchange, struct errand *errand);

/* Pushes one frame that the app sent; takes it. Over its outbox the socket is closed. */
void role_socket_push(struct exchange *exchange, struct blob *frame);
/* Tells the app's handle what is not written. */
void role_socket_note_unwritten(struct exchange *exchange);

VISIBILITY_POP

#endif
