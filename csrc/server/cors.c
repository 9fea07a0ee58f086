#include "server/cors.h"

#include "auth/origin.h"
#include "codec/http_writer.h"
#include "server/http1.h"
#include "server/server.h"

static const struct http_head *head_of(struct exchange *exchange) { return http_reader_head(conn_of(exchange)->http->reader); }

/* The request's Origin; empty if there is none, or more than one. */
static struct bytes origin_of(const struct http_head *head) {
  if (http_head_count(head, BYTES("origin")) != 1) return bytes_of(NULL, 0);
  return http_head_field(head, BYTES("origin"));
}

static bool is_same_origin(const struct http_head *head, struct bytes origin) { return origin_is_same(origin, head->host); }

static enum origin_judgement judge(struct exchange *exchange, struct bytes origin) {
  if (origin.len == 0) return ORIGIN_REFUSED;
  return config_judge_origin(exchange_worker(exchange)->server->config, origin);
}

bool cors_allows(struct exchange *exchange) {
  const struct http_head *head = head_of(exchange);
  if (http_head_count(head, BYTES("origin")) == 0) return true;
  struct bytes origin = origin_of(head);
  return is_same_origin(head, origin) || judge(exchange, origin) != ORIGIN_REFUSED;
}

static bool has_field(struct bytes fields, struct bytes name) {
  while (fields.len > 0) {
    size_t end = bytes_find(fields, '\n');
    size_t name_len = bytes_find(bytes_of(fields.ptr, end), ':');
    if (bytes_equal_nocase(bytes_of(fields.ptr, name_len), name)) return true;
    size_t used = end < fields.len ? end + 1 : end;
    fields = bytes_of(fields.ptr + used, fields.len - used);
  }
  return false;
}

void cors_write(struct exchange *exchange, struct bytes fields, struct buffer *out) {
  if (has_field(fields, BYTES("access-control-allow-origin"))) return;
  const struct http_head *head = head_of(exchange);
  struct bytes origin = origin_of(head);
  http_write_field(out, BYTES("Vary"), BYTES("Origin"));
  if (is_same_origin(head, origin)) return;
  enum origin_judgement judgement = judge(exchange, origin);
  if (judgement == ORIGIN_REFUSED) return;
  /* "*" lets anybody read what is public, but not what a user's cookie opens. */
  http_write_field(out, BYTES("Access-Control-Allow-Origin"), judgement == ORIGIN_LISTED ? origin : BYTES("*"));
  if (judgement == ORIGIN_LISTED) http_write_field(out, BYTES("Access-Control-Allow-Credentials"), BYTES("true"));
  http_write_field(out, BYTES("Access-Control-Expose-Headers"), BYTES("Retry-After"));
}

void cors_write_preflight(struct exchange *exchange, struct bytes methods, struct buffer *out) {
  const struct http_head *head = head_of(exchange);
  if (!cors_allows(exchange)) return;
  struct bytes wanted = http_head_field(head, BYTES("access-control-request-headers"));
  if (wanted.len == 0) wanted = BYTES("authorization, cache-control, content-type, last-event-id, x-moonwire-client");
  http_write_field(out, BYTES("Access-Control-Allow-Methods"), methods);
  http_write_field(out, BYTES("Access-Control-Allow-Headers"), wanted);
  http_write_field(out, BYTES("Access-Control-Max-Age"), BYTES("600"));
  http_write_field(out, BYTES("Vary"), BYTES("Access-Control-Request-Headers"));
}
