#include "app/socket.h"

#include "base/memory.h"
#include "base/refs.h"
#include "moonwire.h"

struct mw_socket *socket_ref(struct mw_socket *socket) {
  refs_add(&socket->refs);
  return socket;
}

void mw_socket_unref(struct mw_socket *socket) {
  if (!socket || !refs_remove(&socket->refs)) return;
  mw_client_unref(socket->client);
  mw_config_unref(socket->config);
  memory_free(socket);
}
