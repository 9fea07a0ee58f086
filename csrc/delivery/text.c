/* Texts for one subscriber, in the form of its sink (subscriber.h). */
#include "base/rope.h"
#include "delivery/compress.h"
#include "delivery/subscriber.h"

/* Returns the text in the subscriber's form, in a blob of its own, or NULL if out of memory. */
static struct blob *frame_text(struct subscriber *subscriber, struct bytes text) {
  const struct sink *sink = subscriber->sink;
  return compress_frame(subscriber, sink->form->carrier->frame(text), sink->delivery->deflate_min);
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
  if (text->joint_count == 0 && sink->form->plain && !text->text.failed) {
    subscriber_push_text(subscriber, buffer_bytes(&text->text));
    return 0;
  }
  rope_init(&framed);
  if (text->text.failed) {
    framed.text.failed = true;
  } else if (!compress_rope(subscriber, text, &framed, &compressed)) {
    sink->form->carrier->frame_rope(&framed, text, sink->framing);
  }
  subscriber_push_rope(subscriber, &framed);
  rope_deinit(&framed);
  return compressed;
}

void subscriber_push_text_plain(struct subscriber *subscriber, const struct rope *text) {
  const struct sink *sink = subscriber->sink;
  struct rope framed;
  rope_init(&framed);
  sink->form->carrier->frame_rope(&framed, text, sink->framing);
  subscriber_push_rope(subscriber, &framed);
  rope_deinit(&framed);
}
