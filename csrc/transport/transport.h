/* What the roles of a worker have in common. */
#ifndef MOONWIRE_TRANSPORT_TRANSPORT_H
#define MOONWIRE_TRANSPORT_TRANSPORT_H

#include "app/config.h"
#include "codec/ws_reader.h"

VISIBILITY_PUSH

struct transport {
  struct ws_limits ws_limits; /* of WebSockets that speak the native protocol */
  struct blob *pings[2];      /* the frames that ask a silent peer, as websocket.c has them; NULL until they are needed */
  struct ws_reader *spare;    /* idle; lent to a WebSocket that has something to read */
};

void transport_init(struct transport *transport, const struct mw_config *config);
void transport_deinit(struct transport *transport);

VISIBILITY_POP

#endif
