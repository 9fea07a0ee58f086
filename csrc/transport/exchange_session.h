/* The session of a stream: of a WebSocket, or of an event stream with a client. On the worker's
 * thread. */
#ifndef MOONWIRE_TRANSPORT_EXCHANGE_SESSION_H
#define MOONWIRE_TRANSPORT_EXCHANGE_SESSION_H

#include "http/exchange.h"
#include "session/session.h"

VISIBILITY_PUSH

/* The session of a raw WebSocket (role->is_raw). */
struct raw_session {
  struct session session;   /* first, so that both are freed in the same way */
  struct mw_socket *socket; /* a reference; NULL: the app has not accepted it */
};

extern const struct session_ops exchange_session;

/* Sets the raw WebSocket of the exchange, with a reference. Returns false if out of memory. */
bool exchange_session_set_socket(struct exchange *exchange, struct mw_socket *socket);
/* Returns the raw WebSocket of the exchange, or NULL if it has none, or has ended. */
struct mw_socket *exchange_session_socket(struct exchange *exchange);
/* Stops reading from the peer until there is room again. The exchange has a session. */
void exchange_session_stop_reading(struct exchange *exchange);
void exchange_session_resume_reading(struct exchange *exchange);
/* As role->finishes: returns true if the handler of a message is waited for. */
bool exchange_session_finishes(struct exchange *exchange);
/* Called when the exchange ends: ends its session, if it has one. */
void exchange_session_end(struct exchange *exchange);

VISIBILITY_POP

#endif
