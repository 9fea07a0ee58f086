#include "dialect/native_forms.h"

#include <assert.h>

#include "base/base64.h"
#include "codec/envelope.h"
#include "codec/json_scan.h"
#include "hub/news.h"

/* Empty bytes mean an absent member. */
static struct bytes or_none(struct bytes bytes) { return bytes.len > 0 ? bytes : bytes_of(NULL, 0); }

static struct bytes event_of(const struct message_parts *parts) {
  return parts->type == MESSAGE_PRESENCE ? BYTES("moonwire:presence") : parts->event;
}

/* Writes {"joined":{…},"left":[…],"count":n}, or {"count":n}. */
static void write_news(struct buffer *out, const struct news *news) {
  const char *before = "";
  buffer_append_string(out, news->counts_only ? "{" : "{\"joined\":{");
  for (size_t i = 0; i < news->change_count; i++) {
    const struct news_change *change = &news->changes[i];
    if (change->left) continue;
    buffer_append_string(out, before);
    buffer_append(out, blob_bytes(change->key));
    buffer_append_char(out, ':');
    buffer_append(out, change->info ? blob_bytes(change->info) : BYTES("null"));
    before = ",";
  }
  if (!news->counts_only) buffer_append_string(out, "},\"left\":[");
  before = "";
  for (size_t i = 0; i < news->change_count; i++) {
    if (!news->changes[i].left) continue;
    buffer_append_string(out, before);
    buffer_append(out, blob_bytes(news->changes[i].key));
    before = ",";
  }
  buffer_append_string(out, news->counts_only ? "\"count\":" : "],\"count\":");
  buffer_append_u64(out, news->count);
  buffer_append_char(out, '}');
}

/* Returns the data of a message as JSON, if need be written to `text`. */
static struct bytes data_of(const struct message_parts *parts, struct buffer *text) {
  if (parts->type == MESSAGE_EVENT) return parts->data;
  write_news(text, parts->news);
  return buffer_bytes(text);
}

static struct bytes from_of(const struct message_parts *parts) {
  return parts->type == MESSAGE_EVENT ? parts->from : bytes_of(NULL, 0);
}

/* Writes the push as a JSON object. Bytes that are not JSON become base64, or follow the object if
 * the format can carry them. */
static void write_object(struct buffer *out, const struct message_parts *parts, struct bytes id, bool carries_bytes) {
  struct buffer text;
  buffer_init(&text);
  struct envelope_push push = {
      .channel = or_none(parts->channel), .event = event_of(parts), .id = id, .from = or_none(from_of(parts))};
  if (!parts->is_binary) {
    push.data = data_of(parts, &text);
  } else if (!carries_bytes) {
    base64_write(&text, parts->data);
    push.base64 = text.len > 0 ? buffer_bytes(&text) : BYTES("");
  }
  envelope_write_push(out, &push);
  if (text.failed) out->failed = true;
  buffer_deinit(&text);
}

