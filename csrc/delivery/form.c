#include "delivery/form.h"

#include "codec/http/http_writer.h"

const struct form_class form_text = {.carrier = &carrier_event_stream};

/* ---- Messages -------------------------------------------------------------------------------- */

struct form_draft form_draft(const struct form_class *class, const struct message *message, const struct epoch *epoch,
                             bool with_id) {
  char id[ID_LEN];
  struct form_draft draft = {NULL, {0, 0}};
  if (with_id) id_write(id, epoch, message->position);
  draft.form = form_new(class, class->encode(message, bytes_of(with_id ? id : NULL, with_id ? ID_LEN : 0), draft.position_at));
  return draft;
}

void form_draft_place(struct form_draft *draft, uint64_t position) {
  for (size_t i = 0; i < 2; i++) {
    if (draft->position_at[i] > 0) id_write_position(draft->form->blob->data + draft->position_at[i], position);
  }
}

struct blob *form_of(const struct form_class *class, struct message *message, const struct epoch *epoch) {
  struct blob *blob = message_form(message, class);
  if (blob) return blob;
  struct form_draft draft = form_draft(class, message, epoch, message->position > 0);
  return draft.form ? message_add_form(message, draft.form) : NULL;
}

/* ---- Framing --------------------------------------------------------------------------------- */

struct blob *form_chunk(struct bytes text) {
  char head[CHUNK_HEAD_MAX];
  size_t head_len = http_chunk_head(head, text.len);
  /* One byte is left over, and the length of a slice has 32 bits. */
  if (head_len >= FORM_HEAD_ROOM) return NULL;
  struct blob *blob = blob_new(bytes_of(NULL, FORM_HEAD_ROOM + text.len + FORM_TAIL_ROOM));
  if (!blob) return NULL;
  memset(blob->data, 0, FORM_HEAD_ROOM);
  blob->data[0] = (char)(FORM_HEAD_ROOM - head_len);
  memcpy(blob->data + FORM_HEAD_ROOM - head_len, head, head_len);
  memcpy(blob->data + FORM_HEAD_ROOM, text.ptr, text.len);
  memcpy(blob->data + FORM_HEAD_ROOM + text.len, "\r\n", FORM_TAIL_ROOM);
  return blob;
}

struct blob *form_frame(enum ws_opcode opcode, struct bytes payload, struct bytes more) {
  char header[WS_HEADER_MAX];
  size_t header_len = ws_frame_header(header, opcode, payload.len + more.len);
  struct blob *blob = blob_new(bytes_of(NULL, header_len + payload.len + more.len));
  if (!blob) return NULL;
  memcpy(blob->data, header, header_len);
  if (payload.len > 0) memcpy(blob->data + header_len, payload.ptr, payload.len);
  if (more.len > 0) memcpy(blob->data + header_len + payload.len, more.ptr, more.len);
  return blob;
}

/* ---- Carriers -------------------------------------------------------------------------------- */

static void write_text(struct rope *out, const struct rope *text, enum framing framing) {
  char head[CHUNK_HEAD_MAX];
  if (text->text.failed) out->text.failed = true;
  if (text->text.failed) return;
  if (framing == FRAMING_CHUNK) buffer_append(&out->text, bytes_of(head, http_chunk_head(head, rope_len(text))));
  rope_append(out, text);
  if (framing == FRAMING_CHUNK) buffer_append_string(&out->text, "\r\n");
}

static struct blob *frame_text(struct bytes text) { return form_frame(WS_OPCODE_TEXT, text, bytes_of(NULL, 0)); }

static void write_frame(struct rope *out, const struct rope *text, enum framing framing) {
  char header[WS_HEADER_MAX];
  (void)framing;
  buffer_append(&out->text, bytes_of(header, ws_frame_header(header, WS_OPCODE_TEXT, rope_len(text))));
  rope_append(out, text);
}

const struct carrier carrier_event_stream = {.name = "sse", .has_rooms = true, .frame = form_chunk, .frame_rope = write_text};
const struct carrier carrier_poll = {.name = "poll", .frame = blob_new, .frame_rope = write_text};
const struct carrier carrier_websocket = {
    .name = "websocket", .is_two_way = true, .frame = frame_text, .frame_rope = write_frame};
