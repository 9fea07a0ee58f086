#include "net/connection/connection.h"

#include <stdio.h>
#include <sys/un.h>

#include "base/memory.h"
#include "net/connection/connection_state.h"

enum { USER_TIMEOUT_MS = 120000 };

void connection_fail(struct connection *connection, int status) {
  connection->status = status;
  if (connection->ended == 0) connection->ended = status;
  connection->write_status = status;
  connection->is_reading = false;
  if (connection->has_stream && !stream_is_closing(&connection->stream)) stream_close(&connection->stream);
}

/* ---- Connecting ------------------------------------------------------------------------------ */

static int try_next_address(struct connection *connection);

static void connection_on_connected(uv_connect_t *connect, int status) {
  struct connection *connection = container_of(connect, struct connection, connect);
  struct loop *loop = connection->all->owner.loop;
  if (connection->is_closed || stream_is_closing(&connection->stream)) return;
  clock_update(&loop->clock);
  const struct loop *before = loop_enter(loop);
  if (status < 0 && connection->next_address < connection->addresses.count) {
    connection->problem[0] = '\0';
    stream_close(&connection->stream); /* the next one follows when it is closed */
  } else if (status < 0) {
    connection_fail(connection, status);
    connection_changed(connection);
  } else {
    connection->status = 0;
    stream_set_options(&connection->stream, USER_TIMEOUT_MS);
    connection_set_reading(connection);
    connection_changed(connection);
  }
  loop_leave(before);
}

static void connection_free(struct connection *connection) {
  connection->all->count--;
  tls_free(connection->tls);
  buffer_deinit(&connection->received);
  buffer_deinit(&connection->unsent);
  buffer_deinit(&connection->flight);
  memory_free(connection);
}

static void connection_on_closed(struct stream *stream) {
  struct connection *connection = connection_of(stream);
  connection->has_stream = false;
  if (connection->is_closed) {
    connection_free(connection);
  } else if (connection->status == MW_PENDING && !connection->is_handshaking) {
    int status = try_next_address(connection);
    if (status == 0) return;
    connection_fail(connection, status);
    connection_changed(connection);
  }
}

static int begin_stream(struct connection *connection, enum stream_kind kind) {
  int status = stream_init(&connection->stream, &connection->all->owner, kind);
  connection->has_stream = status == 0;
  return status;
}

static int try_next_address(struct connection *connection) {
  struct sockaddr_storage *address = &connection->addresses.items[connection->next_address++];
  in_port_t port = htons(connection->port);
  if (address->ss_family == AF_INET) ((struct sockaddr_in *)address)->sin_port = port;
  if (address->ss_family == AF_INET6) ((struct sockaddr_in6 *)address)->sin6_port = port;
  int status = begin_stream(connection, STREAM_TCP);
  if (status < 0) return status;
  /* An error here, such as that of a network without a route, is reported as one that comes later. */
  status = uv_tcp_connect(&connection->connect, &connection->stream.uv.tcp, (struct sockaddr *)address, connection_on_connected);
  if (status < 0 && connection->next_address < connection->addresses.count) {
    stream_close(&connection->stream);
    status = 0;
  }
  return status;
}

static void connection_on_found(struct lookup *lookup, int status, const struct host_addresses *addresses) {
  struct connection *connection = container_of(lookup, struct connection, lookup);
  if (addresses) {
    connection->addresses = *addresses;
    status = try_next_address(connection);
  }
  if (status == 0) return;
  if (!addresses)
    snprintf(connection->problem, sizeof connection->problem, "cannot find the host: %s",
             status == MW_ECLOSED ? "closed" : uv_strerror(status));
  connection_fail(connection, status);
  connection_changed(connection);
}

static int connect_to_path(struct connection *connection, struct bytes path) {
  char terminated[sizeof((struct sockaddr_un *)0)->sun_path];
  if (path.len == 0 || memchr(path.ptr, '\0', path.len)) return MW_EINVAL;
  if (path.len >= sizeof terminated) return UV_ENAMETOOLONG;
  memcpy(terminated, path.ptr, path.len);
  terminated[path.len] = '\0';
  int status = begin_stream(connection, STREAM_UNIX);
  if (status == 0)
    uv_pipe_connect(&connection->connect, (uv_pipe_t *)&connection->stream.uv.stream, terminated, connection_on_connected);
  return status;
}

