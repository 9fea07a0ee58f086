/* One message of a WebSocket client, put together from the payload of its frames: inflated, measured and checked as it comes. A
 * part of ws_reader, which knows the frames. */
#ifndef MOONWIRE_CODEC_WS_MESSAGE_H
#define MOONWIRE_CODEC_WS_MESSAGE_H

#include "base/buffer.h"
#include "base/utf8_stream.h"
#include "codec/ws_frame.h"

VISIBILITY_PUSH

struct ws_inflater;

struct ws_message {
  bool is_open; /* from the header of its first frame to the end of its last; between them there may be control frames */
  bool is_binary;
  bool is_compressed;
  bool remembers;               /* what the inflater holds is still referred to by messages to come */
  struct utf8_stream text;      /* at its beginning between messages: one that does not end well is the last */
  size_t inflated;              /* bytes that were, counted by whoever clears it */
  struct buffer body;           /* what came of it, unless it is one piece of the input */
  struct bytes whole;           /* that piece */
  struct ws_inflater *inflater; /* from the first compressed message on */
};

/* What to fail the connection with; reason NULL: nothing. */
struct ws_fault {
  enum ws_close_code code;
  const char *reason;
};

/* Gives all memory back. */
void ws_message_deinit(struct ws_message *message);
/* Forgets the message that was read last. */
void ws_message_release(struct ws_message *message);

/* Bytes of the message that is unfinished; with what inflates it, unless that is kept from message to message anyway. */
size_t ws_message_held(const struct ws_message *message);

/* The first frame is there. `takeover`: a compressed message may refer to those before it. */
struct ws_fault ws_message_begin(struct ws_message *message, bool is_binary, bool is_compressed, bool takeover);
/* The next part of its payload. `limit` holds for all of the message, inflated; `is_all` says that it has no other part: then the
 * message need not be copied. */
struct ws_fault ws_message_add(struct ws_message *message, struct bytes part, size_t limit, bool is_all);
/* There is no more. What it says holds until the next ws_message_release. */
struct ws_fault ws_message_end(struct ws_message *message, size_t limit, struct bytes *payload);

VISIBILITY_POP

#endif
