#include "http/exchange.h"
#include "transport/roles.h"

static void health_start(struct exchange *exchange) {
  bool stopping = app_stopping(exchange_app(exchange));
  struct answer answer = {.status = stopping ? 503 : 200,
                          .fields = &http_fields_no_store,
                          .content_type = BYTES("application/json"),
                          .body = stopping ? BYTES("{\"status\":\"stopping\"}\n") : BYTES("{\"status\":\"ok\"}\n")};
  exchange_answer(exchange, &answer);
}

const struct role health_role = {.start = health_start, .on_end = role_nothing, ROLE_ANSWERS_AT_ONCE};
