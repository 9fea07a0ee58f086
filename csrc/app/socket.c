#include "app/socket.h"

#include "base/memory.h"
#include "moonwire.h"

struct mw_socket *socket_ref(struct mw_socket *socket) {
  atomic_fetch_add_explicit(&socket->refs, 1, memory_order_relaxed);
  return socket;
}

void mw_socket_unref(struct mw_socket *socket) {
  if (!socket || atomic_fetch_sub_explicit(&socket->refs, 1, memory_order_acq_rel) != 1) return;
  mw_client_unref(socket->client);
  mw_config_unref(socket->config);
  memory_free(socket);
}
