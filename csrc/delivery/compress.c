#include "delivery/compress.h"

#include <assert.h>

#include "base/memory.h"
#include "base/rope.h"
#include "codec/ws/ws_frame.h"

/* Larger messages are not compressed: 1 MiB takes up to 50 ms, and no other subscriber is served in
 * the meantime. */
enum { MOST = 1 << 20 };
/* Parts that many messages share change with every user that joins, so their limit is lower. */
enum { PART_MOST = 256 << 10, STORED_HEAD = 5 };

void own_deflate_free(struct own_deflate *own) {
  if (!own) return;
  ws_deflater_free(own->deflater);
  memory_free(own);
}

static struct bytes payload_of(const struct blob *frame) {
  size_t len = (unsigned char)frame->data[1], header_len = len == 127 ? 10 : len == 126 ? 4 : 2;
  return bytes_of(frame->data + header_len, frame->len - header_len);
}

static enum ws_opcode opcode_of(const struct blob *frame) { return (enum ws_opcode)(frame->data[0] & 0xf); }

static struct ws_deflater *get(struct ws_deflater **deflater, enum ws_window window, bool takeover) {
  if (!*deflater) *deflater = ws_deflater_new(window, takeover);
  return *deflater;
}

/* Returns a frame with the same message, or NULL if out of memory. Frees the plain frame as early
 * as possible, if that is taken. */
static struct blob *compress(struct delivery *delivery, struct ws_deflater *deflater, const struct blob *plain) {
  struct bytes payload = payload_of(plain);
  struct buffer out;
  struct blob *blob = NULL;
  buffer_init(&out);
  delivery->stats->deflated++;
  if (deflater && ws_deflater_message(deflater, &payload, 1, &out)) {
    char header[WS_HEADER_MAX];
    size_t header_len = ws_frame_header_compressed(header, opcode_of(plain), out.len);
    blob = blob_new(bytes_of(NULL, header_len + out.len));
    if (blob) memcpy(blob->data, header, header_len);
    if (blob) memcpy(blob->data + header_len, out.data, out.len);
  }
  buffer_deinit(&out);
  return blob;
}

static bool is_worth_it(const struct blob *plain, size_t min) {
  size_t len = payload_of(plain).len;
  return len >= min && len <= MOST;
}

/* Compresses with a deflater of the worker, without earlier messages. A frame that does not become
 * smaller, or if out of memory, stays plain. Returns a reference. */
static struct blob *compress_plain(struct delivery *delivery, const struct form_class *form, struct blob *plain, size_t min) {
  if (!is_worth_it(plain, min)) return blob_ref(plain);
  struct blob *blob = compress(delivery, get(&delivery->deflaters[form->window], form->window, false), plain);
  if (blob && blob->len < plain->len) return blob;
  blob_unref(blob);
  return blob_ref(plain);
}

struct blob *compress_shared(struct delivery *delivery, const struct form_class *class, struct message *message) {
  struct blob *blob = message_form(message, class);
  if (blob) return blob;
  if (!class->plain) return form_of(class, message, delivery->epoch);
  struct blob *plain = form_of(class->plain, message, delivery->epoch);
  if (!plain) return NULL;
  struct form *form = form_new(class, compress_plain(delivery, class, plain, delivery->deflate_min));
  return form ? message_add_form(message, form) : NULL;
}

struct blob *compress_frame(struct subscriber *subscriber, struct blob *frame, size_t min) {
  const struct sink *sink = subscriber->sink;
  bool is_data = frame && opcode_of(frame) < WS_OPCODE_CLOSE;
  if (!sink->form->plain || !is_data || !is_worth_it(frame, min)) return frame;
  struct blob *blob;
  if (sink->form->is_own) {
    /* Its client must receive everything that the deflater has seen. */
    struct own_deflate *own = subscriber->extra->own;
    blob = compress(sink->delivery, get(&own->deflater, own->window, true), frame);
  } else {
    blob = compress_plain(sink->delivery, sink->form, frame, min);
  }
  blob_unref(frame);
  return blob;
}

struct blob *compress_message(struct subscriber *subscriber, struct message *message) {
  const struct form_class *form = subscriber->sink->form;
  struct blob *blob = compress_shared(subscriber->sink->delivery, form->is_own ? form->plain : form, message);
  if (blob) blob_ref(blob);
  return form->is_own ? compress_frame(subscriber, blob, subscriber->extra->own->min) : blob;
}

/* Deflates the blob as blocks that refer to nothing before them and end at a byte boundary.
 * Borrowed from the delivery; NULL if out of memory. */
static struct blob *compress_part(struct delivery *delivery, enum ws_window window, struct blob *plain, size_t *compressed) {
  struct deflated_part *part = &delivery->parts[window];
  if (part->plain == plain) return part->deflated;
  struct ws_deflater *deflater = get(&delivery->deflaters[window], window, false);
  struct bytes bytes = blob_bytes(plain);
  struct buffer out;
  struct blob *blob = NULL;
  buffer_init(&out);
  delivery->stats->deflated++;
  *compressed = bytes.len;
  if (deflater && ws_deflater_message(deflater, &bytes, 1, &out)) {
    buffer_append(&out,
                  /* which is omitted at the end of a message (RFC 7692 section 7.2.1) */
                  bytes_of("\0\0\xff\xff", 4));
    if (!out.failed) blob = blob_new(buffer_bytes(&out));
  }
  buffer_deinit(&out);
  if (!blob) return NULL;
  blob_unref(part->plain);
  blob_unref(part->deflated);
  *part = (struct deflated_part){.plain = blob_ref(plain), .deflated = blob};
  return blob;
}

/* Appends a stored block (RFC 1951 section 3.2.4), if the block before it has ended at a byte
 * boundary. */
static void append_stored(struct buffer *out, struct bytes bytes) {
  if (bytes.len == 0) return;
  unsigned len = (unsigned)bytes.len;
  char head[STORED_HEAD] = {0, (char)(len & 0xff), (char)(len >> 8), (char)(~len & 0xff), (char)((~len >> 8) & 0xff)};
  buffer_append(out, bytes_of(head, sizeof head));
  buffer_append(out, bytes);
}

bool compress_rope(struct subscriber *subscriber, const struct rope *text, struct rope *frame, size_t *compressed) {
  const struct sink *sink = subscriber->sink;
  *compressed = 0;
  if (!sink->form->plain || sink->form->is_own || text->joint_count != 1) return false;
  const struct rope_joint *joint = &text->joints[0];
  struct bytes before = bytes_of(text->text.data, joint->at);
  struct bytes after = bytes_of(text->text.data + joint->at, text->text.len - joint->at);
  size_t min = sink->delivery->deflate_min, len = joint->blob->len;
  if (len < min || len > PART_MOST || before.len > UINT16_MAX || after.len > UINT16_MAX) return false;
  struct blob *part = compress_part(sink->delivery, sink->form->window, joint->blob, compressed);
  if (!part || part->len + 2 * STORED_HEAD + 1 >= len) return false;
  char header[WS_HEADER_MAX];
  struct rope payload;
  rope_init(&payload);
  append_stored(&payload.text, before);
  rope_share(&payload, part);
  append_stored(&payload.text, after);
  /* An empty block, whose last four bytes are omitted. */
  buffer_append_char(&payload.text, 0);
  buffer_append(&frame->text, bytes_of(header, ws_frame_header_compressed(header, WS_OPCODE_TEXT, rope_len(&payload))));
  rope_append(frame, &payload);
  rope_deinit(&payload);
  return true;
}
