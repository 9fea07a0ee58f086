#include "transport/transport.h"

#include <assert.h>

#include "base/blob.h"

void transport_init(struct transport *transport, struct http *http, const struct dialect_table *dialects) {
  *transport = (struct transport){.dialects = dialects};
  transport_set_limits(transport, &http->app->config->options.limits);
  poll_clients_init(&transport->polls, http, dialects->poll);
}

void transport_set_limits(struct transport *transport, const struct mw_limits *limits) {
  transport->ws_limits = (struct ws_limits){.frame = limits->ws_message_size, .message = limits->ws_message_size};
}

void transport_stop(struct transport *transport, bool is_due) { poll_clients_stop(&transport->polls, is_due); }

void transport_second(struct transport *transport) { poll_clients_expire(&transport->polls); }

void transport_deinit(struct transport *transport) {
  assert(transport->polls.count == 0 && "clients that poll were miscounted");
  ws_reader_free(transport->spare);
  blob_unref(transport->ping);
  blob_unref(transport->asking);
}
