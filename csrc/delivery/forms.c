#include "delivery/forms.h"

#include <assert.h>

#include "base/base64.h"
#include "codec/envelope.h"
#include "codec/http_writer.h"
#include "codec/json_scan.h"

/* What is empty is not there. */
static struct bytes or_none(struct bytes bytes) { return bytes.len > 0 ? bytes : bytes_of(NULL, 0); }

/* The push as a JSON object; bytes that are no JSON come as base64, or behind the object if the format can carry them. */
static void write_object(struct buffer *out, const struct message_parts *parts, struct bytes id, bool carries_bytes) {
  struct buffer base64;
  buffer_init(&base64);
  struct envelope_push push = {.channel = or_none(parts->channel), .event = parts->event, .id = id, .from = or_none(parts->from)};
  if (!parts->is_binary) {
    push.data = parts->data;
  } else if (!carries_bytes) {
    base64_write(&base64, parts->data);
    push.base64 = base64.len > 0 ? buffer_bytes(&base64) : BYTES("");
  }
  envelope_write_push(out, &push);
  if (base64.failed) out->failed = true;
  buffer_deinit(&base64);
}

static void write_sse(struct buffer *out, const struct message_parts *parts, struct bytes id) {
  struct buffer data;
  buffer_init(&data);
  struct sse_event event = {.id = id, .event = parts->event, .data = parts->data, .retry_ms = -1};
  if (parts->is_binary) {
    buffer_append_string(&data, "{\"base64\":\"");
    base64_write(&data, parts->data);
    buffer_append_string(&data, "\"}");
    event.data = buffer_bytes(&data);
  }
  sse_write(out, &event);
  if (data.failed) out->failed = true;
  buffer_deinit(&data);
}

static void write_envelope(struct buffer *out, const struct message_parts *parts, struct bytes id) {
  struct buffer object;
  buffer_init(&object);
  write_object(&object, parts, id, false);
  struct sse_event event = {.id = id, .data = buffer_bytes(&object), .retry_ms = -1};
  sse_write(out, &event);
  if (object.failed) out->failed = true;
  buffer_deinit(&object);
}

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

