#include "transport/connect.h"

#include "base/memory.h"
#include "http/request.h"
#include "server/server.h"

struct http_copy *connect_copy_http(struct exchange *exchange, struct request *request) {
  char remote[REMOTE_MAX];
  exchange_remote(exchange, remote, sizeof remote);
  return http_copy_new(request->head, buffer_bytes(&request->path), request->body, remote);
}

struct errand *connect_errand(struct exchange *exchange, struct request *request, struct bytes transport,
                              const struct errand_channel *channels, size_t channel_count) {
  struct mw_config *config = exchange_worker(exchange)->server->config;
  bool authenticates = config->options.authenticate;
  char remote[REMOTE_MAX];
  exchange_remote(exchange, remote, sizeof remote);
  struct mw_client *client = client_new(transport, remote);
  struct http_copy *copy = client && authenticates ? connect_copy_http(exchange, request) : NULL;
  struct errand *errand = NULL;
  if (client && (copy || !authenticates)) errand = errand_new(ERRAND_JOIN, config, client, copy, channels, channel_count);
  if (errand) {
    errand->connects = true;
  } else {
    memory_free(copy);
  }
  mw_client_unref(client);
  return errand;
}

struct errand *connect_permit_errand(struct exchange *exchange, struct request *request, struct bytes transport,
                                     const struct errand_channel *channels, size_t channel_count) {
  struct errand *errand = connect_errand(exchange, request, transport, channels, channel_count);
  if (!errand) return NULL;
  /* As the sender of one message is authorized, who is a client for just that; but there is no message. */
  atomic_store(&errand->client->gone, true);
  errand->type = ERRAND_MESSAGE;
  errand->connects = false;
  errand->transient = true;
  errand->relayed = true;
  return errand;
}
