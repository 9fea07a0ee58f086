#include <stdio.h>

#include "net/connection/connection_state.h"

enum { ENCRYPT_STEP = 65536, RESERVE_KEPT = 16384 };

/* ---- Writing --------------------------------------------------------------------------------- */

/* Fills `flight`, which is empty, with what is to be written next. */
static int fill_flight(struct connection *connection) {
  struct buffer *unsent = &connection->unsent;
  connection->flight_at = 0;
  buffer_clear(&connection->flight);
  if (!connection->tls) {
    struct buffer empty = connection->flight;
    connection->flight = *unsent;
    *unsent = empty;
    return 0;
  }
  if (unsent->len > 0 && !connection->is_handshaking) {
    size_t len = unsent->len < ENCRYPT_STEP ? unsent->len : ENCRYPT_STEP;
    int status = tls_write(connection->tls, bytes_of(unsent->data, len));
    if (status < 0) return status;
    buffer_consume(unsent, len);
  }
  return tls_take_output(connection->tls, &connection->flight);
}

static void shrink(struct buffer *buffer) {
  if (buffer->len == 0 && buffer->capacity > RESERVE_KEPT) buffer_deinit(buffer);
}

void connection_pump(struct connection *connection) {
  while (connection->write_status == 0 && !connection->is_writing) {
    struct buffer *flight = &connection->flight;
    if (connection->flight_at == flight->len) {
      int status = fill_flight(connection);
      if (status < 0) connection->write_status = status;
      if (status < 0 || flight->len == 0) break;
    }
    struct bytes rest = bytes_of(flight->data + connection->flight_at, flight->len - connection->flight_at);
    ptrdiff_t written = stream_try_write(&connection->stream, &rest, 1);
    if (written < 0) {
      connection->write_status = (int)written;
      break;
    }
    connection->flight_at += (size_t)written;
    if ((size_t)written == rest.len) continue;
    rest = bytes_of(rest.ptr + written, rest.len - (size_t)written);
    int status = stream_write(&connection->stream, &rest, 1);
    if (status < 0) connection->write_status = status;
    connection->is_writing = status == 0;
  }
  if (connection->is_writing) return;
  if (connection->write_status < 0) {
    buffer_deinit(&connection->unsent);
    buffer_clear(&connection->flight);
    connection->flight_at = 0;
  }
  shrink(&connection->unsent);
  if (connection->flight_at == connection->flight.len) {
    buffer_clear(&connection->flight);
    connection->flight_at = 0;
    shrink(&connection->flight);
  }
}

void connection_on_written(struct stream *stream, int status) {
  struct connection *connection = connection_of(stream);
  connection->is_writing = false;
  connection->flight_at = connection->flight.len;
  if (status < 0 && connection->write_status == 0) connection->write_status = status;
  if (connection->is_closed || connection->status < 0) return;
  connection_pump(connection);
  if (connection_unsent(connection) == 0) connection_changed(connection);
}

int connection_send(struct connection *connection, struct bytes bytes) {
  if (connection->status != 0) return connection->status < 0 ? connection->status : MW_EINVAL;
  if (connection->write_status < 0) return connection->write_status;
  if (bytes.len > MW_CONNECTION_UNSENT_MAX - connection_unsent(connection)) return MW_ETOOLARGE;
  if (!connection->tls && connection_unsent(connection) == 0) {
    ptrdiff_t written = stream_try_write(&connection->stream, &bytes, 1);
    if (written < 0) return connection->write_status = (int)written;
    bytes = bytes_of(bytes.ptr + written, bytes.len - (size_t)written);
    if (bytes.len == 0) return 0;
  }
  buffer_append(&connection->unsent, bytes);
  if (connection->unsent.failed) return connection->write_status = MW_ENOMEM; /* a part may have been written */
  connection_pump(connection);
  return connection->write_status;
}

size_t connection_unsent(const struct connection *connection) {
  return connection->unsent.len + connection->flight.len - connection->flight_at;
}

/* ---- Reading --------------------------------------------------------------------------------- */

void connection_set_reading(struct connection *connection) {
  bool may_read = connection->ended == 0 && !connection->has_more && connection_kept(connection) < CONNECTION_KEPT_MAX;
  if (may_read == connection->is_reading) return;
  connection->is_reading = may_read;
  if (may_read) {
    int status = stream_read_start(&connection->stream);
    if (status < 0) connection_fail(connection, status);
  } else {
    stream_read_stop(&connection->stream);
  }
}

static void connection_end(struct connection *connection, int status) {
  if (connection->ended == 0) connection->ended = status;
  connection_set_reading(connection);
}

void connection_decrypt(struct connection *connection) {
  if (connection->is_handshaking) {
    int status = tls_handshake(connection->tls, connection->problem);
    connection->is_handshaking = status == MW_PENDING;
    connection_pump(connection); /* an alert, too */
    if (status < 0) connection_fail(connection, status);
    if (status != 0) return;
    connection->status = 0;
  }
  size_t kept = connection_kept(connection);
  int status =
      kept < CONNECTION_KEPT_MAX ? tls_read(connection->tls, &connection->received, CONNECTION_KEPT_MAX - kept) : MW_PENDING;
  connection->has_more = status == MW_PENDING;
  connection_pump(connection);
  if (status == MW_ECLOSED) connection_end(connection, UV_EOF);
  if (status == MW_EFORGED) snprintf(connection->problem, sizeof connection->problem, "invalid data in TLS");
  if (status < 0 && status != MW_ECLOSED) connection_end(connection, status);
}

void connection_on_read(struct stream *stream, struct bytes bytes) {
  struct connection *connection = connection_of(stream);
  if (connection->tls) {
    int status = tls_feed(connection->tls, bytes);
    if (status < 0) connection_end(connection, status);
    if (status == 0) connection_decrypt(connection);
  } else {
    buffer_append(&connection->received, bytes);
    if (connection->received.failed) connection_end(connection, MW_ENOMEM);
  }
  if (connection->status >= 0) connection_set_reading(connection);
  connection_changed(connection);
}

void connection_on_end(struct stream *stream, int status) {
  struct connection *connection = connection_of(stream);
  connection->is_reading = false;
  if (connection->tls && status == UV_EOF && connection->ended == 0) {
    /* TLS has an end of its own, without which anybody between us and the peer may have ended the
     * stream. */
    status = MW_EFORGED;
    snprintf(connection->problem, sizeof connection->problem, "the peer closed the connection without ending TLS");
  }
  if (connection->is_handshaking) {
    connection->is_handshaking = false;
    connection_fail(connection, status);
  } else {
    connection_end(connection, status);
  }
  connection_changed(connection);
}

struct bytes connection_received(const struct connection *connection) {
  return bytes_of(connection->received.data ? connection->received.data + connection->received_at : NULL,
                  connection_kept(connection));
}

void connection_consume(struct connection *connection, size_t len) {
  struct buffer *received = &connection->received;
  connection->received_at += len;
  if (connection->received_at * 2 >= received->len) {
    buffer_consume(received, connection->received_at);
    connection->received_at = 0;
    shrink(received);
  }
  if (connection->status != 0 || connection->ended != 0) return;
  if (connection->has_more && connection_kept(connection) <= CONNECTION_KEPT_MAX / 2) connection_decrypt(connection);
  connection_set_reading(connection);
}

int connection_ended(const struct connection *connection) { return connection->ended; }
