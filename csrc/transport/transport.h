/* What the roles of a worker have in common. */
#ifndef MOONWIRE_TRANSPORT_TRANSPORT_H
#define MOONWIRE_TRANSPORT_TRANSPORT_H

#include "codec/ws/ws_reader.h"
#include "transport/poll/poll_client.h"

VISIBILITY_PUSH

struct transport {
  struct ws_limits ws_limits; /* of WebSockets that speak the native protocol */
  struct blob *pings[2];      /* the frames that ask a silent peer, as websocket.c has them; NULL until they are needed */
  struct ws_reader *spare;    /* idle; lent to a WebSocket that has something to read */
  struct poll_clients polls;
};

void transport_init(struct transport *transport, struct http *http);
/* The server stops: closes the clients that have no connection, which the next flush frees. is_due: also those whose messages are being handled. */
void transport_stop(struct transport *transport, bool is_due);
/* Called once a second. */
void transport_second(struct transport *transport);
/* The clients have gone. */
void transport_deinit(struct transport *transport);

VISIBILITY_POP

#endif
