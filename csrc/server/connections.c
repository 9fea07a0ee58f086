/* Connections to other servers, of the public interface. */
#include "server/server.h"

static struct connection *connection_of(struct mw_connection *connection) { return (struct connection *)(void *)connection; }
static const struct connection *connection_of_const(const struct mw_connection *connection) {
  return (const struct connection *)(const void *)connection;
}

int mw_connect(struct mw_connection **out, struct mw_server *server, const struct mw_connect_options *options) {
  if (server->app.state >= APP_STOPPED) return MW_ECLOSED;
  struct connection_target target = {.host = bytes_of(options->host.ptr, options->host.len), .port = options->port};
  struct connection *connection;
  int status = connection_open(&connection, &server->connections, &target, options->on_change, options->context);
  if (status == 0) *out = (struct mw_connection *)(void *)connection;
  return status;
}

int mw_connection_status(const struct mw_connection *connection) { return connection_status(connection_of_const(connection)); }

const char *mw_connection_problem(const struct mw_connection *connection) {
  return connection_problem(connection_of_const(connection));
}

int mw_connection_encrypt(struct mw_connection *connection, const struct mw_tls_options *options) {
  struct tls_options given = {.name = bytes_of(options->name.ptr, options->name.len),
                              .ca_file = options->ca_file,
                              .is_unverified = options->is_unverified};
  return connection_encrypt(connection_of(connection), &given);
}

int mw_connection_tls_binding(const struct mw_connection *connection, unsigned char out[MW_TLS_BINDING_MAX]) {
  return connection_tls_binding(connection_of_const(connection), out);
}

int mw_connection_tls_certificate(const struct mw_connection *connection, unsigned char *out, size_t size) {
  return connection_tls_certificate(connection_of_const(connection), out, size);
}

struct mw_bytes mw_connection_received(const struct mw_connection *connection) {
  struct bytes received = connection_received(connection_of_const(connection));
  return (struct mw_bytes){received.ptr, received.len};
}

void mw_connection_consume(struct mw_connection *connection, size_t len) { connection_consume(connection_of(connection), len); }
int mw_connection_ended(const struct mw_connection *connection) { return connection_ended(connection_of_const(connection)); }

int mw_connection_send(struct mw_connection *connection, const char *bytes, size_t len) {
  return connection_send(connection_of(connection), bytes_of(bytes, len));
}

size_t mw_connection_unsent(const struct mw_connection *connection) { return connection_unsent(connection_of_const(connection)); }

void mw_connection_watch(struct mw_connection *connection, void (*on_change)(void *context), void *context) {
  connection_watch(connection_of(connection), on_change, context);
}

void mw_connection_close(struct mw_connection *connection) { connection_close(connection_of(connection)); }
