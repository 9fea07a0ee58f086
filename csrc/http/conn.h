/* A connection: its stream and its deadline. Everything else belongs to its protocol, which was
 * chosen when the connection began. The conn is the last member of the protocol's struct for a
 * connection: one allocation. Only the worker's thread uses it. */
#ifndef MOONWIRE_HTTP_CONN_H
#define MOONWIRE_HTTP_CONN_H

#include "http/http.h"
#include "net/listener.h"
#include "net/timers.h"

VISIBILITY_PUSH

struct conn {
  struct list link;     /* in http->conns */
  struct timer timer;   /* its deadline; the note belongs to the protocol */
  struct stream stream; /* last: its size depends on its kind */
};

/* Part of a protocol's struct for a connection that several exchanges share. Unlinked when the
 * connection is closed. */
struct conn_flush {
  struct list link; /* in http->unflushed; else alone */
  struct conn *conn;
};

static inline struct conn_class *conn_class_of(const struct conn *conn) {
  return container_of(conn->stream.owner, struct conn_class, streams);
}
static inline struct http *conn_http(const struct conn *conn) { return conn_class_of(conn)->http; }

/* Returns a connection whose stream is initialized and not connected, or NULL if out of memory. */
struct conn *conn_new(struct conn_class *class, enum stream_kind kind);
/* Accepts a connection that is queued at a listener, or drops it over limits.connections. */
void conn_accept(struct conn_class *class, struct listener *listener);
/* The same for the descriptor of a peer, which it takes. */
void conn_accept_descriptor(struct conn_class *class, enum stream_kind kind, int fd, const char *address, bool is_private,
                            bool has_header);
/* Accepts a peer within the process, whose stream_peer is not joined yet. Returns 0 or
 * MW_ENOMEM. */
int conn_accept_memory(struct conn_class *class, struct stream_peer *peer);
/* Handle events of the stream and of the timer. */
bool conn_may_read(struct stream *stream);
void conn_on_read(struct stream *stream, struct bytes bytes);
void conn_on_end(struct stream *stream, int status);
void conn_on_written(struct stream *stream, int status);
void conn_on_closed(struct stream *stream);
void conn_on_due(struct timers *timers, struct timer *timer);

/* Finishes the connection's exchanges and closes its stream. Its memory is freed when that is done.
 * conn_abort sends a reset, and discards data that is not sent yet. */
void conn_close(struct conn *conn);
void conn_abort(struct conn *conn);
/* Called when the server stops. A request that has begun is finished, streams end, and everything
 * else is closed. is_due: limits.drain_ms has passed, and a request without an answer is
 * refused. */
void conn_stop(struct conn *conn, bool is_due);

/* Requests one call of protocol->flush after all subscribers of the turn are flushed, so that what
 * exchanges share leaves in one write. */
void conn_flush_later(struct conn_flush *flush);

VISIBILITY_POP

#endif
