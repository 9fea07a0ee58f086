#include "http/cors.h"
#include "http/exchange.h"
#include "http/request.h"
#include "transport/roles.h"

/* Answers OPTIONS: the methods of a path, and, for pages of other origins, the preflight. */
static void options_start(struct exchange *exchange) {
  struct request *request = exchange_request(exchange);
  if (request->is_guarded && !cors_allows(exchange)) {
    exchange_refuse(exchange, 403, "forbidden", cors_refusal, bytes_of(NULL, 0));
    return;
  }
  struct http_fields fields;
  http_fields_init(&fields);
  http_fields_add(&fields, BYTES("Allow"), bytes_string(request->allow));
  if (request->is_shared) cors_add_preflight(exchange, bytes_string(request->allow), &fields);
  struct answer answer = {.status = 204, .fields = &fields};
  exchange_answer(exchange, &answer);
  http_fields_deinit(&fields);
}

const struct role options_role = {.start = options_start, .on_end = role_nothing, ROLE_ANSWERS_AT_ONCE};
