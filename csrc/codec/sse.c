#include "codec/sse.h"

#include <assert.h>

static bool has(struct bytes text, char c) { return bytes_find(text, c) < text.len; }

static void write_line(struct buffer *out, struct bytes field, struct bytes value) {
  buffer_append(out, field);
  buffer_append(out, value);
  buffer_append_char(out, '\n');
}

static size_t find_line_end(struct bytes text) {
  size_t feed = bytes_find(text, '\n');
  return bytes_find(bytes_of(text.ptr, feed), '\r');
}

static void write_data(struct buffer *out, struct bytes data) {
  for (;;) {
    size_t end = find_line_end(data);
    write_line(out, BYTES("data: "), bytes_of(data.ptr, end));
    if (end == data.len) return;
    bool is_crlf = data.ptr[end] == '\r' && end + 1 < data.len && data.ptr[end + 1] == '\n';
    size_t taken = end + (is_crlf ? 2 : 1);
    data = bytes_of(data.ptr + taken, data.len - taken);
  }
}

static void write_id(struct buffer *out, struct bytes id) {
  assert(!has(id, '\r') && !has(id, '\n') && !has(id, '\0'));
  write_line(out, BYTES("id: "), id);
}

void sse_write(struct buffer *out, const struct sse_event *event) {
  assert(!has(event->event, '\r') && !has(event->event, '\n'));
  if (event->retry_ms >= 0) sse_write_retry(out, (uint64_t)event->retry_ms);
  if (event->event.len > 0 && !bytes_equal(event->event, BYTES("message"))) write_line(out, BYTES("event: "), event->event);
  if (event->data.ptr) write_data(out, event->data);
  if (event->id.ptr) write_id(out, event->id);
  buffer_append_char(out, '\n');
}

void sse_write_retry(struct buffer *out, uint64_t ms) {
  buffer_append(out, BYTES("retry: "));
  buffer_append_u64(out, ms);
  buffer_append_char(out, '\n');
}

void sse_add_id(struct buffer *out, struct bytes id) {
  if (out->failed) return;
  assert(out->len > 0 && out->data[out->len - 1] == '\n');
  out->len--; /* the empty line */
  write_id(out, id);
  buffer_append_char(out, '\n');
}
