/* How a protocol has a request answered (http/exchange.h). */
#include "base/log_limit.h"
#include "codec/http/query.h"
#include "http/admission/admit.h"
#include "http/admission/remote.h"
#include "http/budget.h"
#include "http/exchange.h"
#include "http/request.h"
#include "http/router.h"

static void log_request(struct exchange *exchange, const struct http_head *head) {
  char target[201], remote[REMOTE_MAX];
  query_redact(head->target, target, sizeof target);
  exchange_remote(exchange, remote, sizeof remote);
  log_limited(MW_LOG_DEBUG, "request from %s: %.*s %s", remote, (int)head->method.len, head->method.ptr, target);
}

bool exchange_read_head(struct exchange *exchange) {
  struct request *request = exchange->request;
  request->is_head = bytes_equal(request->head->method, BYTES("HEAD"));
  request->body = bytes_of(NULL, 0);
  exchange_http(exchange)->stats->requests++;
  exchange_set_state(exchange, EXCHANGE_READING);
  int status = remote_begin_request(exchange_protocol(exchange)->conn(exchange), request->head);
  if (status == MW_ENOMEM) return false;
  request->is_over = status < 0;
  router_find(exchange, request);
  if (!request->role && request->refused_status == 503) return false;
  if (log_enabled(MW_LOG_DEBUG)) log_request(exchange, request->head);
  return true;
}

void exchange_refuse_request(struct exchange *exchange) {
  const struct request *request = exchange->request;
  struct bytes allow = request->refused_status == 405 ? bytes_string(request->allow) : bytes_of(NULL, 0);
  exchange_refuse(exchange, request->refused_status, exchange_code(request->refused_status), request->refused_reason, allow);
}

void exchange_start(struct exchange *exchange) {
  const struct role *role = exchange->request->role;
  budget_charge(&exchange->subscriber, BUDGET_REQUEST);
  if (role && !admit_request(exchange, role)) return;
  if (role) {
    exchange_become(exchange, role);
    role->start(exchange);
  } else {
    exchange_refuse_request(exchange);
  }
}

void exchange_salvage(struct exchange *exchange) {
  struct request *request = exchange->request;
  request->is_head = bytes_equal(request->head->method, BYTES("HEAD"));
  request->is_shared = router_shares(exchange_http(exchange)->router, exchange_config(exchange), request->head->path);
}
