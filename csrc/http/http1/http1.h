/* HTTP/1: the exchanges of a connection come one after the other, so that it has one. */
#ifndef MOONWIRE_HTTP_HTTP1_HTTP1_H
#define MOONWIRE_HTTP_HTTP1_HTTP1_H

#include <assert.h>

#include "app/config.h"
#include "codec/http/http_reader.h"
#include "http/budget.h"
#include "http/conn.h"
#include "http/exchange.h"
#include "http/request.h"
#include "http/unfinished.h"

VISIBILITY_PUSH

/* What HTTP/1 has of a connection: one allocation with its stream, its exchange and the
 * subscriber's first subscription. */
struct http1_conn {
  struct exchange exchange; /* exchange.request is part of a struct http1 */
  struct conn conn;         /* last; the note of its timer is the tick at which the peer was heard, or a stream last wrote */
};

/* What an idle subscriber costs in the one allocation that it is. */
static_assert(offsetof(struct http1_conn, conn.stream) + offsetof(struct stream, uv) + sizeof(uv_tcp_t) <= 392,
              "an idle subscriber has outgrown its bound");

/* Flags of exchange->of_protocol. */
enum http1_flag {
  HTTP1_KEEP_ALIVE = 1 << 0, /* another request may follow */
  HTTP1_CHUNKED = 1 << 1,    /* a stream is framed in chunks */
  HTTP1_LINGER = 1 << 2,     /* what the peer sends is not read to its end: when all is said, our side ends first */
  HTTP1_LINGERING = 1 << 3,  /* all is said; what the peer still sends is read, so that it gets to read us */
  HTTP1_ENDED = 1 << 4,      /* the peer sends nothing more: only what it sent ahead is answered */
  HTTP1_PRIVATE = 1 << 5     /* came by a private listener */
};

/* What a connection has as long as requests are read, or something that came was not taken. */
struct http1 {
  struct request request; /* whose head has come last */
  struct budget budget;
  struct holder holder; /* of an unfinished body */
  struct http_limits limits;
  struct http_reader *reader; /* NULL once it streams */
  struct buffer ahead;        /* bytes that came and were not taken, by the reader or the role; bounded: then reading stops */
  bool served;                /* a request was answered on this connection */
  bool feeding;               /* inside the loop that reads requests */
};

extern const struct protocol http1_protocol;

static inline struct http1_conn *http1_conn_of(const struct conn *conn) { return container_of(conn, struct http1_conn, conn); }
static inline struct http1_conn *http1_of_exchange(const struct exchange *exchange) {
  return container_of(exchange, struct http1_conn, exchange);
}
static inline struct exchange *http1_exchange(const struct conn *conn) { return &http1_conn_of(conn)->exchange; }
/* NULL: it streams, and nothing waits. */
static inline struct http1 *http1_of(const struct http1_conn *conn) {
  return conn->exchange.request ? container_of(conn->exchange.request, struct http1, request) : NULL;
}

/* ---- Reading (http/http1/http1.c) ---- */

/* Makes what requests are read with. MW_ENOMEM. */
int http1_begin_reading(struct http1_conn *conn);
/* The answer streams, or the connection is over: frees what that needs no more, now or when the
 * loop that reads is left. */
void http1_release(struct http1_conn *conn);
/* True if a connection that has served waits for another request to begin. */
bool http1_waits(const struct http1 *http);
/* True if a request may begin, or has. */
bool http1_reads(const struct http1_conn *conn);
/* Bytes have come. */
void http1_feed(struct http1_conn *conn, struct bytes bytes);
/* The exchange is over: on with what was sent ahead. */
void http1_next(struct http1_conn *conn);
/* Continues with what is ahead: requests, or bytes for the role. */
void http1_resume(struct exchange *exchange);
/* Finds in a head that was refused, or is late, what its answer needs; then the request is
 * refused, and no other follows. */
void http1_refuse(struct http1_conn *conn, int status, const char *reason);
void http1_give_up(struct exchange *exchange);
void http1_read(struct exchange *exchange, bool on);
void http1_shed(struct exchange *exchange);

/* ---- Answering (http/http1/http1_answer.c) ---- */

extern const struct sink_ops http1_sink;
void http1_begin(struct exchange *exchange, const struct answer_head *head);
void http1_end(struct exchange *exchange);
bool http1_upgrade(struct exchange *exchange, const struct http_fields *fields);

VISIBILITY_POP

#endif
