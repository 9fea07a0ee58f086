/* POST /publish: back ends publish one message, with the publish key as a Bearer token (RFC 6750 section 2.1). */
#include <stdio.h>

#include "auth/secret.h"
#include "codec/envelope.h"
#include "codec/http_writer.h"
#include "server/http1.h"
#include "server/roles.h"
#include "server/server.h"

static void refuse(struct exchange *exchange, int status, const char *reason) {
  exchange_refuse(exchange, status, exchange_code(status), reason, bytes_of(NULL, 0));
}

static bool has_key(const struct http_head *head, const char *key) {
  struct bytes field = http_head_field(head, BYTES("authorization"));
  struct bytes scheme = bytes_of(field.ptr, field.len < 7 ? field.len : 7);
  if (!bytes_equal_nocase(scheme, BYTES("Bearer "))) return false;
  return secret_equal(bytes_trim(bytes_of(field.ptr + 7, field.len - 7)), bytes_string(key));
}

/* Decodes the strings of the message and publishes it. */
static void publish(struct exchange *exchange, const struct envelope_publish *envelope) {
  struct mw_server *server = exchange_worker(exchange)->server;
  struct buffer channel, event;
  buffer_init(&channel);
  buffer_init(&event);
  json_string_decode(envelope->channel, &channel);
  if (envelope->event.type == JSON_STRING) json_string_decode(envelope->event, &event);
  struct bytes data = envelope->data.type == JSON_NONE ? BYTES("null") : envelope->data.raw;
  bool is_volatile = envelope->is_volatile.type == JSON_TRUE;
  struct mw_publish message = {.channel = {channel.data, channel.len},
                               .event = {event.data, event.len},
                               .data = {data.ptr, data.len},
                               .is_volatile = is_volatile};
  char id[MW_ID_MAX], body[64];
  struct mw_error error = {""};
  int status = channel.failed || event.failed ? MW_ENOMEM : mw_publish(server, &message, id, &error);
  buffer_deinit(&channel);
  buffer_deinit(&event);
  if (status < 0) {
    int http_status = status == MW_EINVAL ? 400 : status == MW_ENOTFOUND ? 404 : status == MW_ETOOLARGE ? 413 : 503;
    refuse(exchange, http_status, error.text[0] ? error.text : mw_status_text(status));
    return;
  }
  int len = is_volatile ? snprintf(body, sizeof body, "{}\n") : snprintf(body, sizeof body, "{\"id\":\"%s\"}\n", id);
  struct answer answer = {.status = 200,
                          .fields = BYTES("Cache-Control: no-store\r\n"),
                          .content_type = BYTES("application/json"),
                          .body = bytes_of(body, (size_t)len)};
  exchange_answer(exchange, &answer);
}

static void start(struct exchange *exchange) {
  struct http1 *http = conn_of(exchange)->http;
  const char *key = exchange_worker(exchange)->server->config->options.publish_key;
  struct json_value object;
  struct json_fault fault;
  struct envelope_publish envelope;
  char reason[128];
  if (!has_key(http_reader_head(http->reader), key)) {
    refuse(exchange, 401, "the publish key is missing or wrong");
    return;
  }
  if (!json_scan(http_reader_body(http->reader), &object, &fault)) {
    snprintf(reason, sizeof reason, "the body is no JSON: %s at byte %zu", fault.reason, fault.offset);
    refuse(exchange, 400, reason);
    return;
  }
  const char *wrong = object.type == JSON_OBJECT ? envelope_read_publish(object, &envelope) : "the body must be a JSON object";
  if (wrong) {
    refuse(exchange, 400, wrong);
  } else {
    publish(exchange, &envelope);
  }
}

const struct role role_publish = {.start = start};
