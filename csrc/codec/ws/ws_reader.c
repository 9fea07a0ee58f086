#include "codec/ws/ws_reader.h"

#include <assert.h>

#include "base/memory.h"
#include "base/utf8.h"
#include "codec/ws/ws_message.h"

enum { KEY_LEN = 4 };

/* Bytes of input that are inflated between checks of the limits: the output can be a thousand times
 * as long. */
enum { INFLATE_STEP = 128 };

enum read_state {
  READ_HEADER,
  READ_DATA,    /* `remaining` bytes of a data frame */
  READ_CONTROL, /* `remaining` bytes of a control frame */
  READ_CLOSED,  /* a close frame was returned */
  READ_FAILED,
};

struct ws_reader {
  const struct ws_limits *limits;
  struct ws_deflate_terms terms;
  enum read_state state;

  /* The frame. Its header stays as sent until the frame is complete; the masking key is its end. */
  unsigned char header[WS_HEADER_MAX + KEY_LEN];
  size_t header_len;
  size_t frame_len, remaining;

  struct ws_message message;
  size_t allowed; /* the limit of message.inflated */
  char control[WS_CONTROL_MAX];
  struct bytes payload;
  struct ws_close_info close_info;
};

/* Input, which is unmasked in place. */
struct input {
  char *ptr;
  size_t len;
};

static void become(struct ws_reader *reader, enum read_state state) {
#define TO(name) 1U << (name)
  static const unsigned allowed[] = {
      [READ_HEADER] = TO(READ_DATA) | TO(READ_CONTROL),
      [READ_DATA] = TO(READ_HEADER),
      [READ_CONTROL] = TO(READ_HEADER) | TO(READ_CLOSED),
      [READ_CLOSED] = 0,
      [READ_FAILED] = 0,
  };
#undef TO
  assert(state == READ_FAILED ? reader->state < READ_CLOSED : (allowed[reader->state] >> state & 1) == 1);
  (void)allowed;
  reader->state = state;
}

/* Ends reading: the rest of a message is not needed. */
static enum ws_event end(struct ws_reader *reader, enum read_state state, struct ws_close_info info) {
  become(reader, state);
  ws_message_deinit(&reader->message);
  reader->payload = bytes_of(NULL, 0);
  reader->close_info = info;
  return state == READ_FAILED ? WS_ERROR : WS_CLOSE;
}

static enum ws_event ws_reader_fail(struct ws_reader *reader, enum ws_close_code code, const char *reason) {
  return end(reader, READ_FAILED, (struct ws_close_info){code, bytes_string(reason)});
}

struct ws_reader *ws_reader_new(const struct ws_limits *limits) {
  struct ws_reader *reader = memory_calloc(1, sizeof(*reader));
  if (reader) reader->limits = limits;
  if (reader) reader->allowed = SIZE_MAX;
  return reader;
}

void ws_reader_set_limits(struct ws_reader *reader, const struct ws_limits *limits) {
  assert(ws_reader_idle(reader));
  reader->limits = limits;
}

void ws_reader_free(struct ws_reader *reader) {
  if (!reader) return;
  ws_message_deinit(&reader->message);
  memory_free(reader);
}

void ws_reader_set_terms(struct ws_reader *reader, struct ws_deflate_terms terms) {
  assert(ws_reader_idle(reader));
  reader->terms = terms;
}

/* ---- Header ---------------------------------------------------------------------------------- */

static enum ws_opcode opcode_of(const struct ws_reader *reader) { return (enum ws_opcode)(reader->header[0] & 0x0f); }
static bool is_final(const struct ws_reader *reader) { return (reader->header[0] & 0x80) != 0; }
static bool is_control(const struct ws_reader *reader) { return (reader->header[0] & 0x08) != 0; }
static unsigned short_len(const struct ws_reader *reader) { return reader->header[1] & 0x7f; }

/* Returns the number of bytes of the length after the first two bytes. */
static size_t long_len_size(const struct ws_reader *reader) {
  if (short_len(reader) < 126) return 0;
  return short_len(reader) == 126 ? 2 : 8;
}

/* RSV1 belongs to permessage-deflate: on the first frame, it marks a compressed message. */
static bool is_compressed(const struct ws_reader *reader) { return (reader->header[0] & 0x40) != 0; }

static const char *first_byte_fault(const struct ws_reader *reader) {
  enum ws_opcode opcode = opcode_of(reader);
  if (reader->header[0] & (reader->terms.agreed ? 0x30 : 0x70)) return "reserved bit set";
  if (is_compressed(reader) && (is_control(reader) || opcode == WS_OPCODE_CONTINUATION))
    return "RSV1 is allowed only on the first frame of a message";
  if (is_control(reader)) {
    if (opcode > WS_OPCODE_PONG) return "reserved opcode";
    return is_final(reader) ? NULL : "fragmented control frame";
  }
  if (opcode > WS_OPCODE_BINARY) return "reserved opcode";
  if (opcode == WS_OPCODE_CONTINUATION) return reader->message.is_open ? NULL : "continuation frame without a message";
  return reader->message.is_open ? "new message before the end of a fragmented one" : NULL;
}

