/* POST /publish: back ends publish one message, or many, with the publish key as a Bearer token (RFC 6750 section 2.1). */
#include <stdio.h>

#include "auth/secret.h"
#include "base/base64.h"
#include "base/utf8.h"
#include "codec/envelope.h"
#include "codec/http/http_writer.h"
#include "http/exchange.h"
#include "http/request.h"
#include "transport/roles.h"

enum { ITEMS_MAX = 1000 };

/* What came of one publish. */
struct result {
  int status; /* of HTTP */
  char id[MW_ID_MAX];
  char reason[sizeof(struct mw_error)];
};

static void refuse(struct exchange *exchange, int status, const char *reason) {
  exchange_refuse(exchange, status, exchange_code(status), reason, bytes_of(NULL, 0));
}

static bool has_key(const struct http_head *head, const char *key) {
  return secret_equal(http_head_bearer(head), bytes_string(key));
}

/* ---- One publish ---------------------------------------------------------------------------------------------------------- */

static struct result fail(int status, const char *reason) {
  struct result result = {.status = status};
  snprintf(result.reason, sizeof result.reason, "%s", reason);
  return result;
}

static struct result publish_decoded(struct app *app, const struct mw_publish *publish) {
  struct result result = {.status = 200};
  struct mw_error error = {""};
  int status = order_publish(app, publish, result.id, &error);
  if (status == 0) return result;
  int http_status = status == MW_EINVAL ? 400 : status == MW_ENOTFOUND ? 404 : status == MW_ETOOLARGE ? 413 : 503;
  return fail(http_status, error.text[0] ? error.text : mw_status_text(status));
}

/* The same, unless it was done before under that key. What was refused is tried anew. */
static struct result publish_once(struct app *app, uint64_t now_ms, const struct mw_publish *publish, struct bytes key) {
  if (key.len == 0 || key.len > IDEMPOTENCY_KEY_MAX) return fail(400, "idempotency_key must be 1 to 128 bytes long");
  struct idempotent *entry = idempotency_begin(&app->idempotency, key, now_ms);
  if (!entry) return fail(503, "no memory");
  struct result result = {.status = 200};
  if (!entry->is_known) result = publish_decoded(app, publish);
  if (!entry->is_known) memcpy(entry->id, result.id, sizeof entry->id);
  memcpy(result.id, entry->id, sizeof result.id);
  entry->is_known = result.status == 200;
  idempotency_end(&app->idempotency, entry);
  return result;
}

static void decode(struct json_value value, struct buffer *out) {
  if (value.type == JSON_STRING) json_string_decode(value, out);
}

static struct result publish(struct app *app, uint64_t now_ms, struct json_value object) {
  struct envelope_publish envelope;
  char fault[ENVELOPE_FAULT_MAX];
  if (!envelope_read_publish(object, &envelope, fault)) return fail(400, fault);
  struct buffer channel = {0}, event = {0}, key = {0}, once = {0}, base64 = {0}, binary = {0};
  decode(envelope.channel, &channel);
  decode(envelope.event, &event);
  decode(envelope.key, &key);
  decode(envelope.idempotency_key, &once);
  decode(envelope.base64, &base64);
  bool is_binary = envelope.base64.type == JSON_STRING;
  bool readable = !is_binary || base64_read(&binary, buffer_bytes(&base64));
  struct bytes data = is_binary ? buffer_bytes(&binary) : envelope.data.raw;
  struct mw_publish message = {.channel = {channel.data, channel.len},
                               .event = {event.data, event.len},
                               .data = {data.ptr, data.len},
                               .key = {key.data, key.len},
                               .is_volatile = envelope.is_volatile.type == JSON_TRUE,
                               .is_final = envelope.is_final.type == JSON_TRUE,
                               .is_binary = is_binary};
  struct result result;
  if (channel.failed || event.failed || key.failed || once.failed || base64.failed || binary.failed) {
    result = fail(503, "no memory");
  } else if (!readable) {
    result = fail(400, "invalid base64; padding is required");
  } else if (envelope.idempotency_key.type == JSON_STRING) {
    result = publish_once(app, now_ms, &message, buffer_bytes(&once));
  } else {
    result = publish_decoded(app, &message);
  }
  buffer_deinit(&channel);
  buffer_deinit(&event);
  buffer_deinit(&key);
  buffer_deinit(&once);
  buffer_deinit(&base64);
  buffer_deinit(&binary);
  return result;
}

