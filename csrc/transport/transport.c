#include "transport/transport.h"

#include "base/blob.h"

void transport_init(struct transport *transport, const struct mw_config *config) {
  size_t size = config->options.limits.ws_message_size;
  *transport = (struct transport){.ws_limits = {.frame = size, .message = size}};
}

void transport_deinit(struct transport *transport) {
  ws_reader_free(transport->spare);
  for (size_t i = 0; i < 2; i++) blob_unref(transport->pings[i]);
}
