/* A peer of a server within the test. It uses HTTP and WebSocket over mw_connect_memory. */
#ifndef MOONWIRE_TEST_SUPPORT_MEMORY_PEER_H
#define MOONWIRE_TEST_SUPPORT_MEMORY_PEER_H

#include "base/buffer.h"
#include "codec/ws/ws_frame.h"
#include "moonwire.h"

struct memory_peer {
  struct mw_server *server;
  struct mw_memory *memory;
  struct buffer in; /* received and not yet read by the test */
};

/* Steps the server until everything in progress has settled. */
void server_settle(struct mw_server *server);
/* Stops, settles, and frees the server. */
void server_finish(struct mw_server *server);

void memory_peer_open(struct memory_peer *peer, struct mw_server *server);
/* Closes the connection. Earlier results are no longer valid. */
void memory_peer_close(struct memory_peer *peer);
/* Sends bytes and settles the server. */
void memory_peer_send(struct memory_peer *peer, struct bytes bytes);
void memory_peer_send_text(struct memory_peer *peer, const char *text);
/* Returns everything that was received; it stays in peer->in. */
struct bytes memory_peer_fetch(struct memory_peer *peer);
/* Returns what was received as terminated text, valid until the next call, and removes it from
 * peer->in. */
const char *memory_peer_take(struct memory_peer *peer);
/* Returns true if the server has ended the connection, and everything was read. */
bool memory_peer_ended(struct memory_peer *peer);

/* Sends a request with that body. Returns the status; *body receives the body, valid until the next
 * call. */
int memory_peer_post(struct memory_peer *peer, const char *target, const char *fields, struct bytes body, const char **answer);

/* Upgrades to a WebSocket; `protocol` may be NULL. Fails the test if that is refused. */
void memory_peer_upgrade(struct memory_peer *peer, const char *protocol);
void memory_peer_frame(struct memory_peer *peer, enum ws_opcode opcode, struct bytes payload);
/* Reads the next frame. Returns true if there is one; its payload is terminated and valid until the
 * next call. */
bool memory_peer_next_frame(struct memory_peer *peer, enum ws_opcode *opcode, struct bytes *payload);
/* Fails the test unless the next frame is this text; NULL: unless there is none. */
void memory_peer_expect_at(struct memory_peer *peer, const char *text, const char *file, int line);
#define memory_peer_expect(peer, text) memory_peer_expect_at((peer), (text), __FILE__, __LINE__)
/* Sends a text and expects one answer. */
#define memory_peer_ask(peer, text, answer)                                                                                      \
  (memory_peer_frame((peer), WS_OPCODE_TEXT, bytes_string(text)), memory_peer_expect((peer), (answer)))
/* Fails the test unless the next frame is a close frame with this code. */
void memory_peer_expect_close(struct memory_peer *peer, unsigned code);

#endif
