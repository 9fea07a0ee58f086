/* What the roles of a worker share. On the worker's thread. */
#ifndef MOONWIRE_TRANSPORT_TRANSPORT_H
#define MOONWIRE_TRANSPORT_TRANSPORT_H

#include "codec/ws/ws_reader.h"
#include "dialect/dialect.h"
#include "transport/poll/poll_client.h"

VISIBILITY_PUSH

struct transport {
  const struct dialect_table *dialects;
  struct ws_limits ws_limits; /* of WebSockets that speak a dialect */
  /* the frame that asks a silent peer, shared by all; NULL until it is needed */
  struct blob *ping;
  struct blob *asking;           /* the same in the words of one dialect */
  const struct dialect *asks_in; /* which */
  struct ws_reader *spare;       /* idle; lent to a WebSocket that has something to read */
  struct poll_clients polls;
};

/* The table is static. */
void transport_init(struct transport *transport, struct http *http, const struct dialect_table *dialects);
/* Uses the limits of a configuration from now on. A message that a WebSocket has begun keeps the
 * earlier ones. */
void transport_set_limits(struct transport *transport, const struct mw_limits *limits);
/* Called when the server stops: closes the clients without a connection, which the next flush
 * frees. is_due: also those whose messages are being handled. */
void transport_stop(struct transport *transport, bool is_due);
/* Called once a second. */
void transport_second(struct transport *transport);
/* Called after all clients have ended. */
void transport_deinit(struct transport *transport);

VISIBILITY_POP

#endif
