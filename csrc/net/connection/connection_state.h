/* What the files of a connection share. */
#ifndef MOONWIRE_NET_CONNECTION_STATE_H
#define MOONWIRE_NET_CONNECTION_STATE_H

#include "base/list.h"
#include "base/status.h"
#include "net/connection/connection.h"

VISIBILITY_PUSH

struct connection {
  struct connections *all;
  struct list link;
  struct lookup lookup;
  uv_connect_t connect;
  void (*on_change)(void *context);
  void *context;
  int status;       /* MW_PENDING, 0, or why it failed */
  int ended;        /* why nothing more is received; 0: more may be */
  int write_status; /* why nothing more can be sent */
  bool has_stream, is_closed, is_reading, is_writing;
  uint16_t port;
  struct host_addresses addresses;
  size_t next_address;
  struct tls *tls;
  bool is_handshaking;
  bool has_more; /* TLS has more for which there was no room */
  struct buffer received;
  size_t received_at;   /* what is before it was taken */
  struct buffer unsent; /* plain */
  struct buffer flight; /* as it is written */
  size_t flight_at;     /* what is before it was written */
  char problem[TLS_PROBLEM_SIZE];
  struct stream stream; /* the last */
};

static inline struct connection *connection_of(struct stream *stream) { return container_of(stream, struct connection, stream); }
static inline size_t connection_kept(const struct connection *connection) {
  return connection->received.len - connection->received_at;
}

/* May free the connection: the last that a callback does. */
static inline void connection_changed(struct connection *connection) {
  if (!connection->is_closed && connection->on_change) connection->on_change(connection->context);
}

/* Nothing more is sent or received. Closes the stream. */
void connection_fail(struct connection *connection, int status);
/* Continues to write. */
void connection_pump(struct connection *connection);
/* Continues the handshake, and decrypts as much as may be kept. */
void connection_decrypt(struct connection *connection);
/* Reads while there is room. */
void connection_set_reading(struct connection *connection);
/* The callbacks of the stream. */
void connection_on_read(struct stream *stream, struct bytes bytes);
void connection_on_end(struct stream *stream, int status);
void connection_on_written(struct stream *stream, int status);

VISIBILITY_POP

#endif
