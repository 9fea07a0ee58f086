/* GET /health: the server runs. GET /ready: it can also publish. */
#include <stdio.h>

#include "http/exchange.h"
#include "transport/roles.h"

static void answer_with(struct exchange *exchange, int status, struct bytes body) {
  struct answer answer = {
      .status = status, .fields = &http_fields_no_store, .content_type = BYTES("application/json"), .body = body};
  exchange_answer(exchange, &answer);
}

static void health_start(struct exchange *exchange) {
  if (app_stopping(exchange_app(exchange))) {
    answer_with(exchange, 503, BYTES("{\"status\":\"stopping\"}\n"));
  } else {
    answer_with(exchange, 200, BYTES("{\"status\":\"ok\"}\n"));
  }
}

static void ready_start(struct exchange *exchange) {
  struct app *app = exchange_app(exchange);
  const char *reason = atomic_load(&app->unready);
  char body[256];
  if (!reason || app_stopping(app)) {
    health_start(exchange);
    return;
  }
  snprintf(body, sizeof body, "{\"status\":\"unavailable\",\"reason\":\"%.200s\"}\n", reason);
  answer_with(exchange, 503, bytes_string(body));
}

const struct role health_role = {.start = health_start, .on_end = role_nothing, ROLE_ANSWERS_AT_ONCE};
const struct role ready_role = {.start = ready_start, .on_end = role_nothing, ROLE_ANSWERS_AT_ONCE};
