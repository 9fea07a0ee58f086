/* The session of a stream: of a WebSocket, or of an event stream with a client. On the worker's
 * thread. */
#ifndef MOONWIRE_TRANSPORT_EXCHANGE_SESSION_H
#define MOONWIRE_TRANSPORT_EXCHANGE_SESSION_H

#include "codec/ws/ws_reader.h"
#include "http/exchange.h"
#include "http/unfinished.h"
#include "session/session.h"

VISIBILITY_PUSH

/* What a WebSocket is in the middle of (transport/websocket/ws_input.h). */
struct kept_input {
  struct ws_reader *reader; /* NULL while it is used */
  struct holder holder;     /* of the unfinished message in it */
};

struct exchange_session {
  struct session session;
  struct mw_socket *socket; /* of a raw endpoint, a reference; NULL: it uses the native protocol */
  struct kept_input *input; /* NULL between messages */
};

extern const struct session_ops exchange_session;

/* Returns the session of the exchange, or NULL. */
static inline struct exchange_session *exchange_session_of(struct exchange *exchange) {
  struct session *session = session_of(&exchange->subscriber);
  return session ? container_of(session, struct exchange_session, session) : NULL;
}
/* Returns the session of the exchange, and makes it if necessary. NULL if out of memory. */
struct exchange_session *exchange_session_get(struct exchange *exchange);
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
