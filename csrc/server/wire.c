#include "server/wire.h"

#include <assert.h>

#include "codec/envelope.h"
#include "codec/http_writer.h"

static void write_sse(struct buffer *out, const struct message *message, struct bytes id) {
  struct sse_event event = {.id = id, .event = message->event, .data = message->data, .retry_ms = -1};
  sse_write(out, &event);
}

static void write_envelope(struct buffer *out, const struct message *message, struct bytes id) {
  struct buffer json;
  buffer_init(&json);
  struct envelope_push push = {.channel = message->channel, .event = message->event, .id = id, .data = message->data};
  envelope_write_push(&json, &push);
  /* A line end between tokens of the data would be folded by the client's parser as well, but costs a second data line. */
  struct sse_event event = {.id = id, .data = buffer_bytes(&json), .retry_ms = -1};
  sse_write(out, &event);
  if (json.failed) out->failed = true;
  buffer_deinit(&json);
}

struct blob *wire_chunk(struct bytes text) {
  char head[CHUNK_HEAD_MAX];
  size_t head_len = http_chunk_head(head, text.len);
  struct blob *blob = blob_new(bytes_of(NULL, head_len + text.len + 2));
  if (!blob) return NULL;
  memcpy(blob->data, head, head_len);
  memcpy(blob->data + head_len, text.ptr, text.len);
  memcpy(blob->data + head_len + text.len, "\r\n", 2);
  return blob;
}

struct bytes wire_slice(const struct blob *blob, bool chunked) {
  struct bytes all = blob_bytes(blob);
  if (chunked) return all;
  size_t head_len = bytes_find(all, '\n') + 1;
  return bytes_of(all.ptr + head_len, all.len - head_len - 2);
}

/* Both formats begin with the id line, so that a client whose stream was cut in a block knows where it was. The object has the id as a
 * member, in front of the data; unescaped quotes stand nowhere before it but around names and strings. */
static void find_positions(struct wire_draft *draft, enum wire wire) {
  static const char member[] = ",\"id\":\"";
  struct bytes all = blob_bytes(draft->blob);
  draft->position_at[0] = bytes_find(all, '\n') + 1 + strlen("id: ") + EPOCH_LEN + 1;
  if (wire == WIRE_ENVELOPE) {
    const char *found = strstr(all.ptr + draft->position_at[0], member);
    assert(found);
    draft->position_at[1] = (size_t)(found - all.ptr) + strlen(member) + EPOCH_LEN + 1;
  }
}

struct wire_draft wire_draft(enum wire wire, const struct message *message, const struct epoch *epoch, bool with_id) {
  char id_text[ID_LEN];
  struct bytes id = with_id ? bytes_of(id_text, ID_LEN) : bytes_of(NULL, 0);
  id_write(id_text, epoch, message->position);
  struct buffer text;
  buffer_init(&text);
  if (wire == WIRE_SSE) {
    write_sse(&text, message, id);
  } else {
    write_envelope(&text, message, id);
  }
  struct wire_draft draft = {.blob = text.failed ? NULL : wire_chunk(buffer_bytes(&text))};
  buffer_deinit(&text);
  if (draft.blob && with_id) find_positions(&draft, wire);
  return draft;
}

void wire_draft_place(struct wire_draft *draft, uint64_t position) {
  for (size_t i = 0; i < 2; i++) {
    if (draft->position_at[i] > 0) id_write_position(draft->blob->data + draft->position_at[i], position);
  }
}

struct blob *wire_of(enum wire wire, struct message *message, const struct epoch *epoch) {
  struct blob *blob = message_wire(message, wire);
  if (blob) return blob;
  struct wire_draft draft = wire_draft(wire, message, epoch, message->position > 0);
  return draft.blob ? message_set_wire(message, wire, draft.blob) : NULL;
}

void wire_write_event(struct buffer *out, enum wire wire, struct bytes event, struct bytes data) {
  struct sse_event sse = {.event = event, .data = data, .retry_ms = -1};
  struct buffer json;
  buffer_init(&json);
  if (wire == WIRE_ENVELOPE) {
    struct envelope_push push = {.event = event, .data = data};
    envelope_write_push(&json, &push);
    sse.event = bytes_of(NULL, 0);
    sse.data = buffer_bytes(&json);
    if (json.failed) out->failed = true;
  }
  sse_write(out, &sse);
  buffer_deinit(&json);
}
