/* Assembles one message of a WebSocket client from the payloads of its frames. Inflates and checks
 * it, and applies its limits, as the bytes arrive. A part of ws_reader, which reads the frames. */
#ifndef MOONWIRE_CODEC_WS_MESSAGE_H
#define MOONWIRE_CODEC_WS_MESSAGE_H

#include "base/buffer.h"
#include "base/utf8_stream.h"
#include "codec/ws/ws_frame.h"

VISIBILITY_PUSH

struct ws_inflater;

struct ws_message {
  /* from the header of its first frame to the end of its last; control frames may come between */
  bool is_open;
  bool is_binary;
  bool is_compressed;
  bool remembers; /* later messages may refer to the contents of the inflater */
  /* at its start between messages; a message that is not valid text is the last */
  struct utf8_stream text;
  size_t inflated;              /* bytes that were inflated; the owner resets it */
  struct buffer body;           /* the message, unless it is one piece of the input */
  struct bytes whole;           /* that piece */
  struct ws_inflater *inflater; /* since the first compressed message */
};

/* The code and reason to fail the connection with; reason is NULL if there is no fault. */
struct ws_fault {
  enum ws_close_code code;
  const char *reason;
};

/* Frees all memory. */
void ws_message_deinit(struct ws_message *message);
/* Forgets the last message. */
void ws_message_release(struct ws_message *message);

/* Returns the bytes of an incomplete message; with the inflater, unless that stays after the
 * message. */
size_t ws_message_held(const struct ws_message *message);

/* Begins a message with its first frame. `takeover`: a compressed message may refer to earlier
 * ones. */
struct ws_fault ws_message_begin(struct ws_message *message, bool is_binary, bool is_compressed, bool takeover);
/* Adds the next part of the payload. `limit` applies to the whole message, inflated. `is_all`:
 * there is no other part, so it does not have to be copied. */
struct ws_fault ws_message_add(struct ws_message *message, struct bytes part, size_t limit, bool is_all);
/* Ends the message. *payload is valid until the next ws_message_release. */
struct ws_fault ws_message_end(struct ws_message *message, size_t limit, struct bytes *payload);

VISIBILITY_POP

#endif
