#include "http/csrf.h"

#include "http/cors.h"
#include "http/exchange.h"
#include "http/request.h"

const char csrf_refusal[] =
    "a request with a cookie that may come from another site: send it from a page of this origin or of one "
    "that origins lists, or with Content-Type: application/json";

bool csrf_is_json(const struct http_head *head) {
  struct bytes type = http_head_field(head, BYTES("content-type"));
  size_t len = bytes_find(type, ';');
  return bytes_equal_nocase(bytes_trim(bytes_of(type.ptr, len)), BYTES("application/json"));
}

bool csrf_suspects(struct exchange *exchange) {
  const struct http_head *head = exchange_request(exchange)->head;
  return http_head_field(head, BYTES("cookie")).ptr && !csrf_is_json(head) && !cors_proves_trust(exchange);
}
