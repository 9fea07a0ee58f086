/* A connection: its stream and its deadline. All else is its protocol's, which was chosen when
 * it began, and of whose struct for a connection it is the last member: one allocation. */
#ifndef MOONWIRE_HTTP_CONN_H
#define MOONWIRE_HTTP_CONN_H

#include "http/http.h"
#include "net/listener.h"
#include "net/timers.h"

VISIBILITY_PUSH

struct conn {
  struct list link;     /* in http->conns */
  struct timer timer;   /* its deadline; the note is the protocol's */
  struct stream stream; /* last: its size depends on its kind */
};

/* Part of what a protocol has of a connection that several exchanges share. Out of the list when
 * the connection is closed. */
struct conn_flush {
  struct list link; /* in http->unflushed; else alone */
  struct conn *conn;
};

static inline struct conn_class *conn_class_of(const struct conn *conn) {
  return container_of(conn->stream.owner, struct conn_class, streams);
}
static inline struct http *conn_http(const struct conn *conn) { return conn_class_of(conn)->http; }

/* A connection whose stream is initialized and not connected. NULL if out of memory. */
struct conn *conn_new(struct conn_class *class, enum stream_kind kind);
/* Accepts what is waiting at a listener, or drops it over limits.connections. */
void conn_accept(struct conn_class *class, struct listener *listener);
/* The same for a peer within the process, whose stream_peer is not joined yet. MW_ENOMEM. */
int conn_accept_memory(struct conn_class *class, struct stream_peer *peer);
/* Events of the stream, and of the timer. */
bool conn_may_read(struct stream *stream);
void conn_on_read(struct stream *stream, struct bytes bytes);
void conn_on_end(struct stream *stream, int status);
void conn_on_written(struct stream *stream, int status);
void conn_on_closed(struct stream *stream);
void conn_on_due(struct timers *timers, struct timer *timer);

/* Finishes its exchanges and closes the stream; its memory goes when that is done. With a reset
 * if the peer is to lose what is under way. */
void conn_close(struct conn *conn);
void conn_abort(struct conn *conn);
/* The server stops: a request that has begun is finished, streams end, and everything else is
 * closed. is_due: limits.drain_ms is over, and a request that is not answered yet is refused. */
void conn_stop(struct conn *conn, bool is_due);

/* Has protocol->flush called when all subscribers of the turn are flushed, so that what
 * exchanges share leaves in one write. */
void conn_flush_later(struct conn_flush *flush);

VISIBILITY_POP

#endif
