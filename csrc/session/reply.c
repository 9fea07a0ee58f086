#include "session/reply.h"

#include "base/utf8.h"
#include "codec/envelope.h"
#include "codec/verb.h"
#include "dialect/native_forms.h"
#include "http/exchange.h"

int reply_status(const char *code) {
  static const struct {
    const char *code;
    int status;
  } statuses[] = {{"unauthorized", 401}, {"token_expired", 401}, {"forbidden", 403}, {"not_found", 404},  {"not_subscribed", 403},
                  {"too_large", 413},    {"rate_limited", 429},  {"internal", 500},  {"unavailable", 503}};
  for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
    if (strcmp(code, statuses[i].code) == 0) return statuses[i].status;
  }
  return 400;
}

/* The exchange that waits for the answer, or NULL. */
static struct exchange *find_waiting(struct subscriber *subscriber, const struct reply_to *to) {
  struct exchange *waiting = exchange_find(http_of(subscriber), to->exchange);
  return waiting && waiting->state == EXCHANGE_ASKING && waiting->role ? waiting : NULL;
}

void reply_text(struct subscriber *subscriber, const struct reply_to *to, const char *code, struct buffer *text) {
  bool compresses = !to->is_exchange && subscriber->sink->form->plain;
  budget_charge(subscriber, text->len * (compresses ? BUDGET_PER_COMPRESSED : 1));
  if (text->failed) {
    subscriber_break(subscriber);
  } else if (!to->is_exchange) {
    subscriber_push_text(subscriber, buffer_bytes(text));
  } else {
    struct exchange *waiting = find_waiting(subscriber, to);
    int status = !code ? 200 : to->status ? to->status : reply_status(code);
    if (waiting) waiting->role->on_reply(waiting, status, code, &(struct answer){.body = buffer_bytes(text)});
  }
}

static void push_rope(struct subscriber *subscriber, const struct rope *text) {
  size_t compressed = subscriber_push_text_rope(subscriber, text);
  budget_charge(subscriber, compressed * BUDGET_PER_COMPRESSED);
}

void reply_rope(struct subscriber *subscriber, const struct reply_to *to, const struct rope *text) {
  budget_charge(subscriber, rope_len(text));
  if (text->text.failed) {
    subscriber_break(subscriber);
  } else if (!to->is_exchange) {
    push_rope(subscriber, text);
  } else {
    struct exchange *waiting = find_waiting(subscriber, to);
    if (waiting) waiting->role->on_reply(waiting, 200, NULL, &(struct answer){.rope = text});
  }
}

void reply_joined(struct subscriber *subscriber, const struct reply_to *to, const struct rope *told) {
  struct exchange *waiting = find_waiting(subscriber, to);
  if (waiting) waiting->role->on_joined(waiting, told);
}

size_t reply_room(struct subscriber *subscriber, const struct reply_to *to) {
  if (!to->is_exchange) return session_room(subscriber);
  struct exchange *waiting = find_waiting(subscriber, to);
  return waiting ? waiting->role->reply_room(waiting) : 0;
}

void reply_ok(struct subscriber *subscriber, const struct reply_to *to, struct bytes ref, struct bytes value) {
  /* Nobody waits for what was sent without a ref. */
  if (ref.len == 0 && !to->is_exchange) return;
  struct buffer text;
  buffer_init(&text);
  verb_write_ok(&text, ref, value);
  reply_text(subscriber, to, NULL, &text);
  buffer_deinit(&text);
}

void reply_page(struct subscriber *subscriber, const struct reply_to *to, struct bytes ref, struct bytes value) {
  struct buffer text;
  buffer_init(&text);
  verb_write_ok(&text, ref, value);
  if (to->is_exchange) {
    reply_text(subscriber, to, NULL, &text);
  } else {
    struct blob *frame = text.failed ? NULL : form_frame(WS_OPCODE_TEXT, buffer_bytes(&text), bytes_of(NULL, 0));
    budget_charge(subscriber, text.len);
    if (frame) subscriber_push(subscriber, frame, blob_bytes(frame));
    if (!frame) subscriber_break(subscriber);
    blob_unref(frame);
  }
  buffer_deinit(&text);
}

/* A reason may come from a script, and be cut at any byte. */
static struct bytes clean(const char *text) {
  struct bytes bytes = bytes_string(text);
  return bytes_of(bytes.ptr, utf8_valid_prefix(bytes));
}

void reply_error(struct subscriber *subscriber, const struct reply_to *to, struct bytes ref, struct bytes channel,
                 const char *code, const char *reason) {
  struct buffer text;
  buffer_init(&text);
  verb_write_error(&text, ref, channel, clean(code), clean(reason));
  reply_text(subscriber, to, code, &text);
  buffer_deinit(&text);
}

static void push_event(struct subscriber *subscriber, struct bytes event, struct bytes data, struct bytes id) {
  struct buffer text;
  buffer_init(&text);
  if (subscriber->sink->form->carrier == &carrier_websocket) {
    struct envelope_push push = {.event = event, .data = data};
    envelope_write_push(&text, &push);
  } else {
    native_write_event(&text, subscriber->sink->form, event, data);
    if (id.len > 0 && subscriber->sink->form->write_cursor) sse_add_id(&text, id);
  }
  if (text.failed) {
    subscriber_break(subscriber);
  } else {
    subscriber_push_text(subscriber, buffer_bytes(&text));
  }
  buffer_deinit(&text);
}

void reply_event(struct subscriber *subscriber, struct bytes event, struct bytes data) {
  push_event(subscriber, event, data, bytes_of(NULL, 0));
}

void reply_event_rope(struct subscriber *subscriber, struct bytes channel, struct bytes event, const struct rope *data) {
  struct rope text;
  rope_init(&text);
  native_write_rope(&text, subscriber->sink->form, channel, event, data);
  push_rope(subscriber, &text);
  rope_deinit(&text);
}

void reply_channel_event(struct subscriber *subscriber, struct bytes event, struct bytes channel, struct bytes id) {
  struct buffer data;
  buffer_init(&data);
  native_write_channel(&data, channel);
  if (data.failed) {
    subscriber_break(subscriber);
  } else {
    push_event(subscriber, event, buffer_bytes(&data), id);
  }
  buffer_deinit(&data);
}

void reply_unsubscribed(struct subscriber *subscriber, struct bytes channel, const char *code, const char *reason) {
  struct buffer data;
  buffer_init(&data);
  buffer_append_string(&data, "{\"channel\":");
  json_write_string(&data, channel);
  buffer_append_string(&data, ",\"code\":");
  json_write_string(&data, clean(code));
  buffer_append_string(&data, ",\"reason\":");
  json_write_string(&data, clean(reason ? reason : ""));
  buffer_append_char(&data, '}');
  if (data.failed) {
    subscriber_break(subscriber);
  } else {
    reply_event(subscriber, BYTES("moonwire:unsubscribed"), buffer_bytes(&data));
  }
  buffer_deinit(&data);
}
