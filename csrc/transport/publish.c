/* POST /publish: back ends publish one message, or many, with the publish key as a Bearer token
 * (RFC 6750 section 2.1). */
#include <stdio.h>

#include "auth/secret.h"
#include "base/utf8.h"
#include "codec/envelope.h"
#include "codec/http/http_writer.h"
#include "http/exchange.h"
#include "http/request.h"
#include "transport/publish_item.h"
#include "transport/roles.h"

enum { ITEMS_MAX = 1000 };

static void refuse_publish(struct exchange *exchange, int status, const char *reason) {
  exchange_refuse(exchange, status, exchange_code(status), reason, bytes_of(NULL, 0));
}

static bool has_key(const struct http_head *head, const char *key) {
  return secret_equal(http_head_bearer(head), bytes_string(key));
}

/* ---- Outcomes -------------------------------------------------------------------------------- */

static void write_result(struct buffer *out, const struct publish_result *result) {
  if (result->status != 200) {
    buffer_append_format(out, "{\"error\":{\"code\":\"%s\",\"reason\":", exchange_code(result->status));
    /* It may quote a name that ends at any byte. */
    struct bytes reason = bytes_string(result->reason);
    json_write_string(out, bytes_of(reason.ptr, utf8_valid_prefix(reason)));
    buffer_append_string(out, "}}");
  } else if (result->id[0]) {
    buffer_append_format(out, "{\"id\":\"%s\"}", result->id);
  } else {
    buffer_append_string(out, "{}");
  }
}

/* ---- Many ------------------------------------------------------------------------------------ */

/* The items of an array, or lines with a JSON text each. */
struct items {
  struct bytes rest;
  bool are_lines;
};

/* Reads the next item. A line that is not valid JSON has no type, and sets *fault. */
static bool next_publish_item(struct items *items, struct json_value *item, struct json_fault *fault) {
  if (!items->are_lines) return json_next_item(&items->rest, item);
  while (items->rest.len > 0) {
    size_t len = bytes_find(items->rest, '\n');
    struct bytes line = bytes_of(items->rest.ptr, len);
    size_t used = len < items->rest.len ? len + 1 : len;
    items->rest = bytes_of(items->rest.ptr + used, items->rest.len - used);
    if (line.len > 0 && line.ptr[line.len - 1] == '\r') line.len--;
    if (bytes_trim(line).len == 0) continue;
    if (!json_scan(line, item, fault)) item->type = JSON_NONE;
    return true;
  }
  return false;
}

static bool too_many(struct items items) {
  struct json_value item;
  struct json_fault fault;
  size_t count = 0;
  while (count <= ITEMS_MAX && next_publish_item(&items, &item, &fault)) count++;
  return count > ITEMS_MAX;
}

static struct publish_result publish_line_fault(const struct json_fault *fault) {
  char reason[128];
  snprintf(reason, sizeof reason, "invalid JSON in the line at byte %zu: %s", fault->offset, fault->reason);
  return publish_failed(400, reason);
}

/* Appends the outcomes to `out`, until one is not known immediately; the others come after it in
 * the batch of the call. */
static void publish_all(struct publish_call *call, struct items items, struct buffer *out) {
  struct json_value item;
  struct json_fault fault;
  char before = '[';
  while (next_publish_item(&items, &item, &fault)) {
    struct publish_result result;
    bool is_known = true;
    if (item.type == JSON_NONE) {
      result = publish_line_fault(&fault);
    } else {
      is_known = publish_item(call, item, &result);
    }
    budget_charge(&call->exchange->subscriber, BUDGET_PUBLISH);
    if (!call->batch) {
      buffer_append_char(out, before);
      write_result(out, &result);
      before = ',';
    } else if (is_known && !publish_append(call, &result)) {
      out->failed = true;
    }
  }
  if (!call->batch) buffer_append_string(out, before == '[' ? "[]" : "]");
}

/* ---- The request ----------------------------------------------------------------------------- */

static bool says_lines(const struct http_head *head) {
  struct bytes type = http_head_field(head, BYTES("content-type"));
  type.len = bytes_find(type, ';');
  type = bytes_trim(type);
  return bytes_equal_nocase(type, BYTES("application/x-ndjson")) || bytes_equal_nocase(type, BYTES("application/jsonl"));
}