void form_frame_rope(struct rope *out, const struct rope *text, enum framing framing) {
  char head[CHUNK_HEAD_MAX];
  if (text->text.failed) out->text.failed = true;
  if (text->text.failed) return;
  if (framing == FRAMING_CHUNK) buffer_append(&out->text, bytes_of(head, http_chunk_head(head, rope_len(text))));
  rope_append(out, text);
  if (framing == FRAMING_CHUNK) buffer_append_string(&out->text, "\r\n");
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

/* Where the id's position is. A block of an event stream ends with the id line, the blank line, and the tail room. An
 * object has the id as a member, in front of the data; unescaped quotes stand nowhere before it but around names and strings. */
static void find_positions(struct form_draft *draft, enum form form) {
  static const char member[] = ",\"id\":\"";
  struct bytes all = blob_bytes(draft->blob);
  if (form_is_event_stream(form)) draft->position_at[0] = all.len - strlen("\n\n") - FORM_TAIL_ROOM - (ID_LEN - EPOCH_LEN - 1);
  if (form != FORM_SSE) {
    size_t at = 0;
    while (at + strlen(member) <= all.len && memcmp(all.ptr + at, member, strlen(member)) != 0) at++;
    assert(at + strlen(member) <= all.len);
    draft->position_at[1] = at + strlen(member) + EPOCH_LEN + 1;
  }
}

struct form_draft form_draft(enum form form, const struct message *message, const struct epoch *epoch, bool with_id) {
  char id_text[ID_LEN];
  struct bytes id = with_id ? bytes_of(id_text, ID_LEN) : bytes_of(NULL, 0);
  id_write(id_text, epoch, message->position);
  const struct message_parts *parts = &message->parts;
  struct buffer text;
  buffer_init(&text);
  struct form_draft draft = {NULL, {0, 0}};
  if (form == FORM_WS) {
    write_object(&text, parts, id, true);
    if (parts->is_binary) buffer_append_char(&text, '\n');
    if (!text.failed) {
      draft.blob = form_frame(parts->is_binary ? WS_OPCODE_BINARY : WS_OPCODE_TEXT, buffer_bytes(&text),
                              parts->is_binary ? parts->data : bytes_of(NULL, 0));
    }
  } else if (form == FORM_POLL) {
    write_object(&text, parts, id, false);
    if (!text.failed) draft.blob = blob_new(buffer_bytes(&text));
  } else {
    if (form == FORM_SSE) {
      write_sse(&text, parts, id);
    } else {
      write_envelope(&text, parts, id);
    }
    if (!text.failed) draft.blob = form_chunk(buffer_bytes(&text));
  }
  buffer_deinit(&text);
  if (draft.blob && with_id) find_positions(&draft, form);
  return draft;
}

void form_draft_place(struct form_draft *draft, uint64_t position) {
  for (size_t i = 0; i < 2; i++) {
    if (draft->position_at[i] > 0) id_write_position(draft->blob->data + draft->position_at[i], position);
  }
}

struct blob *form_of(enum form form, struct message *message, const struct epoch *epoch) {
  struct blob *blob = message_form(message, form);
  if (blob) return blob;
  struct form_draft draft = form_draft(form, message, epoch, message->position > 0);
  return draft.blob ? message_set_form(message, form, draft.blob) : NULL;
}

void form_write_push(struct buffer *out, const struct message *message, const struct epoch *epoch) {
  char id[ID_LEN];
  if (message->position > 0) id_write(id, epoch, message->position);
  write_object(out, &message->parts, message->position > 0 ? bytes_of(id, ID_LEN) : bytes_of(NULL, 0), false);
}

void form_write_channel(struct buffer *out, struct bytes channel) {
  buffer_append_string(out, "{\"channel\":");
  json_write_string(out, channel);
  buffer_append_char(out, '}');
}

void form_write_event(struct buffer *out, enum form form, struct bytes event, struct bytes data) {
  struct sse_event sse = {.event = event, .data = data, .retry_ms = -1};
  struct buffer json;
  if (form == FORM_POLL) {
    envelope_write_push(out, &(struct envelope_push){.event = event, .data = data});
    return;
  }
  buffer_init(&json);
  if (form == FORM_ENVELOPE) {
    struct envelope_push push = {.event = event, .data = data};
    envelope_write_push(&json, &push);
    sse.event = bytes_of(NULL, 0);
    sse.data = buffer_bytes(&json);
    if (json.failed) out->failed = true;
  }
  sse_write(out, &sse);
  buffer_deinit(&json);
}

void form_write_rope(struct rope *out, enum form form, struct bytes channel, struct bytes event, const struct rope *data) {
  static const struct bytes place = {"0", 1};
  struct message_parts parts = {.channel = channel, .event = event, .data = place};
  struct buffer frame;
  size_t tail_len = form == FORM_SSE ? 2 : form == FORM_ENVELOPE ? 3 : 1; /* what follows the data: line ends, or a brace */
  buffer_init(&frame);
  if (form == FORM_SSE) {
    write_sse(&frame, &parts, bytes_of(NULL, 0));
  } else if (form == FORM_ENVELOPE) {
    write_envelope(&frame, &parts, bytes_of(NULL, 0));
  } else {
    write_object(&frame, &parts, bytes_of(NULL, 0), false);
  }
  if (frame.failed) {
    out->text.failed = true;
  } else {
    size_t head_len = frame.len - tail_len - place.len;
    buffer_append(&out->text, bytes_of(frame.data, head_len));
    rope_append(out, data);
    buffer_append(&out->text, bytes_of(frame.data + head_len + place.len, tail_len));
  }
  buffer_deinit(&frame);
}
