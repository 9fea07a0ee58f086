#include "test/support/event_stream.h"

void event_stream_init(struct event_stream *stream) { *stream = (struct event_stream){.retry_ms = -1}; }

void event_stream_deinit(struct event_stream *stream) {
  buffer_deinit(&stream->line);
  buffer_deinit(&stream->type);
  buffer_deinit(&stream->data);
  buffer_deinit(&stream->id);
  buffer_deinit(&stream->last_id);
}

static void assign(struct buffer *buffer, struct bytes value) {
  buffer_clear(buffer);
  buffer_append(buffer, value);
}

static void dispatch(struct event_stream *stream) {
  assign(&stream->last_id, buffer_bytes(&stream->id));
  if (stream->data.len > 0) {
    stream->data.len--; /* the last newline */
    struct bytes type = stream->type.len > 0 ? buffer_bytes(&stream->type) : BYTES("message");
    if (stream->on_event) stream->on_event(stream->context, type, buffer_bytes(&stream->data), buffer_bytes(&stream->last_id));
  }
  buffer_clear(&stream->data);
  buffer_clear(&stream->type);
}

static void process_field(struct event_stream *stream, struct bytes name, struct bytes value) {
  uint64_t number;
  if (bytes_equal(name, BYTES("event"))) {
    assign(&stream->type, value);
  } else if (bytes_equal(name, BYTES("data"))) {
    buffer_append(&stream->data, value);
    buffer_append_char(&stream->data, '\n');
  } else if (bytes_equal(name, BYTES("id"))) {
    if (bytes_find(value, '\0') == value.len) assign(&stream->id, value);
    if (stream->is_hasty) assign(&stream->last_id, value);
  } else if (bytes_equal(name, BYTES("retry"))) {
    if (bytes_to_u64(value, &number)) stream->retry_ms = (int64_t)number;
  }
}

static void process_line(struct event_stream *stream, struct bytes line) {
  if (line.len == 0) {
    dispatch(stream);
    return;
  }
  size_t colon = bytes_find(line, ':');
  if (colon == 0) {
    stream->comments++;
    return;
  }
  struct bytes value = bytes_of(line.ptr + line.len, 0);
  if (colon < line.len) value = bytes_of(line.ptr + colon + 1, line.len - colon - 1);
  if (value.len > 0 && value.ptr[0] == ' ') value = bytes_of(value.ptr + 1, value.len - 1);
  process_field(stream, bytes_of(line.ptr, colon), value);
}

void event_stream_feed(struct event_stream *stream, struct bytes input) {
  for (size_t i = 0; i < input.len; i++) {
    char c = input.ptr[i];
    bool ends_crlf = c == '\n' && stream->after_cr;
    stream->after_cr = c == '\r';
    if (ends_crlf) continue; /* the CR has already ended the line */
    if (c == '\r' || c == '\n') {
      process_line(stream, buffer_bytes(&stream->line));
      buffer_clear(&stream->line);
    } else {
      buffer_append_char(&stream->line, c);
    }
    stream->taken++;
    if (stream->taken == 3 && bytes_equal(buffer_bytes(&stream->line), BYTES("\xef\xbb\xbf"))) buffer_clear(&stream->line);
  }
}
