/* A peer of the target `server`. It parses what it receives by itself, and knows what was
 * published. On each channel, no message comes twice or out of order, and none is missing without a
 * gap. Its allocations do not fail. */
#ifndef MOONWIRE_FUZZ_SERVER_PEER_H
#define MOONWIRE_FUZZ_SERVER_PEER_H

#include <stdbool.h>

#include "fuzz/world/server_members.h"
#include "moonwire.h"

enum { PEER_CHANNELS = 4, RECORD_MAX = 1000 };
enum peer_kind { PEER_SSE, PEER_ENVELOPE, PEER_WEBSOCKET, PEER_MOONWIRE_1, PEER_POLL, PEER_POLL_CLIENT, PEER_KINDS };

/* All messages that were published. */
struct record {
  struct {
    uint8_t channel;
    bool is_volatile;
  } entries[RECORD_MAX];
  size_t count;
};

struct view {
  bool begins;     /* it has received nothing yet after which a message could be missing */
  bool told;       /* it received a gap since its last message */
  bool is_blurred; /* it subscribed or left in the middle, so that it is unknown what is missing */
  size_t next;     /* the next message in the record that it may receive */
  struct members members;
};

struct peer {
  enum peer_kind kind;
  struct mw_memory *memory; /* NULL: it is not connected */
  const struct record *record;
  char *in; /* not checked yet, terminated */
  size_t len, capacity;
  bool has_head, has_ended; /* after its end, nothing more is checked */
  char id[32], client[32];
  struct view views[PEER_CHANNELS];
};

/* Connects: as a new peer, or, with `again`, as one that polls again and keeps its views. */
void peer_begin(struct peer *peer, enum peer_kind kind, bool again);
void peer_say(struct peer *peer, const char *bytes, size_t len);
/* Sends a text in a WebSocket frame. */
void peer_say_frame(struct peer *peer, const char *text);
/* Reads at most so many bytes, and checks them. */
void peer_read(struct peer *peer, size_t size);
/* Everything was read: it has all messages, if it is subscribed and connected. */
void peer_check(struct peer *peer);
/* Returns true if it knows the members that the server has, as far as it received them. */
bool peer_knows_members(const struct peer *peer, struct mw_server *server);
void peer_leave(struct peer *peer);

#endif
