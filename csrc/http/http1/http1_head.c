#include "http/http1/http1_head.h"

#include "codec/http/http_writer.h"
#include "codec/ws/ws_handshake.h"

static void write_fields(struct buffer *out, const struct http_fields *fields) {
  struct http_field field;
  for (size_t cursor = 0; http_fields_next(fields, &cursor, &field);) http_write_field(out, field.name, field.value);
  if (fields && fields->text.failed) out->failed = true;
}

void http1_write_head(struct buffer *out, const struct http1_head *head) {
  http_write_status(out, head->status, head->wall_ms);
  write_fields(out, head->fields);
  write_fields(out, head->more);
  http_write_field(out, BYTES("Connection"), head->keep_alive ? BYTES("keep-alive") : BYTES("close"));
}

void http1_write_length(struct buffer *out, uint64_t length) {
  buffer_append_string(out, "Content-Length: ");
  buffer_append_u64(out, length);
  buffer_append_string(out, "\r\n");
}

void http1_write_stream(struct buffer *out, bool is_chunked) {
  if (is_chunked) http_write_field(out, BYTES("Transfer-Encoding"), BYTES("chunked"));
  http_write_end(out);
}

bool http1_write_upgrade(struct buffer *out, struct bytes key, const struct http_fields *fields) {
  char accept[WS_ACCEPT_LEN + 1];
  if (!ws_handshake_accept(accept, key)) return false;
  buffer_append_string(out, "HTTP/1.1 101 Switching Protocols\r\n");
  http_write_field(out, BYTES("Upgrade"), BYTES("websocket"));
  http_write_field(out, BYTES("Connection"), BYTES("Upgrade"));
  http_write_field(out, BYTES("Sec-WebSocket-Accept"), bytes_string(accept));
  write_fields(out, fields);
  http_write_end(out);
  return true;
}
