/* Frames as a client reads and writes them (RFC 6455 section 5): codec/ws has the server's side. */
#ifndef MOONWIRE_BENCH_LOAD_FRAME_H
#define MOONWIRE_BENCH_LOAD_FRAME_H

#include "base/buffer.h"
#include "codec/ws/ws_frame.h"

struct frame {
  enum ws_opcode opcode;
  bool is_final;
  struct bytes payload; /* a slice of the input */
};

enum frame_found { FRAME_MORE, FRAME_WHOLE, FRAME_INVALID };

/* Reads one whole frame. *used receives its length. `fault` is set if it is invalid. */
enum frame_found frame_next(struct bytes input, struct frame *frame, size_t *used, const char **fault);
/* Appends a final frame, masked. */
void frame_write(struct buffer *out, enum ws_opcode opcode, struct bytes payload);

#endif
