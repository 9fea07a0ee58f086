/* A browser reads from a stream the events that were written to it. An input is events separated by
 * FS (0x1c), each an id, an event name, and data separated by GS (0x1d). Parts that are missing are
 * not written. */
#include "codec/sse.h"
#include "fuzz/fuzz.h"
#include "test/support/event_stream.h"

struct expected {
  struct buffer type, data, last_id;
  bool is_due;
};

static void on_event(void *context, struct bytes type, struct bytes data, struct bytes last_id) {
  struct expected *expected = context;
  must(expected->is_due);
  must(bytes_equal(type, buffer_bytes(&expected->type)));
  must(bytes_equal(data, buffer_bytes(&expected->data)));
  must(bytes_equal(last_id, buffer_bytes(&expected->last_id)));
  expected->is_due = false;
}

static struct bytes cut(struct bytes *rest, char c) {
  if (!rest->ptr) return bytes_of(NULL, 0);
  struct bytes part = bytes_of(rest->ptr, bytes_find(*rest, c));
  if (part.len == rest->len) {
    *rest = bytes_of(NULL, 0);
  } else {
    *rest = bytes_of(rest->ptr + part.len + 1, rest->len - part.len - 1);
  }
  return part;
}

/* Callers of sse_write make sure that ids and event names have none of these. */
static struct bytes clean(struct bytes text, struct buffer *out) {
  buffer_clear(out);
  for (size_t i = 0; i < text.len; i++) {
    if (text.ptr[i] != '\r' && text.ptr[i] != '\n' && text.ptr[i] != '\0') buffer_append_char(out, text.ptr[i]);
  }
  return text.ptr ? bytes_of(out->data ? out->data : "", out->len) : text;
}

/* Replaces every CR, LF, and CRLF by a newline. */
static void normalize(struct bytes data, struct buffer *out) {
  buffer_clear(out);
  for (size_t i = 0; i < data.len; i++) {
    bool ends_crlf = data.ptr[i] == '\n' && i > 0 && data.ptr[i - 1] == '\r';
    if (!ends_crlf) buffer_append_char(out, data.ptr[i] == '\r' ? '\n' : data.ptr[i]);
  }
}

static void expect(struct expected *expected, const struct sse_event *event) {
  expected->is_due = event->data.ptr != NULL;
  buffer_clear(&expected->type);
  buffer_append(&expected->type, event->event.len > 0 ? event->event : BYTES("message"));
  normalize(event->data, &expected->data);
  if (!event->id.ptr) return;
  buffer_clear(&expected->last_id);
  buffer_append(&expected->last_id, event->id);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct bytes rest = fuzz_bytes(data, size);
  struct buffer id = {0}, name = {0}, out = {0};
  struct expected expected = {.is_due = false};
  struct event_stream stream;
  event_stream_init(&stream);
  stream.on_event = on_event;
  stream.context = &expected;
  while (rest.ptr) {
    struct bytes part = cut(&rest, '\x1c');
    struct sse_event event = {.retry_ms = (int64_t)part.len - 1};
    event.id = clean(cut(&part, '\x1d'), &id);
    event.event = clean(cut(&part, '\x1d'), &name);
    event.data = part;
    expect(&expected, &event);
    buffer_clear(&out);
    buffer_append_string(&out, ": a comment\n");
    sse_write(&out, &event);
    size_t half = out.len / 2;
    event_stream_feed(&stream, bytes_of(out.data, half));
    event_stream_feed(&stream, bytes_of(out.data + half, out.len - half));
    must(!expected.is_due);
    must(event.retry_ms < 0 || stream.retry_ms == event.retry_ms);
  }
  event_stream_deinit(&stream);
  buffer_deinit(&expected.type);
  buffer_deinit(&expected.data);
  buffer_deinit(&expected.last_id);
  buffer_deinit(&id);
  buffer_deinit(&name);
  buffer_deinit(&out);
  return 0;
}
