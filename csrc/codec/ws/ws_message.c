#include "codec/ws/ws_message.h"

#include "codec/ws/ws_deflate.h"

enum { ROOM_MIN = 1024 }; /* bytes that are inflated before the size is known */

static const struct ws_fault no_fault = {WS_CLOSE_NORMAL, NULL};

static struct ws_fault fault(enum ws_close_code code, const char *reason) { return (struct ws_fault){code, reason}; }

void ws_message_deinit(struct ws_message *message) {
  buffer_deinit(&message->body);
  ws_inflater_free(message->inflater);
  *message = (struct ws_message){0};
}

void ws_message_release(struct ws_message *message) {
  buffer_deinit(&message->body);
  message->whole = bytes_of(NULL, 0);
}

size_t ws_message_held(const struct ws_message *message) {
  return message->body.len + (message->inflater && !message->remembers ? WS_INFLATER_SIZE : 0);
}

struct ws_fault ws_message_begin(struct ws_message *message, bool is_binary, bool is_compressed, bool takeover) {
  message->is_open = true;
  message->is_binary = is_binary;
  message->is_compressed = is_compressed;
  if (!is_compressed) return no_fault;
  if (!message->inflater) {
    message->inflater = ws_inflater_new();
    if (!message->inflater) return fault(WS_CLOSE_INTERNAL, "out of memory");
  } else if (!message->remembers) {
    ws_inflater_reset(message->inflater);
  }
  message->remembers = takeover;
  return no_fault;
}

static struct ws_fault check_text(struct ws_message *message, struct bytes part) {
  if (message->is_binary || utf8_stream_feed(&message->text, part)) return no_fault;
  return fault(WS_CLOSE_BAD_DATA, "invalid UTF-8 in a text message");
}

/* Inflates once into the room of the body, or into more room; *status receives the result. */
static struct ws_fault inflate_step(struct ws_message *message, struct bytes *input, size_t limit, enum ws_inflate *status) {
  struct buffer *body = &message->body;
  size_t len = limit - body->len;
  char beyond, *out = &beyond; /* at the limit: is there another byte? */
  if (len > 0) {
    size_t wanted = body->len < body->capacity ? 1 : len < ROOM_MIN ? len : ROOM_MIN;
    out = buffer_reserve_within(body, wanted, limit);
    if (!out) return fault(WS_CLOSE_INTERNAL, "out of memory");
    len = body->capacity - body->len;
  } else {
    len = 1;
  }
  *status = input ? ws_inflater_feed(message->inflater, input, out, &len) : ws_inflater_finish(message->inflater, out, &len);
  if (out == &beyond) return len > 0 ? fault(WS_CLOSE_TOO_BIG, "the message is larger than the limit") : no_fault;
  body->len += len;
  message->inflated += len;
  return check_text(message, bytes_of(out, len));
}

/* Inflates all input; NULL ends the message. Invalid deflate data is data that does not match its
 * type (RFC 6455 section 7.4.1), like text that is not UTF-8. RFC 7692 does not specify the
 * code. */
static struct ws_fault inflate_all(struct ws_message *message, struct bytes *input, size_t limit) {
  for (;;) {
    enum ws_inflate status;
    struct ws_fault found = inflate_step(message, input, limit, &status);
    if (found.reason) return found;
    switch (status) {
      case WS_INFLATE_MORE: return no_fault;
      case WS_INFLATE_FULL: break;
      case WS_INFLATE_BROKEN: return fault(WS_CLOSE_BAD_DATA, "invalid compressed data");
      case WS_INFLATE_MEMORY: return fault(WS_CLOSE_INTERNAL, "out of memory");
    }
  }
}

struct ws_fault ws_message_add(struct ws_message *message, struct bytes part, size_t limit, bool is_all) {
  if (message->is_compressed) return inflate_all(message, &part, limit);
  struct ws_fault found = check_text(message, part);
  if (found.reason) return found;
  if (is_all) {
    message->whole = part;
    return no_fault;
  }
  buffer_append(&message->body, part);
  return message->body.failed ? fault(WS_CLOSE_INTERNAL, "out of memory") : no_fault;
}

struct ws_fault ws_message_end(struct ws_message *message, size_t limit, struct bytes *payload) {
  struct ws_fault found = message->is_compressed ? inflate_all(message, NULL, limit) : no_fault;
  if (found.reason) return found;
  if (!message->is_binary && !utf8_stream_complete(&message->text))
    return fault(WS_CLOSE_BAD_DATA, "incomplete UTF-8 at the end of a text message");
  message->is_open = false;
  *payload = message->whole.ptr ? message->whole : buffer_bytes(&message->body);
  return no_fault;
}
