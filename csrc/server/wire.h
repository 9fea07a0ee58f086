/* Wire formats: how a message looks on a stream. Encoded once per message, whatever the number of subscribers.
 *
 * On event streams an encoded message is framed as one HTTP chunk; a stream without chunks takes what is inside. */
#ifndef MOONWIRE_SERVER_WIRE_H
#define MOONWIRE_SERVER_WIRE_H

#include "codec/sse.h"
#include "codec/ws_frame.h"
#include "hub/message.h"
#include "server/id.h"

VISIBILITY_PUSH

enum wire {
  WIRE_SSE,      /* id, event and data lines */
  WIRE_ENVELOPE, /* an id line, and the push as a JSON object in the data line */
  WIRE_WS,       /* the push as a JSON object in a text frame; a binary one has the bytes behind it */
  WIRE_POLL,     /* the push as a JSON object, as it stands in the answer to a poll */
  WIRE_COUNT
};

/* A message in one format whose position is not known yet. */
struct wire_draft {
  struct blob *blob;     /* NULL: not drafted */
  size_t position_at[2]; /* where the position is to be written; 0: nowhere */
};

/* Encodes; with_id leaves room for the position, or none if the message is volatile. blob is NULL without memory. */
struct wire_draft wire_draft(enum wire wire, const struct message *message, const struct epoch *epoch, bool with_id);
/* Writes the position into a draft that left room for it; before anybody else sees the blob. */
void wire_draft_place(struct wire_draft *draft, uint64_t position);
/* The message in that format, encoded now if nobody did it before. Borrowed from the message; NULL without memory. */
struct blob *wire_of(enum wire wire, struct message *message, const struct epoch *epoch);

/* Text of an event stream as a blob of one chunk; text must not be empty. NULL without memory. */
struct blob *wire_chunk(struct bytes text);
/* A WebSocket frame with two parts of payload. NULL without memory. */
struct blob *wire_frame(enum ws_opcode opcode, struct bytes payload, struct bytes more);
/* What of an encoded message goes on a stream: all of it, or what is inside the chunk. */
struct bytes wire_slice(enum wire wire, const struct blob *blob, bool chunked);

/* Appends one event of the server's own ("moonwire:gap") in that format, which is not WIRE_WS; data is JSON. */
void wire_write_event(struct buffer *out, enum wire wire, struct bytes event, struct bytes data);

VISIBILITY_POP

#endif
