#include "transport/transport.h"

#include <assert.h>

#include "base/blob.h"

void transport_init(struct transport *transport, struct http *http, const struct dialect_table *dialects) {
  size_t size = http->app->config->options.limits.ws_message_size;
  *transport = (struct transport){.dialects = dialects, .ws_limits = {.frame = size, .message = size}};
  poll_clients_init(&transport->polls, http, dialects->poll);
}

void transport_stop(struct transport *transport, bool is_due) { poll_clients_stop(&transport->polls, is_due); }

void transport_second(struct transport *transport) { poll_clients_expire(&transport->polls); }

void transport_deinit(struct transport *transport) {
  assert(transport->polls.count == 0 && "clients that poll were miscounted");
  ws_reader_free(transport->spare);
  blob_unref(transport->ping);
  blob_unref(transport->asking);
}