static int connect_to_host(struct connection *connection, struct bytes host) {
  connection->lookup.on_found = connection_on_found;
  int status = lookup_start(&connection->lookup, &connection->all->lookups, host, &connection->addresses);
  if (status == MW_PENDING) return 0;
  return status == 0 ? try_next_address(connection) : status;
}

int connection_open(struct connection **out, struct connections *all, const struct connection_target *target,
                    void (*on_change)(void *context), void *context) {
  if (all->closed) return MW_ECLOSED;
  if (all->count >= MW_CONNECTIONS_MAX) return MW_ELIMIT;
  size_t stream = stream_size(target->port == 0 ? STREAM_UNIX : STREAM_TCP);
  struct connection *connection = memory_calloc(1, offsetof(struct connection, stream) + stream);
  if (!connection) return MW_ENOMEM;
  connection->all = all;
  connection->on_change = on_change;
  connection->context = context;
  connection->status = MW_PENDING;
  connection->port = target->port;
  list_append(&all->open, &connection->link);
  all->count++;
  int status = target->port == 0 ? connect_to_path(connection, target->host) : connect_to_host(connection, target->host);
  if (status < 0) {
    connection_close(connection);
    return status;
  }
  *out = connection;
  return 0;
}

int connection_status(const struct connection *connection) { return connection->status; }

const char *connection_problem(const struct connection *connection) {
  if (connection->problem[0]) return connection->problem;
  int status = connection->status < 0         ? connection->status
               : connection->write_status < 0 ? connection->write_status
                                              : connection->ended;
  return mw_status_text(status);
}

int connection_encrypt(struct connection *connection, const struct tls_options *options) {
  if (connection->status != 0) return connection->status < 0 ? connection->status : MW_EINVAL;
  if (connection->tls || connection_kept(connection) > 0 || connection_unsent(connection) > 0) {
    snprintf(connection->problem, sizeof connection->problem, "%s",
             connection->tls ? "is encrypted already" : "data is left from before TLS");
    return MW_EINVAL;
  }
  if (connection->ended != 0) return connection->ended;
  connection->problem[0] = '\0';
  int status = tls_new(&connection->tls, &connection->all->tls, options, connection->problem);
  if (status < 0) return status;
  connection->is_handshaking = true;
  connection->status = MW_PENDING;
  connection_decrypt(connection);
  return connection->status < 0 ? connection->status : 0;
}

int connection_tls_binding(const struct connection *connection, unsigned char out[TLS_BINDING_MAX]) {
  return connection->tls && connection->status == 0 ? tls_binding(connection->tls, out) : MW_EINVAL;
}

int connection_tls_certificate(const struct connection *connection, unsigned char *out, size_t size) {
  return connection->tls && connection->status == 0 ? tls_certificate(connection->tls, out, size) : MW_EINVAL;
}

void connection_watch(struct connection *connection, void (*on_change)(void *context), void *context) {
  connection->on_change = on_change;
  connection->context = context;
}

void connection_close(struct connection *connection) {
  if (!connection || connection->is_closed) return;
  connection->is_closed = true;
  list_remove(&connection->link);
  lookup_cancel(&connection->lookup);
  if (!connection->has_stream) {
    connection_free(connection);
    return;
  }
  if (stream_is_closing(&connection->stream)) return;
  if (connection->tls && connection->status == 0) {
    tls_end(connection->tls);
    connection_pump(connection);
  }
  stream_close(&connection->stream);
}

/* ---- All of them ----------------------------------------------------------------------------- */

void connections_init(struct connections *all, struct loop *loop) {
  all->owner = (struct stream_owner){.loop = loop,
                                     .read_buffer = all->read_buffer,
                                     .read_buffer_size = sizeof all->read_buffer,
                                     .on_read = connection_on_read,
                                     .on_end = connection_on_end,
                                     .on_written = connection_on_written,
                                     .on_closed = connection_on_closed};
  lookups_init(&all->lookups, loop);
  all->tls.count = 0;
  list_init(&all->open);
  all->count = 0;
  all->closed = false;
}

void connections_close(struct connections *all) {
  all->closed = true;
  while (!list_empty(&all->open)) connection_close(container_of(all->open.next, struct connection, link));
  lookups_close(&all->lookups);
}

void connections_deinit(struct connections *all) { tls_contexts_deinit(&all->tls); }
