/* The other end of a connection that speaks the toy protocol: keeps for each exchange what came. */
#ifndef MOONWIRE_TEST_SUPPORT_TOY_PEER_H
#define MOONWIRE_TEST_SUPPORT_TOY_PEER_H

#include "moonwire.h"
#include "test/support/toy_protocol.h"

enum { TOY_EXCHANGES = 32, TOY_OPEN = 1 << 30 };

/* The peer's memory is not the library's, so that its allocations cannot be made to fail. */
struct toy_text {
  char *data;
  size_t len;
};

struct toy_view {
  int status; /* 0: no head has come */
  struct toy_text body;
  bool ended, was_reset;
};

struct toy_peer {
  struct mw_server *server;
  struct conn_class class;
  struct stream_peer *stream;
  struct toy_text in;
  struct toy_view views[TOY_EXCHANGES]; /* by the number of the exchange; 0 is no one's */
};

/* Connects. False if out of memory. */
bool toy_peer_open(struct toy_peer *peer, struct mw_server *server);
void toy_peer_close(struct toy_peer *peer);
/* Sends a frame. */
void toy_peer_send(struct toy_peer *peer, enum toy_type type, unsigned number, struct bytes payload);
/* Asks, with a window for the answer, and fields that each end with CRLF. */
void toy_peer_get(struct toy_peer *peer, unsigned number, uint32_t window, const char *target, const char *fields);
/* The request that upgrades to a WebSocket. */
void toy_peer_upgrade(struct toy_peer *peer, unsigned number, uint32_t window);
/* Sends a masked text frame of a WebSocket, in pieces of `step` bytes. */
void toy_peer_say(struct toy_peer *peer, unsigned number, const char *text, size_t step);
/* Lets so many more bytes come; number 0: of all exchanges. */
void toy_peer_allow(struct toy_peer *peer, unsigned number, uint32_t bytes);
/* Lets the server work, and takes what came. */
void toy_peer_settle(struct toy_peer *peer);
/* How often the text came in the body of an exchange. */
size_t toy_peer_count(struct toy_peer *peer, unsigned number, const char *text);

#endif
