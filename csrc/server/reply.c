#include "server/reply.h"

#include "base/utf8.h"
#include "codec/envelope.h"
#include "codec/verb.h"
#include "server/server.h"

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
static struct exchange *find_waiting(struct exchange *exchange, const struct reply_to *to) {
  struct exchange *waiting = exchange_of(server_find(exchange_worker(exchange)->server, to->exchange));
  return waiting && waiting->state == EXCHANGE_ASKING && waiting->role ? waiting : NULL;
}

void reply_text(struct exchange *exchange, const struct reply_to *to, const char *code, struct buffer *text) {
  bool compresses = !to->is_exchange && exchange_form(exchange) > FORM_WS;
  budget_charge(exchange, text->len * (compresses ? BUDGET_PER_COMPRESSED : 1));
  if (text->failed) {
    exchange_break(exchange);
  } else if (!to->is_exchange) {
    subscriber_push_text(&exchange->subscriber, buffer_bytes(text));
  } else {
    struct exchange *waiting = find_waiting(exchange, to);
    int status = !code ? 200 : to->status ? to->status : reply_status(code);
    if (waiting) waiting->role->on_reply(waiting, status, code, &(struct answer){.body = buffer_bytes(text)});
  }
}

static void push_rope(struct exchange *exchange, const struct rope *text) {
  size_t compressed = subscriber_push_text_rope(&exchange->subscriber, text);
  budget_charge(exchange, compressed * BUDGET_PER_COMPRESSED);
}

void reply_rope(struct exchange *exchange, const struct reply_to *to, const struct rope *text) {
  budget_charge(exchange, rope_len(text));
  if (text->text.failed) {
    exchange_break(exchange);
  } else if (!to->is_exchange) {
    push_rope(exchange, text);
  } else {
    struct exchange *waiting = find_waiting(exchange, to);
    if (waiting) waiting->role->on_reply(waiting, 200, NULL, &(struct answer){.rope = text});
  }
}

void reply_joined(struct exchange *exchange, const struct reply_to *to, const struct rope *told) {
  struct exchange *waiting = find_waiting(exchange, to);
  if (waiting) waiting->role->on_joined(waiting, told);
}

size_t reply_room(struct exchange *exchange, const struct reply_to *to) {
  if (!to->is_exchange) return exchange_room(exchange);
  struct exchange *waiting = find_waiting(exchange, to);
  return waiting ? waiting->role->reply_room(waiting) : 0;
}

void reply_ok(struct exchange *exchange, const struct reply_to *to, struct bytes ref, struct bytes value) {
  /* Nobody waits for what was sent without a ref. */
  if (ref.len == 0 && !to->is_exchange) return;
  struct buffer text;
  buffer_init(&text);
  verb_write_ok(&text, ref, value);
  reply_text(exchange, to, NULL, &text);
  buffer_deinit(&text);
}

void reply_page(struct exchange *exchange, const struct reply_to *to, struct bytes ref, struct bytes value) {
  struct buffer text;
  buffer_init(&text);
  verb_write_ok(&text, ref, value);
  if (to->is_exchange) {
    reply_text(exchange, to, NULL, &text);
  } else {
    struct blob *frame = text.failed ? NULL : form_frame(WS_OPCODE_TEXT, buffer_bytes(&text), bytes_of(NULL, 0));
    budget_charge(exchange, text.len);
    if (frame) exchange_push(exchange, frame, blob_bytes(frame));
    if (!frame) exchange_break(exchange);
    blob_unref(frame);
  }
  buffer_deinit(&text);
}

/* A reason may come from a script, and be cut at any byte. */
static struct bytes clean(const char *text) {
  struct bytes bytes = bytes_string(text);
  return bytes_of(bytes.ptr, utf8_valid_prefix(bytes));
}

void reply_error(struct exchange *exchange, const struct reply_to *to, struct bytes ref, struct bytes channel, const char *code,
                 const char *reason) {
  struct buffer text;
  buffer_init(&text);
  verb_write_error(&text, ref, channel, clean(code), clean(reason));
  reply_text(exchange, to, code, &text);
  buffer_deinit(&text);
}

static void push_event(struct exchange *exchange, struct bytes event, struct bytes data, struct bytes id) {
  struct buffer text;
  buffer_init(&text);
  if (form_is_ws(exchange_form(exchange))) {
    struct envelope_push push = {.event = event, .data = data};
    envelope_write_push(&text, &push);
  } else {
    form_write_event(&text, exchange_form(exchange), event, data);
    if (id.len > 0 && exchange_form(exchange) != FORM_POLL) sse_add_id(&text, id);
  }
  if (text.failed) {
    exchange_break(exchange);
  } else {
    subscriber_push_text(&exchange->subscriber, buffer_bytes(&text));
  }
  buffer_deinit(&text);
}

void reply_event(struct exchange *exchange, struct bytes event, struct bytes data) {
  push_event(exchange, event, data, bytes_of(NULL, 0));
}

void reply_event_rope(struct exchange *exchange, struct bytes channel, struct bytes event, const struct rope *data) {
  struct rope text;
  rope_init(&text);
  form_write_rope(&text, exchange_form(exchange), channel, event, data);
  push_rope(exchange, &text);
  rope_deinit(&text);
}

void reply_channel_event(struct exchange *exchange, struct bytes event, struct bytes channel, struct bytes id) {
  struct buffer data;
  buffer_init(&data);
  form_write_channel(&data, channel);
  if (data.failed) {
    exchange_break(exchange);
  } else {
    push_event(exchange, event, buffer_bytes(&data), id);
  }
  buffer_deinit(&data);
}

void reply_unsubscribed(struct exchange *exchange, struct bytes channel, const char *code, const char *reason) {
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
    exchange_break(exchange);
  } else {
    reply_event(exchange, BYTES("moonwire:unsubscribed"), buffer_bytes(&data));
  }
  buffer_deinit(&data);
}
