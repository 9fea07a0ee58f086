/* A peer of a server within the test: speaks HTTP and WebSocket over mw_connect_memory. */
#ifndef MOONWIRE_TEST_SUPPORT_MEMORY_PEER_H
#define MOONWIRE_TEST_SUPPORT_MEMORY_PEER_H

#include "base/buffer.h"
#include "codec/ws_frame.h"
#include "moonwire.h"

struct memory_peer {
  struct mw_server *server;
  struct mw_memory *memory;
  struct buffer in; /* what came and was not looked at yet */
};

/* Steps the server as often as it takes until what is under way has settled. */
void server_settle(struct mw_server *server);
/* Stops, settles and frees the server. */
void server_finish(struct mw_server *server);

void memory_peer_open(struct memory_peer *peer, struct mw_server *server);
/* What was taken before does not hold any longer. */
void memory_peer_close(struct memory_peer *peer);
/* Sends bytes and lets the server see to them. */
void memory_peer_send(struct memory_peer *peer, struct bytes bytes);
void memory_peer_send_text(struct memory_peer *peer, const char *text);
/* Fetches what came; all of it is in peer->in. */
struct bytes memory_peer_fetch(struct memory_peer *peer);
/* Takes what came, as terminated text that holds until the next call. */
const char *memory_peer_take(struct memory_peer *peer);
/* True once the server has ended the connection and everything was fetched. */
bool memory_peer_ended(struct memory_peer *peer);

/* Sends a request with that body and takes the answer: its status, and its body by *body, which holds until the next call. */
int memory_peer_post(struct memory_peer *peer, const char *target, const char *fields, struct bytes body, const char **answer);

/* Upgrades to a WebSocket; `protocol` may be NULL. Fails the test if that is refused. */
void memory_peer_upgrade(struct memory_peer *peer, const char *protocol);
void memory_peer_frame(struct memory_peer *peer, enum ws_opcode opcode, struct bytes payload);
/* Takes the next frame: true if there is one. Its payload is terminated and holds until the next call. */
bool memory_peer_next_frame(struct memory_peer *peer, enum ws_opcode *opcode, struct bytes *payload);
/* The next frame must be this text; NULL: there must be none. */
void memory_peer_expect_at(struct memory_peer *peer, const char *text, const char *file, int line);
#define memory_peer_expect(peer, text) memory_peer_expect_at((peer), (text), __FILE__, __LINE__)
/* Sends a text and expects one answer. */
#define memory_peer_ask(peer, text, answer)                                                                                      \
  (memory_peer_frame((peer), WS_OPCODE_TEXT, bytes_string(text)), memory_peer_expect((peer), (answer)))
/* The next frame must be a close with this code. */
void memory_peer_expect_close(struct memory_peer *peer, unsigned code);

#endif