static const char *second_byte_fault(const struct ws_reader *reader) {
  if (!(reader->header[1] & 0x80)) return "unmasked frame; a client must mask its frames";
  if (is_control(reader) && short_len(reader) > WS_CONTROL_MAX) return "control frame longer than 125 bytes";
  return NULL;
}

static const char *length_fault(const struct ws_reader *reader, uint64_t len) {
  if (len > INT64_MAX) return "frame length of more than 63 bits";
  if (long_len_size(reader) == 2 && len < 126) return "frame length not in its shortest form";
  if (long_len_size(reader) == 8 && len <= UINT16_MAX) return "frame length not in its shortest form";
  return NULL;
}

/* The size of a compressed message is checked when it is inflated, that of another by the lengths
 * of its frames. */
static struct ws_fault begin_data(struct ws_reader *reader, uint64_t len) {
  struct ws_message *message = &reader->message;
  struct ws_fault none = {WS_CLOSE_NORMAL, NULL};
  bool is_first = opcode_of(reader) != WS_OPCODE_CONTINUATION,
       is_plain = is_first ? !is_compressed(reader) : !message->is_compressed;
  if (len > reader->limits->frame) return (struct ws_fault){WS_CLOSE_TOO_BIG, "the frame is larger than the limit"};
  if (is_plain && len > reader->limits->message - message->body.len)
    return (struct ws_fault){WS_CLOSE_TOO_BIG, "the message is larger than the limit"};
  if (!is_first) return none;
  return ws_message_begin(message, opcode_of(reader) == WS_OPCODE_BINARY, !is_plain, reader->terms.client_takeover);
}

/* Checks a complete header. Returns WS_MORE if the frame can be read. */
static enum ws_event begin_frame(struct ws_reader *reader) {
  uint64_t len = short_len(reader);
  size_t size = long_len_size(reader);
  if (size > 0) len = 0;
  for (size_t i = 0; i < size; i++) len = len << 8 | reader->header[2 + i];
  const char *fault = length_fault(reader, len);
  if (fault) return ws_reader_fail(reader, WS_CLOSE_PROTOCOL_ERROR, fault);
  if (!is_control(reader)) {
    struct ws_fault found = begin_data(reader, len);
    if (found.reason) return ws_reader_fail(reader, found.code, found.reason);
  }
  reader->frame_len = reader->remaining = (size_t)len;
  become(reader, is_control(reader) ? READ_CONTROL : READ_DATA);
  return WS_MORE;
}

/* Checks each byte as it arrives, so that a client of another protocol is refused immediately. */
static enum ws_event read_header(struct ws_reader *reader, struct input *rest) {
  while (rest->len > 0) {
    reader->header[reader->header_len++] = (unsigned char)*rest->ptr++;
    rest->len--;
    const char *fault = NULL;
    if (reader->header_len == 1) fault = first_byte_fault(reader);
    if (reader->header_len == 2) fault = second_byte_fault(reader);
    if (fault) return ws_reader_fail(reader, WS_CLOSE_PROTOCOL_ERROR, fault);
    if (reader->header_len >= 2 && reader->header_len == 2 + long_len_size(reader) + KEY_LEN) return begin_frame(reader);
  }
  return WS_MORE;
}

/* ---- Payload --------------------------------------------------------------------------------- */

/* Returns the available payload of the frame, up to `max` bytes, unmasked. */
static struct bytes take_payload(struct ws_reader *reader, struct input *rest, size_t max) {
  struct input part = {rest->ptr, rest->len < reader->remaining ? rest->len : reader->remaining};
  if (part.len > max) part.len = max;
  if (part.len == 0) return bytes_of(part.ptr, 0);
  const unsigned char *key = reader->header + reader->header_len - KEY_LEN;
  ws_frame_unmask(part.ptr, part.len, key, reader->frame_len - reader->remaining);
  reader->remaining -= part.len;
  *rest = (struct input){rest->ptr + part.len, rest->len - part.len};
  return bytes_of(part.ptr, part.len);
}

static void finish_frame(struct ws_reader *reader) {
  become(reader, READ_HEADER);
  reader->header_len = 0;
}

static enum ws_event ws_reader_read_data(struct ws_reader *reader, struct input *rest) {
  struct ws_message *message = &reader->message;
  size_t limit = reader->limits->message;
  struct bytes part = take_payload(reader, rest, message->is_compressed ? INFLATE_STEP : SIZE_MAX);
  bool is_all = is_final(reader) && part.len == reader->frame_len && message->body.len == 0;
  struct ws_fault found = ws_message_add(message, part, limit, is_all);
  if (found.reason) return ws_reader_fail(reader, found.code, found.reason);
  if (reader->remaining > 0) return WS_MORE;

