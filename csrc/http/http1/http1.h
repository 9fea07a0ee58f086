/* HTTP/1: the exchanges of a connection come one after the other, so that it has one. Only the
 * worker's thread uses it. */
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

/* HTTP/1's struct for a connection: one allocation with its stream, its exchange, and the
 * subscriber's first subscription. */
struct http1_conn {
  struct exchange exchange; /* exchange.request is part of a struct http1 */
  /* last; the note of its timer is the tick at which the peer last sent something, or a stream last
   * wrote */
  struct conn conn;
};

/* What an idle subscriber costs: this one allocation. */
static_assert(offsetof(struct http1_conn, conn.stream) + offsetof(struct stream, uv) + sizeof(uv_tcp_t) <= 392,
              "an idle subscriber has outgrown its bound");

/* Flags of exchange->of_protocol. */
enum http1_flag {
  HTTP1_KEEP_ALIVE = 1 << 0, /* another request may follow */
  HTTP1_CHUNKED = 1 << 1,    /* a stream is framed in chunks */
  /* what the peer sends is not read to its end: after the answer, our side ends first */
  HTTP1_LINGER = 1 << 2,
  /* the answer is written; the peer's bytes are read and dropped, so that it can read the answer */
  HTTP1_LINGERING = 1 << 3,
  HTTP1_ENDED = 1 << 4,  /* the peer sends nothing more: only what it sent ahead is answered */
  HTTP1_PRIVATE = 1 << 5 /* accepted by a private listener */
};

/* What a connection has while requests are read, or while bytes are pipelined. */
struct http1 {
  struct request request; /* its head is the last that arrived */
  struct budget budget;
  struct holder holder; /* of an incomplete body */
  struct http_limits limits;
  struct http_reader *reader; /* NULL once it streams */
  /* bytes that the reader or the role has not taken; bounded: then reading stops */
  struct buffer pipelined;
  bool served;  /* this connection has answered a request */
  bool feeding; /* inside the loop that reads requests */
};

extern const struct protocol http1_protocol;

static inline struct http1_conn *http1_conn_of(const struct conn *conn) { return container_of(conn, struct http1_conn, conn); }
static inline struct http1_conn *http1_of_exchange(const struct exchange *exchange) {
  return container_of(exchange, struct http1_conn, exchange);
}
static inline struct exchange *http1_exchange(const struct conn *conn) { return &http1_conn_of(conn)->exchange; }
/* Returns NULL if the connection streams, and nothing waits. */
static inline struct http1 *http1_of(const struct http1_conn *conn) {
  return conn->exchange.request ? container_of(conn->exchange.request, struct http1, request) : NULL;
}

/* ---- Reading (http/http1/http1.c) ---- */

/* Makes what requests are read with. Returns 0 or MW_ENOMEM. */
int http1_begin_reading(struct http1_conn *conn);
/* Called when the answer has become a stream, or the connection has ended. Frees what is not needed
 * any more, now or when the loop that reads is left. */
void http1_release(struct http1_conn *conn);
/* Returns true if a connection that has answered waits for another request. */
bool http1_waits(const struct http1 *http);
/* Returns true if a request may begin, or has begun. */
bool http1_reads(const struct http1_conn *conn);
/* Takes bytes of the peer. */
void http1_feed(struct http1_conn *conn, struct bytes bytes);
/* Called when the exchange has ended: continues with what was sent ahead. */
void http1_next(struct http1_conn *conn);
/* Continues with pipelined input: requests, or bytes for the role. */
void http1_resume(struct exchange *exchange);
/* Refuses the request. No other follows. Finds in an incomplete or invalid head what the answer
 * needs. */
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
