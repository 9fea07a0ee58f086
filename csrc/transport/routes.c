/* Routes of the app: the script answers, or begins a raw stream. */
#include "base/log_limit.h"
#include "base/memory.h"
#include "http/cors.h"
#include "http/csrf.h"
#include "http/exchange.h"
#include "http/request.h"
#include "transport/connect.h"
#include "transport/follow.h"
#include "transport/roles.h"
#include "transport/sse.h"
#include "transport/transport.h"

/* True for a stream that an EventSource may read: it reconnects after one that ends, and gives up
 * after a refusal. Other clients send other methods, and read the status. */
static bool is_reconnecting(struct exchange *exchange) {
  const struct route *route = exchange_request(exchange)->route;
  return route->type == ROUTE_STREAM && bytes_equal(route->method, BYTES("GET"));
}

static void put_off_route(struct exchange *exchange, const char *reason) {
  if (is_reconnecting(exchange)) {
    sse_retry_later(exchange);
  } else {
    exchange_refuse(exchange, 503, "unavailable", reason, bytes_of(NULL, 0));
  }
}

/* A page of another site may neither post with the user's cookies, nor open a stream with them. */
static bool may_be_forged(struct exchange *exchange, const struct request *request) {
  if (request->route->is_cross_site) return false;
  bool has_cookie = http_head_field(request->head, BYTES("cookie")).ptr != NULL;
  if (request->route->type == ROUTE_STREAM && has_cookie && !cors_trusts(exchange)) return true;
  return bytes_equal(request->head->method, BYTES("POST")) && csrf_suspects(exchange);
}

static void routes_start(struct exchange *exchange) {
  struct request *request = exchange_request(exchange);
  if (request->route->checks_origin && !cors_allows(exchange)) {
    exchange_refuse(exchange, 403, "forbidden", cors_refusal, bytes_of(NULL, 0));
    return;
  }
  if (may_be_forged(exchange, request)) {
    exchange_refuse(exchange, 403, "forbidden", csrf_refusal, bytes_of(NULL, 0));
    return;
  }
  struct http_source source;
  char remote[REMOTE_MAX];
  connect_source(exchange, remote, &source);
  struct http_copy *copy = http_copy_new(request->head, buffer_bytes(&request->path), request->body, &source);
  enum job_type type = request->route->type == ROUTE_STREAM ? JOB_STREAM : JOB_HTTP;
  struct script_job *job = copy ? job_new(type, request->config, NULL, copy, NULL, 0) : NULL;
  if (!job) {
    memory_free(copy);
    put_off_route(exchange, "out of memory");
    return;
  }
  job->route = config_route_number(request->config, request->route);
  if (exchange_ask(exchange, job)) {
    exchange_shed(exchange);
  } else {
    put_off_route(exchange, "too many requests wait");
  }
}

/* HEAD: the app has begun a stream, which ends with its head. */
static void answer_route_head(struct exchange *exchange, const struct http_fields *fields) {
  struct script_job *job = exchange_job(exchange);
  exchange_set_job(exchange, NULL);
  exchange_answer_stream_head(exchange, job->status, fields);
  exchange_app(exchange)->script->end_stream(exchange_app(exchange), job);
}

static void begin_route_stream(struct exchange *exchange, struct script_job *job) {
  struct blob *kept = job->fields; /* the job lasts longer */
  job->fields = NULL;
  struct http_fields fields = {{0}};
  if (kept) fields = http_fields_kept(kept);
  if (exchange_request(exchange)->is_head) {
    answer_route_head(exchange, kept ? &fields : NULL);
  } else {
    const struct dialect *dialect = exchange_http(exchange)->transport->dialects->follow;
    exchange_set_dialect(exchange, dialect, dialect->form);
    exchange_stream_as(exchange, job->status, kept ? &fields : NULL, BYTES(":\n"));
    if (app_stopping(exchange_app(exchange))) exchange_close(exchange, CLOSE_STOPPING, "");
  }
  blob_unref(kept);
}

static void routes_on_answer(struct exchange *exchange, struct script_job *job) {
  if (job->streams) {
    begin_route_stream(exchange, job);
  } else if (job->fields) {
    struct http_fields fields = http_fields_kept(job->fields);
    struct answer answer = {.status = job->status, .fields = &fields, .body = blob_bytes(job->body)};
    exchange_answer(exchange, &answer);
  } else if (is_reconnecting(exchange) && exchange_is_temporary(job->status)) {
    sse_retry_later(exchange);
  } else {
    exchange_refuse(exchange, job->status, job->code, job->reason, bytes_of(NULL, 0));
  }
}

static void routes_on_late(struct exchange *exchange) {
  bool stopping = app_stopping(exchange_app(exchange));
  if (!stopping) {
    const struct request *request = exchange_request(exchange);
    log_limited(MW_LOG_WARNING, "the handler of %s did not answer within limits.answer_seconds (answer_ms in C)",
                request->route->pattern.text);
  }
  put_off_route(exchange, stopping ? "the server is stopping" : "the app did not answer in time");
}

static void routes_on_silent(struct exchange *exchange) { subscriber_push_text(&exchange->subscriber, BYTES(":\n")); }

/* Data of a raw stream, or its end. */
static void routes_on_mail(struct exchange *exchange, struct mail *mail) {
  const struct raw_data *data = container_of(mail, struct raw_data, mail);
  if (exchange->state != EXCHANGE_STREAMING || !data->job || exchange_job(exchange) != data->job) return;
  if (data->blob) {
    exchange_push(exchange, data->blob, form_slice(data->blob, exchange->subscriber.sink->framing));
  } else {
    exchange_end_stream(exchange);
  }
}

const struct role routes_role = {.start = routes_start,
                                 .on_answer = routes_on_answer,
                                 .on_late = routes_on_late,
                                 .finishes = role_always_finishes,
                                 .on_silent = routes_on_silent,
                                 .on_mail = routes_on_mail,
                                 .on_flushed = role_nothing,
                                 .on_finish = follow_finish,
                                 .close = exchange_close_stream,
                                 .on_end = follow_close,
                                 .silence_ms = role_heartbeat_ms,
                                 .outbox_limit = role_outbox_limit,
                                 ROLE_WRITES_AT_ONCE,
                                 ROLE_NEVER_WAITS,
                                 ROLE_READS_NOTHING};
