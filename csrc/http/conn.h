/* A connection: one allocation with its stream, its exchange and the subscriber's first subscription. */
#ifndef MOONWIRE_HTTP_CONN_H
#define MOONWIRE_HTTP_CONN_H

#include <assert.h>

#include "http/exchange.h"
#include "http/http.h"
#include "net/listener.h"

VISIBILITY_PUSH

struct http1;

struct conn {
  struct list link;   /* in http->conns */
  struct timer timer; /* the one deadline of its state; note: the tick at which a stream last wrote */
  struct http1 *http; /* reading requests; NULL once it streams */
  struct exchange exchange;
  struct stream stream; /* last: its size depends on its kind */
};

/* What an idle subscriber costs in the one allocation that it is. */
static_assert(offsetof(struct conn, stream) + offsetof(struct stream, uv) + sizeof(uv_tcp_t) <= 392,
              "an idle subscriber has outgrown its bound");

static inline struct conn *conn_of(struct exchange *exchange) { return container_of(exchange, struct conn, exchange); }
static inline struct http *conn_http(const struct conn *conn) { return container_of(conn->stream.owner, struct http, streams); }

/* Accepts what is waiting at a listener, or drops it over limits.connections. */
void conn_accept(struct http *http, struct listener *listener);
/* The same for a peer within the process, whose stream_peer is not joined yet. MW_ENOMEM. */
int conn_accept_memory(struct http *http, struct stream_peer *peer);
/* Events of the stream. */
bool conn_may_read(struct stream *stream);
void conn_on_read(struct stream *stream, struct bytes bytes);
void conn_on_end(struct stream *stream, int status);
void conn_on_written(struct stream *stream, int status);
void conn_on_closed(struct stream *stream);
void conn_on_due(struct timers *timers, struct timer *timer);

/* Sets the deadline that belongs to the state of its exchange. */
void conn_set_deadline(struct conn *conn);
/* Ends its exchange and closes the stream; its memory goes when that is done. With a reset if the peer is to lose what is under way. */
void conn_close(struct conn *conn);
void conn_abort(struct conn *conn);
/* The server is stopping: finishes what is being said, ends streams. */
void conn_stop(struct conn *conn);

VISIBILITY_POP

#endif
