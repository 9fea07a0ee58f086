/* Texts for one subscriber, in the form of its sink (subscriber.h). */
#include "base/rope.h"
#include "delivery/compress.h"
#include "delivery/subscriber.h"

/* The text as the subscriber's form has it, in a blob of its own. NULL if out of memory. */
static struct blob *frame_text(struct subscriber *subscriber, struct bytes text) {
  const struct sink *sink = subscriber->sink;
  if (form_is_event_stream(sink->form)) return form_chunk(text);
  if (!form_is_ws(sink->form)) return blob_new(text);
  struct blob *frame = form_frame(WS_OPCODE_TEXT, text, bytes_of(NULL, 0));
  return compress_frame(subscriber, frame, sink->delivery->deflate_min);
}

void subscriber_push_text(struct subscriber *subscriber, struct bytes text) {
  struct blob *blob = frame_text(subscriber, text);
  if (blob) {
    subscriber_push(subscriber, blob, form_slice(blob, subscriber->sink->framing));
  } else {
    subscriber_break(subscriber);
  }
  blob_unref(blob);
}

size_t subscriber_push_text_rope(struct subscriber *subscriber, const struct rope *text) {
  const struct sink *sink = subscriber->sink;
  size_t compressed = 0;
  struct rope framed;
  if (form_is_ws(sink->form) && text->joint_count == 0 && !text->text.failed) {
    subscriber_push_text(subscriber, buffer_bytes(&text->text));
    return 0;
  }
  rope_init(&framed);
  if (!form_is_ws(sink->form)) {
    form_frame_rope(&framed, text, sink->framing);
  } else if (text->text.failed) {
    framed.text.failed = true;
  } else if (!compress_rope(subscriber, text, &framed, &compressed)) {
    char header[WS_HEADER_MAX];
    buffer_append(&framed.text, bytes_of(header, ws_frame_header(header, WS_OPCODE_TEXT, rope_len(text))));
    rope_append(&framed, text);
  }
  subscriber_push_rope(subscriber, &framed);
  rope_deinit(&framed);
  return compressed;
}
