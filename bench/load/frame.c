#include "load/frame.h"

static enum frame_found frame_refuse(const char **fault, const char *reason) {
  *fault = reason;
  return FRAME_INVALID;
}

enum frame_found frame_next(struct bytes input, struct frame *frame, size_t *used, const char **fault) {
  const unsigned char *head = (const unsigned char *)input.ptr;
  if (input.len < 2) return FRAME_MORE;
  if (head[0] & 0x70) return frame_refuse(fault, "reserved bit set in a frame");
  if (head[1] & 0x80) return frame_refuse(fault, "masked frame of a server");
  uint64_t len = head[1];
  size_t start = 2, long_size = len < 126 ? 0 : len == 126 ? 2 : 8;
  if (input.len < start + long_size) return FRAME_MORE;
  if (long_size > 0) len = 0;
  for (size_t i = 0; i < long_size; i++) len = len << 8 | head[start++];
  if (len > INT32_MAX) return frame_refuse(fault, "frame of more than 2 GiB");
  if (input.len - start < len) return FRAME_MORE;
  *frame = (struct frame){(enum ws_opcode)(head[0] & 0x0f), (head[0] & 0x80) != 0, bytes_of(input.ptr + start, (size_t)len)};
  *used = start + (size_t)len;
  return FRAME_WHOLE;
}

/* One key for all: the masks are not a secret here. */
void frame_write(struct buffer *out, enum ws_opcode opcode, struct bytes payload) {
  static const unsigned char key[4] = {0x37, 0xfa, 0x21, 0x3d};
  char header[WS_HEADER_MAX];
  size_t len = ws_frame_header(header, opcode, payload.len);
  header[1] = (char)(header[1] | 0x80);
  buffer_append(out, bytes_of(header, len));
  buffer_append(out, bytes_of((const char *)key, sizeof(key)));
  size_t start = out->len;
  buffer_append(out, payload);
  if (!out->failed) ws_frame_unmask(out->data + start, payload.len, key, 0);
}