/* Without a Content-Type that says so, lines are known by a first one that is an object of its
 * own. */
static bool looks_like_lines(struct bytes body) {
  struct json_value first;
  size_t len = bytes_find(body, '\n');
  return len < body.len && json_scan(bytes_of(body.ptr, len), &first, NULL) && first.type == JSON_OBJECT;
}

static void answer_publish(struct exchange *exchange, struct buffer *body) {
  buffer_append_char(body, '\n');
  if (body->failed) {
    refuse_publish(exchange, 503, "out of memory");
    return;
  }
  struct answer answer = {
      .status = 200, .fields = &http_fields_no_store, .content_type = BYTES("application/json"), .body = buffer_bytes(body)};
  exchange_answer(exchange, &answer);
}

/* Writes the outcomes that were not known immediately, after the others. */
static void finish_many(struct publish_batch *batch, struct exchange *exchange) {
  struct buffer *out = &batch->text;
  for (struct publish_item *item = NULL; (item = publish_next(batch, item)) != NULL;) {
    buffer_append_char(out, out->len == 0 ? '[' : ',');
    write_result(out, publish_result_of(item));
  }
  buffer_append_char(out, ']');
  answer_publish(exchange, out);
}

static void start_many(struct exchange *exchange, struct items items) {
  if (too_many(items)) {
    refuse_publish(exchange, 413, "at most 1000 messages in one request");
    return;
  }
  struct publish_call call = {.exchange = exchange, .on_done = finish_many};
  struct buffer body = {0};
  publish_all(&call, items, &body);
  if (call.batch) {
    publish_wait(&call, &body);
  } else {
    answer_publish(exchange, &body);
  }
  buffer_deinit(&body);
}

static void answer_one(struct exchange *exchange, const struct publish_result *result) {
  if (result->status != 200) {
    refuse_publish(exchange, result->status, result->reason);
    return;
  }
  struct buffer body = {0};
  write_result(&body, result);
  answer_publish(exchange, &body);
  buffer_deinit(&body);
}

static void finish_one(struct publish_batch *batch, struct exchange *exchange) {
  struct publish_item *item = publish_next(batch, NULL);
  if (item) answer_one(exchange, publish_result_of(item));
  if (!item) refuse_publish(exchange, 503, "out of memory");
}

static void start_one(struct exchange *exchange, struct json_value object) {
  struct publish_call call = {.exchange = exchange, .on_done = finish_one};
  struct publish_result result;
  bool is_known = publish_item(&call, object, &result);
  if (!call.batch) {
    answer_one(exchange, &result);
    return;
  }
  struct buffer none = {0};
  if (is_known) publish_append(&call, &result);
  publish_wait(&call, &none);
}

static void publish_start(struct exchange *exchange) {
  struct request *request = exchange_request(exchange);
  const struct http_head *head = request->head;
  struct bytes body = request->body;
  struct json_value value;
  struct json_fault fault;
  if (!has_key(head, exchange_config(exchange)->options.publish_key)) {
    refuse_publish(exchange, 401, "the publish key is missing or wrong");
  } else if (says_lines(head)) {
    start_many(exchange, (struct items){.rest = body, .are_lines = true});
  } else if (json_scan(body, &value, &fault)) {
    if (value.type == JSON_ARRAY) {
      start_many(exchange, (struct items){.rest = value.raw});
    } else {
      start_one(exchange, value);
    }
  } else if (looks_like_lines(body)) {
    start_many(exchange, (struct items){.rest = body, .are_lines = true});
  } else {
    char reason[128];
    snprintf(reason, sizeof reason, "invalid JSON in the body at byte %zu: %s", fault.offset, fault.reason);
    refuse_publish(exchange, 400, reason);
  }
}

static void publish_on_late(struct exchange *exchange) {
  bool stops = app_stopping(exchange_app(exchange));
  refuse_publish(exchange, 503, stops ? "the server is stopping" : "the messages were not ordered in time");
}

const struct role publish_role = {.start = publish_start,
                                  .on_answer = role_nothing_on_answer,
                                  .on_late = publish_on_late,
                                  .finishes = role_always_finishes,
                                  .on_end = role_nothing,
                                  ROLE_WRITES_AT_ONCE,
                                  ROLE_NEVER_WAITS,
                                  ROLE_NEVER_STREAMS};
