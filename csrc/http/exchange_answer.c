/* What an exchange answers (http/exchange.h): a complete body, a body in parts, a stream, or a
 * refusal. */
#include <stdio.h>

#include "base/log_limit.h"
#include "base/utf8.h"
#include "codec/json_scan.h"
#include "http/budget.h"
#include "http/cors.h"
#include "http/exchange.h"
#include "http/request.h"

/* ---- The beginning --------------------------------------------------------------------------- */

/* Begins the answer with the fields for pages of other origins. `state` is the state that
 * follows. */
static void begin_answer(struct exchange *exchange, const struct answer_head *head, enum exchange_state state) {
  struct http_fields cors;
  struct answer_head whole = *head;
  http_fields_init(&cors);
  if (exchange_request(exchange)->is_shared) cors_add(exchange, head->fields, &cors);
  whole.more = &cors;
  exchange_set_state(exchange, state);
  exchange_protocol(exchange)->begin(exchange, &whole);
  http_fields_deinit(&cors);
}

/* The answer is complete, if not written. */
static void end_answer(struct exchange *exchange) {
  exchange_protocol(exchange)->end(exchange);
  exchange_end_role(exchange);
  exchange_release_name(exchange);
}

void exchange_answer(struct exchange *exchange, const struct answer *answer) {
  bool empty = answer->status == 204 || answer->status == 304;
  size_t len = answer->rope ? rope_len(answer->rope) : answer->body.len;
  struct answer_head head = {.status = answer->status,
                             .fields = answer->fields,
                             .content_type = answer->content_type,
                             .length = empty ? LENGTH_NONE : (int64_t)len,
                             .body = answer->body,
                             .rope = answer->rope};
  if (answer->rope || !exchange_request(exchange)->is_head) budget_charge(&exchange->subscriber, len);
  begin_answer(exchange, &head, EXCHANGE_ANSWERING);
  end_answer(exchange);
}

void exchange_begin(struct exchange *exchange, int status, const struct http_fields *fields, uint64_t length) {
  struct answer_head head = {.status = status, .fields = fields, .length = (int64_t)length};
  begin_answer(exchange, &head, EXCHANGE_ANSWERING);
}

void exchange_complete(struct exchange *exchange) {
  end_answer(exchange);
  subscriber_mark(&exchange->subscriber);
}

/* ---- Refusals -------------------------------------------------------------------------------- */

const char *exchange_code(int status) {
  switch (status) {
    case 401: return "unauthorized";
    case 403: return "forbidden";
    case 404: return "not_found";
    case 413:
    case 414:
    case 431: return "too_large";
    case 429: return "rate_limited";
    case 503: return "unavailable";
    case 504: return "unreplicated";
    case 501:
    case 505: return "bad_request";
    default: return status >= 500 ? "internal" : "bad_request";
  }
}

bool exchange_is_temporary(int status) { return status == 429 || status == 503; }

/* Adds Retry-After, with a random time if it is not known: then clients do not come all at once. */
static void add_retry(struct exchange *exchange, struct http_fields *fields, uint32_t retry_ms) {
  char text[16];
  unsigned seconds = retry_ms > 0 ? (retry_ms - 1) / 1000 + 1 : http_random(exchange_http(exchange), 1, 4);
  int len = snprintf(text, sizeof text, "%u", seconds);
  http_fields_add(fields, BYTES("Retry-After"), bytes_of(text, (size_t)len));
}

static void answer_error(struct exchange *exchange, int status, const struct http_fields *more_fields, struct bytes text,
                         uint32_t retry_ms) {
  struct http_fields fields;
  http_fields_init(&fields);
  http_fields_add(&fields, BYTES("Cache-Control"), BYTES("no-store"));
  http_fields_add(&fields, BYTES("X-Content-Type-Options"), BYTES("nosniff"));
  if (status == 401) http_fields_add(&fields, BYTES("WWW-Authenticate"), BYTES("Bearer"));
  if (exchange_is_temporary(status)) add_retry(exchange, &fields, retry_ms);
  http_fields_add_all(&fields, more_fields);
  struct answer answer = {.status = status, .fields = &fields, .content_type = BYTES("application/json"), .body = text};
  exchange_answer(exchange, &answer);
  http_fields_deinit(&fields);
}

void exchange_answer_error(struct exchange *exchange, int status, struct bytes text, uint32_t retry_ms) {
  answer_error(exchange, status, NULL, text, retry_ms);
}

