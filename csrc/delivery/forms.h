/* Forms: a message as it is written to a stream. A message is encoded once per form, whatever the number of subscribers.
 *
 * The blob of an event stream's form is `room | payload | room`. HTTP/1 frames it as one chunk: the head of the chunk stands at the end of the
 * first room and its CRLF in the second, written when the form is drafted. form_slice is the only accessor: it returns the whole chunk, or the
 * payload alone for a stream without chunks. */
#ifndef MOONWIRE_DELIVERY_FORMS_H
#define MOONWIRE_DELIVERY_FORMS_H

#include "base/rope.h"
#include "codec/sse.h"
#include "codec/ws_frame.h"
#include "hub/id.h"
#include "hub/message.h"

VISIBILITY_PUSH

enum form {
  FORM_SSE,      /* event, data and id lines */
  FORM_ENVELOPE, /* the push as a JSON object in the data line, and an id line */
  FORM_POLL,     /* the push as a JSON object, as it stands in the answer to a poll */
  FORM_WS,       /* the push as a JSON object in a text frame; a binary one has the bytes behind it */
  FORM_DRAFTS,
  FORM_WS_15 = FORM_DRAFTS, /* the same deflated, with windows of 15, 12 and 9 bits; small ones as they are */
  FORM_WS_12,
  FORM_WS_9,
  FORM_COUNT,
  FORM_WS_OWN = FORM_COUNT /* deflated for each connection by itself: a message has no such form */
};

/* Which part of a blob goes on a stream. */
enum framing {
  FRAMING_WHOLE,   /* all of it: forms without rooms */
  FRAMING_PAYLOAD, /* what is between the rooms */
  FRAMING_CHUNK,   /* the payload as a chunk of HTTP/1 */
};

/* The bytes before and after the payload in the forms of event streams. */
enum { FORM_HEAD_ROOM = 12, FORM_TAIL_ROOM = 2 };

/* True for the forms of WebSockets. */
static inline bool form_is_ws(enum form form) { return form >= FORM_WS; }
/* True for the forms that have rooms. */
static inline bool form_is_event_stream(enum form form) { return form <= FORM_ENVELOPE; }
/* The framing of a form on a stream that has chunks or has none. */
static inline enum framing form_framing(enum form form, bool chunked) {
  if (!form_is_event_stream(form)) return FRAMING_WHOLE;
  return chunked ? FRAMING_CHUNK : FRAMING_PAYLOAD;
}

/* A message in one format whose position is not known yet. */
struct form_draft {
  struct blob *blob;     /* NULL: not drafted */
  size_t position_at[2]; /* where the position is to be written; 0: nowhere */
};

/* Encodes one of the FORM_DRAFTS; with_id leaves room for the position, or none if the message is volatile. blob is NULL without memory. */
struct form_draft form_draft(enum form form, const struct message *message, const struct epoch *epoch, bool with_id);
/* Writes the position into a draft that left room for it; before anybody else sees the blob. */
void form_draft_place(struct form_draft *draft, uint64_t position);
/* The message in one of the FORM_DRAFTS, encoded now if nobody did it before. Borrowed from the message; NULL without memory. */
struct blob *form_of(enum form form, struct message *message, const struct epoch *epoch);

/* Text of an event stream as a blob with rooms; text must not be empty. NULL if out of memory. */
struct blob *form_chunk(struct bytes text);
/* Appends text of an event stream, or of a poll, with that framing. */
void form_frame_rope(struct rope *out, const struct rope *text, enum framing framing);
/* A WebSocket frame with two parts of payload. NULL without memory. */
struct blob *form_frame(enum ws_opcode opcode, struct bytes payload, struct bytes more);
/* The bytes of a blob that go on a stream with that framing. */
static inline struct bytes form_slice(const struct blob *blob, enum framing framing) {
  if (framing == FRAMING_WHOLE) return bytes_of(blob->data, blob->len);
  /* The first byte of a room says where the chunk begins. */
  if (framing == FRAMING_CHUNK) return bytes_of(blob->data + blob->data[0], blob->len - (size_t)blob->data[0]);
  return bytes_of(blob->data + FORM_HEAD_ROOM, blob->len - FORM_HEAD_ROOM - FORM_TAIL_ROOM);
}

/* Appends the push as a JSON object; bytes come as base64. */
void form_write_push(struct buffer *out, const struct message *message, const struct epoch *epoch);
/* Appends {"channel":NAME}, the data of gaps and ends. */
void form_write_channel(struct buffer *out, struct bytes channel);
/* Appends one event of the server's own ("moonwire:gap") in that format, which is no WebSocket's; data is JSON. */
void form_write_event(struct buffer *out, enum form form, struct bytes event, struct bytes data);
/* The same in any format (for WebSockets the payload of a frame), with a channel (empty: none), and with data that may be shared, and has no
 * newlines. */
void form_write_rope(struct rope *out, enum form form, struct bytes channel, struct bytes event, const struct rope *data);

VISIBILITY_POP

#endif