static void write_sse(struct buffer *out, const struct message_parts *parts, struct bytes id) {
  struct buffer data;
  buffer_init(&data);
  struct sse_event event = {.id = id, .event = event_of(parts), .retry_ms = -1};
  if (!parts->is_binary) {
    event.data = data_of(parts, &data);
  } else {
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

/* ---- The forms ------------------------------------------------------------------------------- */

/* An event ends with the id line, the empty line, and the tail room. */
static void find_in_event(const struct blob *blob, size_t *at) {
  *at = blob->len - strlen("\n\n") - FORM_TAIL_ROOM - POSITION_DIGITS;
}

/* An object has the id as a member before the data; before it, unescaped quotes only surround names
 * and strings. */
static void find_in_object(const struct blob *blob, size_t *at) {
  static const char member[] = ",\"id\":\"";
  struct bytes all = blob_bytes(blob);
  size_t i = 0;
  while (i + strlen(member) <= all.len && memcmp(all.ptr + i, member, strlen(member)) != 0) i++;
  assert(i + strlen(member) <= all.len);
  *at = i + strlen(member) + EPOCH_LEN + 1;
}

static struct blob *encode_sse(const struct message *message, struct bytes id, size_t position_at[2]) {
  struct buffer text;
  buffer_init(&text);
  write_sse(&text, &message->parts, id);
  struct blob *blob = text.failed ? NULL : form_chunk(buffer_bytes(&text));
  buffer_deinit(&text);
  if (blob && id.len > 0) find_in_event(blob, &position_at[0]);
  return blob;
}

static struct blob *encode_envelope(const struct message *message, struct bytes id, size_t position_at[2]) {
  struct buffer text;
  buffer_init(&text);
  write_envelope(&text, &message->parts, id);
  struct blob *blob = text.failed ? NULL : form_chunk(buffer_bytes(&text));
  buffer_deinit(&text);
  if (blob && id.len > 0) find_in_event(blob, &position_at[0]);
  if (blob && id.len > 0) find_in_object(blob, &position_at[1]);
  return blob;
}

static struct blob *encode_poll(const struct message *message, struct bytes id, size_t position_at[2]) {
  struct buffer text;
  buffer_init(&text);
  write_object(&text, &message->parts, id, false);
  struct blob *blob = text.failed ? NULL : blob_new(buffer_bytes(&text));
  buffer_deinit(&text);
  if (blob && id.len > 0) find_in_object(blob, &position_at[0]);
  return blob;
}

static struct blob *encode_ws(const struct message *message, struct bytes id, size_t position_at[2]) {
  const struct message_parts *parts = &message->parts;
  struct buffer text;
  buffer_init(&text);
  write_object(&text, parts, id, true);
  if (parts->is_binary) buffer_append_char(&text, '\n');
  enum ws_opcode opcode = parts->is_binary ? WS_OPCODE_BINARY : WS_OPCODE_TEXT;
  struct bytes more = parts->is_binary ? parts->data : bytes_of(NULL, 0);
  struct blob *blob = text.failed ? NULL : form_frame(opcode, buffer_bytes(&text), more);
  buffer_deinit(&text);
  if (blob && id.len > 0) find_in_object(blob, &position_at[0]);
  return blob;
}

const struct form_class native_sse = {.carrier = &carrier_event_stream, .encode = encode_sse, .carries_cursor = true};
const struct form_class native_envelope = {.carrier = &carrier_event_stream, .encode = encode_envelope, .carries_cursor = true};
const struct form_class native_poll = {.carrier = &carrier_poll, .encode = encode_poll};
const struct form_class native_ws = {.carrier = &carrier_websocket, .cursor_per_channel = true, .encode = encode_ws};
const struct form_class native_ws_compressed[WS_WINDOW_COUNT] = {
    [WS_WINDOW_15] = {.carrier = &carrier_websocket, .cursor_per_channel = true, .plain = &native_ws, .window = WS_WINDOW_15},
    [WS_WINDOW_12] = {.carrier = &carrier_websocket, .cursor_per_channel = true, .plain = &native_ws, .window = WS_WINDOW_12},
    [WS_WINDOW_9] = {.carrier = &carrier_websocket, .cursor_per_channel = true, .plain = &native_ws, .window = WS_WINDOW_9},
};
const struct form_class native_ws_own = {
    .carrier = &carrier_websocket, .cursor_per_channel = true, .plain = &native_ws, .is_own = true};

/* ---- Texts ----------------------------------------------------------------------------------- */

void native_write_rope(struct rope *out, const struct form_class *form, struct bytes channel, struct bytes event,
                       const struct rope *data) {
  static const struct bytes place = {"0", 1};
  struct message_parts parts = {.channel = channel, .event = event, .data = place};
  struct buffer frame;
  /* what follows the data: newlines, or a brace */
  size_t tail_len = form == &native_sse ? 2 : form == &native_envelope ? 3 : 1;
  buffer_init(&frame);
  if (form == &native_sse) {
    write_sse(&frame, &parts, bytes_of(NULL, 0));
  } else if (form == &native_envelope) {
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