static void refuse_request(struct exchange *exchange, int status, const char *code, const char *reason, struct bytes channel,
                           const struct http_fields *more_fields, uint32_t retry_ms) {
  struct buffer body;
  buffer_init(&body);
  buffer_append_char(&body, '{');
  if (channel.ptr && utf8_valid_prefix(channel) == channel.len) {
    buffer_append_string(&body, "\"channel\":");
    json_write_string(&body, channel);
    buffer_append_char(&body, ',');
  }
  buffer_append_string(&body, "\"error\":{\"code\":");
  json_write_string(&body, bytes_string(code));
  buffer_append_string(&body, ",\"reason\":");
  /* A reason may come from a script, and end at any byte. */
  struct bytes text = bytes_string(reason);
  json_write_string(&body, bytes_of(text.ptr, utf8_valid_prefix(text)));
  buffer_append_string(&body, "}}\n");
  log_limited(MW_LOG_DEBUG, "answer %d %s: %s", status, code, reason);
  if (body.failed) exchange->subscriber.flags |= SUBSCRIBER_BROKEN;
  answer_error(exchange, status, more_fields, buffer_bytes(&body), retry_ms);
  buffer_deinit(&body);
}

void exchange_refuse_with(struct exchange *exchange, int status, const char *code, const char *reason,
                          const struct http_fields *more_fields) {
  refuse_request(exchange, status, code, reason, bytes_of(NULL, 0), more_fields, 0);
}

void exchange_refuse_later(struct exchange *exchange, int status, const char *code, const char *reason, uint32_t retry_ms) {
  refuse_request(exchange, status, code, reason, bytes_of(NULL, 0), NULL, retry_ms);
}

void exchange_refuse_channel(struct exchange *exchange, int status, const char *code, const char *reason, struct bytes channel) {
  refuse_request(exchange, status, code, reason, channel, NULL, 0);
}

void exchange_refuse(struct exchange *exchange, int status, const char *code, const char *reason, struct bytes allow) {
  struct http_fields fields;
  http_fields_init(&fields);
  if (allow.len > 0) http_fields_add(&fields, BYTES("Allow"), allow);
  exchange_refuse_with(exchange, status, code, reason, &fields);
  http_fields_deinit(&fields);
}

/* ---- Streams --------------------------------------------------------------------------------- */

/* Appends the fields of an event stream, and those that every event stream has. */
static void add_stream_fields(struct http_fields *out, const struct http_fields *fields) {
  struct http_field field;
  for (size_t cursor = 0; http_fields_next(&http_fields_event_stream, &cursor, &field);) {
    if (!http_fields_have(fields, field.name)) http_fields_add(out, field.name, field.value);
  }
  http_fields_add_all(out, fields);
}

static void begin_stream(struct exchange *exchange, int status, const struct http_fields *own, const struct rope *text,
                         enum exchange_state state) {
  struct http_fields fields;
  http_fields_init(&fields);
  if (own) add_stream_fields(&fields, own);
  struct answer_head head = {
      .status = status, .fields = own ? &fields : &http_fields_event_stream, .length = LENGTH_STREAM, .rope = text};
  begin_answer(exchange, &head, state);
  http_fields_deinit(&fields);
}

void exchange_answer_stream_head(struct exchange *exchange, int status, const struct http_fields *fields) {
  begin_stream(exchange, status, fields, NULL, EXCHANGE_ANSWERING);
  end_answer(exchange);
}

/* Keeps a job that lasts as long as the stream: the request that held it is freed. */
static void keep_job(struct exchange *exchange, struct script_job *job) {
  if (exchange_http(exchange)->sessions->make(&exchange->subscriber)) {
    exchange_set_job(exchange, job);
  } else {
    exchange_app(exchange)->script->end_stream(exchange_app(exchange), job);
    exchange_break(exchange);
  }
}

static void stream_as(struct exchange *exchange, int status, const struct http_fields *fields, const struct rope *text) {
  struct script_job *job = exchange_job(exchange);
  exchange_set_job(exchange, NULL);
  begin_stream(exchange, status, fields, text, EXCHANGE_STREAMING);
  if (job) keep_job(exchange, job);
}

void exchange_stream_rope(struct exchange *exchange, const struct rope *text) { stream_as(exchange, 200, NULL, text); }

void exchange_stream_as(struct exchange *exchange, int status, const struct http_fields *fields, struct bytes text) {
  struct rope rope;
  rope_init(&rope);
  buffer_append(&rope.text, text);
  stream_as(exchange, status, fields, &rope);
  rope_deinit(&rope);
}

void exchange_stream(struct exchange *exchange, struct bytes text) { exchange_stream_as(exchange, 200, NULL, text); }

void exchange_retry_later(struct exchange *exchange, uint32_t retry_ms) {
  if (exchange_request(exchange)->is_head) {
    exchange_answer_stream_head(exchange, 200, NULL);
    return;
  }
  char text[48];
  int len = snprintf(text, sizeof text, "retry: %u\n", (unsigned)(retry_ms + http_random(exchange_http(exchange), 2000, 8000)));
  exchange_stream(exchange, bytes_of(text, (size_t)len));
  exchange_end_stream(exchange);
}

bool exchange_upgrade(struct exchange *exchange, const struct http_fields *fields) {
  exchange_note_heard(exchange);
  if (!exchange_protocol(exchange)->upgrade(exchange, fields)) return false;
  exchange_set_state(exchange, EXCHANGE_STREAMING);
  return true;
}
