#include "base/utf8_stream.h"

#include "base/utf8.h"

/* Only the second byte shows overlong forms, surrogates, and values above U+10FFFF. */
static bool begin_code_point(struct utf8_stream *stream, uint8_t lead) {
  stream->low = 0x80;
  stream->high = 0xbf;
  if (lead < 0x80) return true;
  if (lead < 0xc2 || lead > 0xf4) return false;
  if (lead == 0xe0) stream->low = 0xa0;
  if (lead == 0xed) stream->high = 0x9f;
  if (lead == 0xf0) stream->low = 0x90;
  if (lead == 0xf4) stream->high = 0x8f;
  stream->needed = lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
  return true;
}

static bool take_byte(struct utf8_stream *stream, uint8_t byte) {
  if (stream->needed == 0) return begin_code_point(stream, byte);
  if (byte < stream->low || byte > stream->high) return false;
  stream->low = 0x80;
  stream->high = 0xbf;
  stream->needed--;
  return true;
}

bool utf8_stream_feed(struct utf8_stream *stream, struct bytes piece) {
  size_t at = 0;
  while (at < piece.len) {
    /* Between code points, skip all whole ones in one call. */
    if (stream->needed == 0) at += utf8_valid_prefix(bytes_of(piece.ptr + at, piece.len - at));
    if (at == piece.len) break;
    if (!take_byte(stream, (uint8_t)piece.ptr[at])) return false;
    at++;
  }
  return true;
}
