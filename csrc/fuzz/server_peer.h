/* A peer of the target `server`: reads what it gets with its own eyes, and knows what was published. On each channel nothing comes twice or
 * out of order, and nothing is missing of which it was not told. Its memory does not fail. */
#ifndef MOONWIRE_FUZZ_SERVER_PEER_H
#define MOONWIRE_FUZZ_SERVER_PEER_H

#include <stdbool.h>

#include "fuzz/server_members.h"
#include "moonwire.h"

enum { PEER_CHANNELS = 4, RECORD_MAX = 1000 };
enum peer_kind { PEER_SSE, PEER_ENVELOPE, PEER_WEBSOCKET, PEER_MOONWIRE_1, PEER_POLL, PEER_POLL_CLIENT, PEER_KINDS };

/* All that was published. */
struct record {
  struct {
    uint8_t channel;
    bool is_volatile;
  } entries[RECORD_MAX];
  size_t count;
};

struct view {
  bool begins;     /* it has nothing yet that something could be missing after */
  bool told;       /* of a gap, since its last message */
  bool is_blurred; /* it came or went by the side, so that nobody can say what is missing */
  size_t next;     /* of the record: what comes first that it may get */
  struct members members;
};

struct peer {
  enum peer_kind kind;
  struct mw_memory *memory; /* NULL: it is not there */
  const struct record *record;
  char *in; /* what was not looked at, terminated */
  size_t len, capacity;
  bool has_head, is_over; /* is_over: it follows nothing any more */
  char id[32], client[32];
  struct view views[PEER_CHANNELS];
};

/* Comes as a new one, or, kept views, as one that polls again. */
void peer_begin(struct peer *peer, enum peer_kind kind, bool again);
void peer_say(struct peer *peer, const char *bytes, size_t len);
/* A text in a frame of a WebSocket. */
void peer_say_frame(struct peer *peer, const char *text);
/* Reads at most so many bytes, and checks them. */
void peer_read(struct peer *peer, size_t size);
/* Everything was read: it has all, if it follows channels and is still there. */
void peer_check(struct peer *peer);
/* Whether it knows the members that the server has, as far as it was told of them. */
bool peer_knows_members(const struct peer *peer, struct mw_server *server);
void peer_leave(struct peer *peer);

#endif