static void write_result(struct buffer *out, const struct result *result) {
  if (result->status != 200) {
    buffer_append_format(out, "{\"error\":{\"code\":\"%s\",\"reason\":", exchange_code(result->status));
    /* It may quote a name that was cut at any byte. */
    struct bytes reason = bytes_string(result->reason);
    json_write_string(out, bytes_of(reason.ptr, utf8_valid_prefix(reason)));
    buffer_append_string(out, "}}");
  } else if (result->id[0]) {
    buffer_append_format(out, "{\"id\":\"%s\"}", result->id);
  } else {
    buffer_append_string(out, "{}");
  }
}

/* ---- Many ----------------------------------------------------------------------------------------------------------------- */

/* The items of an array, or lines with a JSON text each. */
struct items {
  struct bytes rest;
  bool are_lines;
};

/* The next one. It has no type if it is a line that is no JSON: *fault says why. */
static bool next_item(struct items *items, struct json_value *item, struct json_fault *fault) {
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
  while (count <= ITEMS_MAX && next_item(&items, &item, &fault)) count++;
  return count > ITEMS_MAX;
}

static struct result publish_line_fault(const struct json_fault *fault) {
  char reason[128];
  snprintf(reason, sizeof reason, "invalid JSON in the line at byte %zu: %s", fault->offset, fault->reason);
  return fail(400, reason);
}

static void publish_all(struct exchange *exchange, struct items items, struct buffer *out) {
  struct app *app = exchange_app(exchange);
  struct json_value item;
  struct json_fault fault;
  char before = '[';
  while (next_item(&items, &item, &fault)) {
    struct result result =
        item.type == JSON_NONE ? publish_line_fault(&fault) : publish(app, exchange_http(exchange)->loop->clock.now_ms, item);
    budget_charge(&exchange->subscriber, BUDGET_PUBLISH);
    buffer_append_char(out, before);
    write_result(out, &result);
    before = ',';
  }
  buffer_append_string(out, before == '[' ? "[]" : "]");
}

/* ---- The request ---------------------------------------------------------------------------------------------------------- */

static bool says_lines(const struct http_head *head) {
  struct bytes type = http_head_field(head, BYTES("content-type"));
  type.len = bytes_find(type, ';');
  type = bytes_trim(type);
  return bytes_equal_nocase(type, BYTES("application/x-ndjson")) || bytes_equal_nocase(type, BYTES("application/jsonl"));
}

/* Without a Content-Type that says so, lines are known by a first one that is an object of its own. */
static bool looks_like_lines(struct bytes body) {
  struct json_value first;
  size_t len = bytes_find(body, '\n');
  return len < body.len && json_scan(bytes_of(body.ptr, len), &first, NULL) && first.type == JSON_OBJECT;
}

static void answer(struct exchange *exchange, struct buffer *body) {
  buffer_append_char(body, '\n');
  if (body->failed) {
    refuse(exchange, 503, "no memory for the answer");
    return;
  }
  struct answer answer = {
      .status = 200, .fields = &http_fields_no_store, .content_type = BYTES("application/json"), .body = buffer_bytes(body)};
  exchange_answer(exchange, &answer);
}

static void start_many(struct exchange *exchange, struct items items) {
  if (too_many(items)) {
    refuse(exchange, 413, "at most 1000 messages can be published at once");
    return;
  }
  struct buffer body = {0};
  publish_all(exchange, items, &body);
  answer(exchange, &body);
  buffer_deinit(&body);
}

static void start_one(struct exchange *exchange, struct json_value object) {
  struct result result = publish(exchange_app(exchange), exchange_http(exchange)->loop->clock.now_ms, object);
  if (result.status != 200) {
    refuse(exchange, result.status, result.reason);
    return;
  }
  struct buffer body = {0};
  write_result(&body, &result);
  answer(exchange, &body);
  buffer_deinit(&body);
}

static void start(struct exchange *exchange) {
  struct request *request = exchange_request(exchange);
  const struct http_head *head = request->head;
  struct bytes body = request->body;
  struct json_value value;
  struct json_fault fault;
  if (!has_key(head, exchange_config(exchange)->options.publish_key)) {
    refuse(exchange, 401, "the publish key is missing or wrong");
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
    refuse(exchange, 400, reason);
  }
}

const struct role publish_role = {.start = start, .on_end = role_nothing, ROLE_ANSWERS_AT_ONCE};
