/* Reads the frames of a WebSocket client (RFC 6455, RFC 7692), as a parser that returns what it found and calls nobody.
 *
 * Bytes go in as they come; whole messages and control frames come out, messages inflated. Strict: frames must be masked, no
 * reserved bits (but RSV1 on the first frame of a message, if compression was agreed) or opcodes, lengths in their shortest form,
 * text that is UTF-8 from its first byte to its last. Limits are checked when a frame is announced, and while a message is
 * inflated; memory grows as bytes come.
 *
 * A reader that is idle knows nothing but its limits and terms: let it go, or lend it to another client, and take a new one when
 * the next bytes come. From its first compressed message on it has an inflater, which takes 40 KiB until the reader is freed or
 * has come to an end. If the client may take its window over from message to message, the reader is not idle any more from then
 * on, and must stay with the client. */
#ifndef MOONWIRE_CODEC_WS_READER_H
#define MOONWIRE_CODEC_WS_READER_H

#include "base/buffer.h"
#include "codec/ws_extension.h"
#include "codec/ws_frame.h"

VISIBILITY_PUSH

struct ws_limits {
  size_t frame;   /* bytes of payload of one data frame, as it is on the wire, else 1009 */
  size_t message; /* bytes of a message, of all its fragments together and inflated, else 1009 */
};

enum ws_event {
  WS_MORE,    /* all input was used, nothing is complete */
  WS_PAUSED,  /* as much was inflated as is allowed (ws_reader_allow): the rest of the input is still to come */
  WS_MESSAGE, /* ws_reader_payload, ws_reader_is_binary */
  WS_PING,    /* ws_reader_payload, to be sent back in a pong */
  WS_PONG,    /* ws_reader_payload */
  WS_CLOSE,   /* ws_reader_close_info is what the client says; all that follows is used up unread */
  WS_ERROR,   /* ws_reader_close_info is what to close with; nothing more can be read */
};

struct ws_close_info {
  unsigned code;       /* WS_CLOSE_ABSENT: the close frame had none */
  struct bytes reason; /* UTF-8; of an error a constant sentence in plain ASCII that says what was wrong */
};

struct ws_reader;

/* NULL without memory. `limits` is borrowed and must outlive the reader. */
struct ws_reader *ws_reader_new(const struct ws_limits *limits);
void ws_reader_free(struct ws_reader *reader); /* NULL is allowed */
/* What was agreed with the client whose frames come next: for an idle reader, which keeps the terms until others are set. One that
 * is new knows of no compression. */
void ws_reader_set_terms(struct ws_reader *reader, struct ws_deflate_terms terms);

/* Other limits from now on, likewise borrowed: for an idle reader. */
void ws_reader_set_limits(struct ws_reader *reader, const struct ws_limits *limits);

/* Takes some of the `len` bytes at `data` and returns what came of it; *used says how much. Call again with the rest until
 * WS_MORE. The bytes that are used are unmasked in place. */
enum ws_event ws_reader_next(struct ws_reader *reader, char *data, size_t len, size_t *used);

/* From now on about so many bytes may be inflated until the next call, then WS_PAUSED is returned; SIZE_MAX at first. Returns how many were
 * since the last. */
size_t ws_reader_allow(struct ws_reader *reader, size_t inflated);

/* Holds until the next ws_reader_next. A plain message that came in one piece lies in the input that was given, and is not copied. */
struct bytes ws_reader_payload(const struct ws_reader *reader);
/* Gives the memory of the message that was just returned away, to `out`, which is empty. False: it lies in the input, or is empty. */
bool ws_reader_take(struct ws_reader *reader, struct buffer *out);
bool ws_reader_is_binary(const struct ws_reader *reader);
struct ws_close_info ws_reader_close_info(const struct ws_reader *reader);

/* True between messages: no byte of the next frame has come, no message is unfinished, none lies in the reader's memory, and none
 * that comes may refer to one that came. */
bool ws_reader_idle(const struct ws_reader *reader);

/* True in the middle of a message or of a frame: its end has not come. */
bool ws_reader_unfinished(const struct ws_reader *reader);
/* True in the middle of a message, between or inside its frames. */
bool ws_reader_in_message(const struct ws_reader *reader);

/* Bytes that it holds of a message that is unfinished: inflated, and with the inflater, unless the client's window is kept anyway. */
size_t ws_reader_held(const struct ws_reader *reader);

VISIBILITY_POP

#endif
