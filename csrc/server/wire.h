/* Wire formats: how a message looks on a stream. Encoded once per message, whatever the number of subscribers.
 *
 * On event streams an encoded message is framed as one HTTP chunk; a stream without chunks takes what is inside. */
#ifndef MOONWIRE_SERVER_WIRE_H
#define MOONWIRE_SERVER_WIRE_H

#include "base/rope.h"
#include "codec/sse.h"
#include "codec/ws_frame.h"
#include "hub/message.h"
#include "server/id.h"

VISIBILITY_PUSH

enum wire {
  WIRE_SSE,      /* event, data and id lines */
  WIRE_ENVELOPE, /* the push as a JSON object in the data line, and an id line */
  WIRE_POLL,     /* the push as a JSON object, as it stands in the answer to a poll */
  WIRE_WS,       /* the push as a JSON object in a text frame; a binary one has the bytes behind it */
  WIRE_DRAFTS,
  WIRE_WS_15 = WIRE_DRAFTS, /* the same deflated, with windows of 15, 12 and 9 bits; small ones as they are */
  WIRE_WS_12,
  WIRE_WS_9,
  WIRE_COUNT,
  WIRE_WS_OWN = WIRE_COUNT /* deflated for each connection by itself: a message has no such form */
};

/* True for the formats of WebSockets. */
static inline bool wire_is_ws(enum wire wire) { return wire >= WIRE_WS; }

/* A message in one format whose position is not known yet. */
struct wire_draft {
  struct blob *blob;     /* NULL: not drafted */
  size_t position_at[2]; /* where the position is to be written; 0: nowhere */
};

/* Encodes one of the WIRE_DRAFTS; with_id leaves room for the position, or none if the message is volatile. blob is NULL without memory. */
struct wire_draft wire_draft(enum wire wire, const struct message *message, const struct epoch *epoch, bool with_id);
/* Writes the position into a draft that left room for it; before anybody else sees the blob. */
void wire_draft_place(struct wire_draft *draft, uint64_t position);
/* The message in one of the WIRE_DRAFTS, encoded now if nobody did it before. Borrowed from the message; NULL without memory. */
struct blob *wire_of(enum wire wire, struct message *message, const struct epoch *epoch);

/* Text of an event stream as a blob of one chunk; text must not be empty. NULL without memory. */
struct blob *wire_chunk(struct bytes text);
/* A WebSocket frame with two parts of payload. NULL without memory. */
struct blob *wire_frame(enum ws_opcode opcode, struct bytes payload, struct bytes more);
/* What of an encoded message goes on a stream: all of it, or what is inside the chunk. */
struct bytes wire_slice(enum wire wire, const struct blob *blob, bool chunked);

/* Appends the push as a JSON object; bytes come as base64. */
void wire_write_push(struct buffer *out, const struct message *message, const struct epoch *epoch);
/* Appends one event of the server's own ("moonwire:gap") in that format, which is no WebSocket's; data is JSON. */
void wire_write_event(struct buffer *out, enum wire wire, struct bytes event, struct bytes data);
/* The same in any format (for WebSockets the payload of a frame), with a channel (empty: none), and with data that may be shared, and has no
 * newlines. */
void wire_write_rope(struct rope *out, enum wire wire, struct bytes channel, struct bytes event, const struct rope *data);

VISIBILITY_POP

#endif
