/* Reads the frames of a WebSocket client (RFC 6455, RFC 7692). The parser returns events and calls
 * nothing.
 *
 * Bytes go in as they arrive; whole messages, inflated, and control frames come out. It is strict:
 * frames must be masked; reserved bits and opcodes are refused, except RSV1 on the first frame of a
 * message if compression was negotiated; lengths must have their shortest form; text must be UTF-8
 * from its first byte to its last. Limits are checked when a frame is announced, and while a
 * message is inflated. Memory grows as bytes arrive.
 *
 * An idle reader has no state except its limits and terms: free it, or lend it to another client,
 * and take a new one when the next bytes arrive. After its first compressed message, it has an
 * inflater of 40 KiB, until the reader is freed or has ended. If the client may take over its
 * window between messages, the reader is not idle after that, and must stay with the client. */
#ifndef MOONWIRE_CODEC_WS_READER_H
#define MOONWIRE_CODEC_WS_READER_H

#include "base/buffer.h"
#include "codec/ws/ws_extension.h"
#include "codec/ws/ws_frame.h"

VISIBILITY_PUSH

struct ws_limits {
  size_t frame;   /* bytes of payload of one data frame, as sent; beyond it: 1009 */
  size_t message; /* bytes of a message, all fragments together and inflated; beyond it: 1009 */
};

enum ws_event {
  WS_MORE,    /* all input was used; nothing is complete */
  WS_PAUSED,  /* the limit of ws_reader_allow was inflated; there is more input */
  WS_MESSAGE, /* ws_reader_payload, ws_reader_is_binary */
  WS_PING,    /* ws_reader_payload, which a pong must return */
  WS_PONG,    /* ws_reader_payload */
  WS_CLOSE,   /* ws_reader_close_info is that of the client; later input is ignored */
  WS_ERROR,   /* ws_reader_close_info is the one to close with; nothing more can be read */
};

struct ws_close_info {
  unsigned code;       /* WS_CLOSE_ABSENT: the close frame had none */
  struct bytes reason; /* UTF-8; after an error, a constant in plain ASCII */
};

struct ws_reader;

/* Returns a reader, which the caller owns, or NULL if out of memory. `limits` is borrowed and must
 * outlive the reader. */
struct ws_reader *ws_reader_new(const struct ws_limits *limits);
void ws_reader_free(struct ws_reader *reader); /* NULL is allowed */
/* Sets the negotiated terms for the next client of an idle reader, until others are set. A new
 * reader does not allow compression. */
void ws_reader_set_terms(struct ws_reader *reader, struct ws_deflate_terms terms);

/* Sets other limits, also borrowed, for an idle reader. */
void ws_reader_set_limits(struct ws_reader *reader, const struct ws_limits *limits);

/* Reads some of the `len` bytes at `data` and returns an event; *used receives the number of bytes
 * read. Call again with the rest until WS_MORE. Unmasks the bytes in place. */
enum ws_event ws_reader_next(struct ws_reader *reader, char *data, size_t len, size_t *used);

/* Allows about that many bytes to be inflated until the next call; then ws_reader_next returns
 * WS_PAUSED. SIZE_MAX at first. Returns the number of bytes inflated since the last call. */
size_t ws_reader_allow(struct ws_reader *reader, size_t inflated);

/* Returns the payload, valid until the next ws_reader_next. An uncompressed message that arrived in
 * one piece is not copied: it is a slice of the input. */
struct bytes ws_reader_payload(const struct ws_reader *reader);
/* Moves the memory of the message that was just returned to `out`, which must be empty. Returns
 * false if the message is a slice of the input, or empty. */
bool ws_reader_take(struct ws_reader *reader, struct buffer *out);
bool ws_reader_is_binary(const struct ws_reader *reader);
struct ws_close_info ws_reader_close_info(const struct ws_reader *reader);

/* Returns true between messages: no byte of the next frame was read, no message is incomplete or in
 * the reader's memory, and no later message may refer to an earlier one. */
bool ws_reader_idle(const struct ws_reader *reader);

/* Returns true within a message or a frame. */
bool ws_reader_unfinished(const struct ws_reader *reader);
/* Returns true within a message, between or inside its frames. */
bool ws_reader_in_message(const struct ws_reader *reader);

/* Returns the bytes of an incomplete message, inflated; with the inflater, unless the client may
 * take over its window. */
size_t ws_reader_held(const struct ws_reader *reader);

VISIBILITY_POP

#endif
