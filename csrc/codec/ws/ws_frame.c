#include "codec/ws/ws_frame.h"

#include <assert.h>

#include "base/utf8.h"

/* Writes `value` in network byte order. */
static void write_number(char *out, uint64_t value, size_t len) {
  for (size_t i = len; i > 0; i--, value >>= 8) out[i - 1] = (char)(value & 0xff);
}

size_t ws_frame_header(char out[WS_HEADER_MAX], enum ws_opcode opcode, uint64_t len) {
  assert(len <= INT64_MAX && (opcode < WS_OPCODE_CLOSE || len <= WS_CONTROL_MAX));
  out[0] = (char)(0x80 | (unsigned)opcode);
  if (len <= 125) {
    out[1] = (char)len;
    return 2;
  }
  size_t size = len <= UINT16_MAX ? 2 : 8;
  out[1] = (char)(size == 2 ? 126 : 127);
  write_number(out + 2, len, size);
  return 2 + size;
}

size_t ws_frame_header_compressed(char out[WS_HEADER_MAX], enum ws_opcode opcode, uint64_t len) {
  assert(opcode == WS_OPCODE_TEXT || opcode == WS_OPCODE_BINARY);
  size_t size = ws_frame_header(out, opcode, len);
  out[0] = (char)(out[0] | 0x40);
  return size;
}

bool ws_close_code_valid(unsigned code) {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

size_t ws_frame_close(char out[WS_CONTROL_MAX], unsigned code, struct bytes reason) {
  const size_t room = WS_CONTROL_MAX - 2;
  if (code == WS_CLOSE_ABSENT) return 0;
  assert(ws_close_code_valid(code));
  write_number(out, code, 2);
  size_t len = utf8_valid_prefix(bytes_of(reason.ptr, reason.len < room ? reason.len : room));
  if (len > 0) memcpy(out + 2, reason.ptr, len);
  return 2 + len;
}

/* 32 bytes at a time, then 8. The key is rotated and repeated as bytes, so that byte order does not
 * matter. (Vectors of 16 bytes are not faster.) */
void ws_frame_unmask(char *data, size_t len, const unsigned char key[4], size_t offset) {
  unsigned char turned[8];
  for (size_t i = 0; i < sizeof(turned); i++) turned[i] = key[(offset + i) & 3];
  uint64_t mask, words[4];
  memcpy(&mask, turned, sizeof(mask));
  size_t at = 0;
  for (; len - at >= sizeof(words); at += sizeof(words)) {
    memcpy(words, data + at, sizeof(words));
    for (size_t i = 0; i < 4; i++) words[i] ^= mask;
    memcpy(data + at, words, sizeof(words));
  }
  for (; len - at >= sizeof(mask); at += sizeof(mask)) {
    memcpy(words, data + at, sizeof(mask));
    words[0] ^= mask;
    memcpy(data + at, words, sizeof(mask));
  }
  for (; at < len; at++) data[at] = (char)((unsigned char)data[at] ^ turned[at & 7]);
}