  finish_frame(reader);
  if (!is_final(reader)) return WS_MORE;
  found = ws_message_end(message, limit, &reader->payload);
  return found.reason ? ws_reader_fail(reader, found.code, found.reason) : WS_MESSAGE;
}

static enum ws_event read_close(struct ws_reader *reader) {
  struct ws_close_info info = {WS_CLOSE_ABSENT, {NULL, 0}};
  const unsigned char *bytes = (const unsigned char *)reader->control;
  if (reader->frame_len == 1) return ws_reader_fail(reader, WS_CLOSE_PROTOCOL_ERROR, "incomplete code in a close frame");
  if (reader->frame_len >= 2) {
    info.code = (unsigned)bytes[0] << 8 | bytes[1];
    info.reason = bytes_of(reader->control + 2, reader->frame_len - 2);
    if (!ws_close_code_valid(info.code)) return ws_reader_fail(reader, WS_CLOSE_PROTOCOL_ERROR, "invalid close code");
    if (!utf8_valid(info.reason)) return ws_reader_fail(reader, WS_CLOSE_BAD_DATA, "invalid UTF-8 in the close reason");
  }
  return end(reader, READ_CLOSED, info);
}

static enum ws_event read_control(struct ws_reader *reader, struct input *rest) {
  size_t at = reader->frame_len - reader->remaining;
  struct bytes part = take_payload(reader, rest, SIZE_MAX);
  if (part.len > 0) memcpy(reader->control + at, part.ptr, part.len);
  if (reader->remaining > 0) return WS_MORE;
  enum ws_opcode opcode = opcode_of(reader);
  if (opcode == WS_OPCODE_CLOSE) return read_close(reader);
  finish_frame(reader);
  reader->payload = bytes_of(reader->control, reader->frame_len);
  return opcode == WS_OPCODE_PING ? WS_PING : WS_PONG;
}

/* ---- Interface ------------------------------------------------------------------------------- */

static enum ws_event read_some(struct ws_reader *reader, struct input *rest) {
  /* A frame without payload is complete with its header, even if there is no more input. */
  enum ws_event event = WS_MORE;
  if (reader->state == READ_HEADER) event = read_header(reader, rest);
  if (event != WS_MORE) return event;
  switch (reader->state) {
    case READ_HEADER: return WS_MORE;
    case READ_DATA: return ws_reader_read_data(reader, rest);
    case READ_CONTROL: return read_control(reader, rest);
    case READ_CLOSED: *rest = (struct input){rest->ptr, 0}; return WS_MORE;
    case READ_FAILED: break;
  }
  return WS_ERROR;
}

size_t ws_reader_allow(struct ws_reader *reader, size_t inflated) {
  size_t before = reader->message.inflated;
  reader->message.inflated = 0;
  reader->allowed = inflated;
  return before;
}

/* Returns true within a message; at its end, there is nothing to inflate. */
static bool is_paused(const struct ws_reader *reader) {
  return reader->state == READ_DATA && reader->message.is_compressed && reader->message.inflated >= reader->allowed;
}

enum ws_event ws_reader_next(struct ws_reader *reader, char *data, size_t len, size_t *used) {
  struct input rest = {data, len};
  enum ws_event event;
  /* the message that was returned last */
  if (!reader->message.is_open) ws_message_release(&reader->message);
  do {
    event = rest.len > 0 && is_paused(reader) ? WS_PAUSED : read_some(reader, &rest);
  } while (event == WS_MORE && rest.len > 0);
  *used = len - rest.len;
  return event;
}

struct bytes ws_reader_payload(const struct ws_reader *reader) {
  return reader->payload;
}

bool ws_reader_take(struct ws_reader *reader, struct buffer *out) {
  struct ws_message *message = &reader->message;
  if (message->is_open || !message->body.data || reader->payload.ptr != message->body.data) return false;
  *out = message->body;
  buffer_init(&message->body);
  return true;
}

bool ws_reader_is_binary(const struct ws_reader *reader) { return reader->message.is_binary; }

struct ws_close_info ws_reader_close_info(const struct ws_reader *reader) {
  return reader->close_info;
}

bool ws_reader_idle(const struct ws_reader *reader) {
  const struct ws_message *message = &reader->message;
  bool is_between = reader->state == READ_HEADER && reader->header_len == 0 && !message->is_open;
  return is_between && !message->body.data && !message->remembers;
}

bool ws_reader_unfinished(const struct ws_reader *reader) {
  if (reader->state >= READ_CLOSED) return false;
  return reader->state != READ_HEADER || reader->header_len > 0 || reader->message.is_open;
}

bool ws_reader_in_message(const struct ws_reader *reader) { return reader->message.is_open; }

size_t ws_reader_held(const struct ws_reader *reader) { return ws_message_held(&reader->message); }
