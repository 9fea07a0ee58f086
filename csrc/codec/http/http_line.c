#include "codec/http/http_line.h"

bool http_line_take(struct buffer *buffer, size_t max, struct bytes *rest) {
  size_t room = max > buffer->len ? max - buffer->len : 0;
  struct bytes part = bytes_of(rest->ptr, rest->len < room ? rest->len : room);
  size_t feed = bytes_find(part, '\n');
  if (feed < part.len) part.len = feed + 1;
  buffer_append(buffer, part);
  if (part.len == 0) return false;
  *rest = bytes_of(rest->ptr + part.len, rest->len - part.len);
  return !buffer->failed && part.ptr[part.len - 1] == '\n';
}

bool http_line_ends_in_crlf(struct bytes line) { return line.len >= 2 && line.ptr[line.len - 2] == '\r'; }
