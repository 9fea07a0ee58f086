/* Routes of the app: the script answers, or begins a raw stream. */
#include "base/memory.h"
#include "server/http1.h"
#include "server/roles.h"
#include "server/server.h"
#include "server/stream_handle.h"

static void refuse_for_now(struct exchange *exchange) {
  exchange_refuse(exchange, 503, "unavailable", "the app did not answer in time", bytes_of(NULL, 0));
}

static void start(struct exchange *exchange) {
  struct mw_server *server = exchange_worker(exchange)->server;
  struct http1 *http = conn_of(exchange)->http;
  char remote[REMOTE_MAX];
  stream_remote(&conn_of(exchange)->stream, remote, sizeof remote);
  struct http_copy *copy =
      http_copy_new(http_reader_head(http->reader), buffer_bytes(&http->path), http_reader_body(http->reader), remote);
  enum errand_type type = http->route->type == ROUTE_STREAM ? ERRAND_STREAM : ERRAND_HTTP;
  struct errand *errand = copy ? errand_new(type, server->config, NULL, copy, NULL, 0) : NULL;
  if (!errand) {
    memory_free(copy);
    refuse_for_now(exchange);
    return;
  }
  errand->route = config_route_number(server->config, http->route);
  if (!exchange_ask(exchange, errand)) exchange_refuse(exchange, 503, "unavailable", "too many requests wait", bytes_of(NULL, 0));
}

static void on_answer(struct exchange *exchange, struct errand *errand) {
  if (errand->type == ERRAND_STREAM && errand->status == 200 && !errand->fields) {
    struct buffer fields;
    buffer_init(&fields);
    exchange_stream(exchange, buffer_bytes(&fields), BYTES(":\n\n"));
    buffer_deinit(&fields);
  } else if (errand->fields) {
    struct answer answer = {.status = errand->status, .fields = blob_bytes(errand->fields), .body = blob_bytes(errand->body)};
    exchange_answer(exchange, &answer);
  } else {
    exchange_refuse(exchange, errand->status ? errand->status : 503, errand->status ? errand->code : "unavailable",
                    errand->reason, bytes_of(NULL, 0));
  }
}

static void on_silent(struct exchange *exchange) { exchange_push_text(exchange, BYTES(":\n\n")); }

const struct role role_app = {.start = start, .on_answer = on_answer, .on_late = refuse_for_now, .on_silent = on_silent};
