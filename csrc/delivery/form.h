/* Forms: a message as it is written to a stream. It is encoded once for each class of forms in use,
 * regardless of the number of subscribers. Dialects define the classes; delivery only knows their
 * carriers.
 *
 * The blob of an event stream's form is `room | payload | room`. HTTP/1 frames it as one chunk: the
 * head of the chunk is at the end of the first room, and its CRLF in the second; both are written
 * when the form is drafted. form_slice is the only accessor. It returns the whole chunk, or only
 * the payload for a stream without chunks. */
#ifndef MOONWIRE_DELIVERY_FORM_H
#define MOONWIRE_DELIVERY_FORM_H

#include "base/rope.h"
#include "codec/ws/ws_deflate.h"
#include "codec/ws/ws_frame.h"
#include "hub/id.h"
#include "hub/message.h"

VISIBILITY_PUSH

/* Which part of a blob is written to a stream. */
enum framing {
  FRAMING_WHOLE,   /* all of it: forms without rooms */
  FRAMING_PAYLOAD, /* the part between the rooms */
  FRAMING_CHUNK,   /* the payload as a chunk of HTTP/1 */
};

/* What a stream is made of, and how text goes on it. */
struct carrier {
  const char *name; /* of the transport, as the app knows it */
  bool has_rooms;   /* blobs are `room | payload | room` */
  bool is_two_way;  /* the peer sends on it, too, and is alive as long as it is heard */
  /* Returns text as a blob for the stream; text must not be empty. NULL: out of memory. */
  struct blob *(*frame)(struct bytes text);
  /* Appends the same for text that may be shared. */
  void (*frame_rope)(struct rope *out, const struct rope *text, enum framing framing);
};
/* Events of text/event-stream, or any other text; items of an answer that is collected; frames. */
extern const struct carrier carrier_event_stream, carrier_poll, carrier_websocket;

/* How messages are encoded for some streams. Immutable; identified by its address. */
struct form_class {
  const struct carrier *carrier;
  /* Its clients keep a cursor for each channel, so that each channel is replayed, and left, by
   * itself. False: one for all channels of a connection. */
  bool cursor_per_channel;
  /* Encodes a message for the carrier, and returns a blob with one reference, or NULL if out of
   * memory. `id` has ID_LEN bytes or none; position_at receives the indexes of its position in the
   * blob, at most two. The function is NULL if streams of this class have no messages, or if
   * `plain` is encoded. */
  struct blob *(*encode)(const struct message *message, struct bytes id, size_t position_at[2]);
  bool carries_cursor; /* an event can bring the id with which its client returns */
  /* this class is that one, compressed; NULL: it is not compressed */
  const struct form_class *plain;
  enum ws_window window; /* with `plain` */
  /* each subscriber compresses for itself, so that no message has this form */
  bool is_own;
};

/* Text that is not made of messages, on an event stream. */
extern const struct form_class form_text;

/* ---- Messages ---- */

/* A message whose position is not known yet. */
struct form_draft {
  struct form *form;     /* NULL if it is not drafted */
  size_t position_at[2]; /* where the position must be written; 0: nowhere */
};

/* Encodes a message in a class that has `encode`; with_id leaves room for the position. `form` is
 * NULL if out of memory. */
struct form_draft form_draft(const struct form_class *class, const struct message *message, const struct epoch *epoch,
                             bool with_id);
/* Writes the position into a draft that left room for it, before the blob is shared. */
void form_draft_place(struct form_draft *draft, uint64_t position);
/* Returns the message in a class that has `encode`, encoded now if necessary. Borrowed from the
 * message; NULL if out of memory. */
struct blob *form_of(const struct form_class *class, struct message *message, const struct epoch *epoch);

/* ---- Framing ---- */

/* The bytes before and after the payload in the forms of event streams. */
enum { FORM_HEAD_ROOM = 12, FORM_TAIL_ROOM = 2 };

/* Returns the framing on a stream with or without chunks. */
static inline enum framing form_framing(const struct form_class *class, bool chunked) {
  if (!class->carrier->has_rooms) return FRAMING_WHOLE;
  return chunked ? FRAMING_CHUNK : FRAMING_PAYLOAD;
}
/* Returns text of an event stream as a blob with rooms, or NULL if out of memory. The text must not
 * be empty. */
struct blob *form_chunk(struct bytes text);
/* Returns a WebSocket frame with two parts of payload, or NULL if out of memory. */
struct blob *form_frame(enum ws_opcode opcode, struct bytes payload, struct bytes more);
/* Returns the bytes of a blob that are written to a stream with that framing. */
static inline struct bytes form_slice(const struct blob *blob, enum framing framing) {
  if (framing == FRAMING_WHOLE) return bytes_of(blob->data, blob->len);
  /* The first byte of a room is the index where the chunk begins. */
  if (framing == FRAMING_CHUNK) return bytes_of(blob->data + blob->data[0], blob->len - (size_t)blob->data[0]);
  return bytes_of(blob->data + FORM_HEAD_ROOM, blob->len - FORM_HEAD_ROOM - FORM_TAIL_ROOM);
}

VISIBILITY_POP

#endif
