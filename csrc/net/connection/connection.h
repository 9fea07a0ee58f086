/* Connections that we open: TCP or a unix socket, which TLS may encrypt later. Bytes are kept here
 * until the caller takes them. */
#ifndef MOONWIRE_NET_CONNECTION_H
#define MOONWIRE_NET_CONNECTION_H

#include "base/buffer.h"
#include "net/connection/lookup.h"
#include "net/connection/tls.h"
#include "net/stream.h"

VISIBILITY_PUSH

/* While so much is kept, nothing is read. */
enum { CONNECTION_KEPT_MAX = 65536, CONNECTION_READ_SIZE = 65536 };

/* All of one loop. */
struct connections {
  struct stream_owner owner;
  struct lookups lookups;
  struct tls_contexts tls;
  struct list open;
  size_t count; /* of those that are not freed yet */
  bool closed;
  char read_buffer[CONNECTION_READ_SIZE];
};

struct connection;

struct connection_target {
  struct bytes host; /* a name or an address; or the path of a unix socket */
  uint16_t port;     /* 0: `host` is a path */
};

void connections_init(struct connections *connections, struct loop *loop);
/* Closes all of them; they must not be used any more. Their memory is freed in close callbacks. */
void connections_close(struct connections *connections);
/* After the loop has closed everything. */
void connections_deinit(struct connections *connections);

/* The functions of moonwire.h have the same names and the same contracts (mw_connect and
 * mw_connection_...). */
int connection_open(struct connection **connection, struct connections *connections, const struct connection_target *target,
                    void (*on_change)(void *context), void *context);
int connection_status(const struct connection *connection);
const char *connection_problem(const struct connection *connection);
int connection_encrypt(struct connection *connection, const struct tls_options *options);
int connection_tls_binding(const struct connection *connection, unsigned char out[TLS_BINDING_MAX]);
int connection_tls_certificate(const struct connection *connection, unsigned char *out, size_t size);
struct bytes connection_received(const struct connection *connection);
void connection_consume(struct connection *connection, size_t len);
int connection_ended(const struct connection *connection);
int connection_send(struct connection *connection, struct bytes bytes);
size_t connection_unsent(const struct connection *connection);
void connection_watch(struct connection *connection, void (*on_change)(void *context), void *context);
void connection_close(struct connection *connection);

VISIBILITY_POP

#endif
