/* Constants of WebSocket frames (RFC 6455 sections 5 and 7.4), and functions to write the frames of
 * a server. */
#ifndef MOONWIRE_CODEC_WS_FRAME_H
#define MOONWIRE_CODEC_WS_FRAME_H

#include "base/bytes.h"

VISIBILITY_PUSH

enum ws_opcode {
  WS_OPCODE_CONTINUATION = 0,
  WS_OPCODE_TEXT = 1,
  WS_OPCODE_BINARY = 2,
  WS_OPCODE_CLOSE = 8,
  WS_OPCODE_PING = 9,
  WS_OPCODE_PONG = 10,
};

/* RFC 6455 section 7.4.1 and IANA's registry. Those with * are never sent. 4000-4999 belong to
 * applications. */
enum ws_close_code {
  WS_CLOSE_NORMAL = 1000,
  WS_CLOSE_GOING_AWAY = 1001,
  WS_CLOSE_PROTOCOL_ERROR = 1002,
  WS_CLOSE_UNSUPPORTED = 1003,
  WS_CLOSE_ABSENT = 1005,   /* * the close frame has no code */
  WS_CLOSE_ABNORMAL = 1006, /* * there was no close frame */
  WS_CLOSE_BAD_DATA = 1007,
  WS_CLOSE_POLICY = 1008,
  WS_CLOSE_TOO_BIG = 1009,
  WS_CLOSE_NO_EXTENSION = 1010,
  WS_CLOSE_INTERNAL = 1011,
  WS_CLOSE_RESTART = 1012,
  WS_CLOSE_TRY_LATER = 1013,
  WS_CLOSE_BAD_GATEWAY = 1014,
};

enum {
  WS_HEADER_MAX = 10,   /* of a server's frame, which has no masking key */
  WS_CONTROL_MAX = 125, /* the most payload of a close, ping, or pong */
};

/* Writes the header of an unmasked, unfragmented frame with `len` bytes of payload. Returns its
 * length. */
size_t ws_frame_header(char out[WS_HEADER_MAX], enum ws_opcode opcode, uint64_t len);
/* Writes the header of a compressed text or binary message (RFC 7692 section 6: RSV1). Returns its
 * length. */
size_t ws_frame_header_compressed(char out[WS_HEADER_MAX], enum ws_opcode opcode, uint64_t len);

/* Returns true if a close frame may have this code: 1000-1003, 1007-1014, 3000-4999. */
bool ws_close_code_valid(unsigned code);
/* Writes the payload of a close frame and returns its length. `code` must be valid in a close
 * frame, or WS_CLOSE_ABSENT, which makes an empty payload. The reason is truncated between code
 * points where it would not fit, or is not UTF-8. */
size_t ws_frame_close(char out[WS_CONTROL_MAX], unsigned code, struct bytes reason);

/* Removes (or applies) the mask. `offset` is the index of data[0] in the payload of the frame. */
void ws_frame_unmask(char *data, size_t len, const unsigned char key[4], size_t offset);

VISIBILITY_POP

#endif
