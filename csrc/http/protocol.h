/* A protocol carries exchanges over a connection: HTTP/1 one after the other, others several at a
 * time. An exchange reaches its connection by its protocol alone. What belongs to the connection
 * (whether it is kept alive, what was sent ahead, its deadlines) is the protocol's state.
 *
 * Functions that get a conn are called by the connection (http/conn.h), the others for one of
 * its exchanges. Every function is set. */
#ifndef MOONWIRE_HTTP_PROTOCOL_H
#define MOONWIRE_HTTP_PROTOCOL_H

#include "codec/http/http_fields.h"
#include "delivery/subscriber.h"

VISIBILITY_PUSH

struct conn;
struct exchange;
struct rope;

/* In place of a length. */
enum {
  LENGTH_NONE = -1,  /* the answer never has a body: 204, 304 */
  LENGTH_STREAM = -2 /* an event stream, which ends when it ends */
};

/* How an answer begins. */
struct answer_head {
  int status;
  const struct http_fields *fields, *more; /* NULL: none */
  struct bytes content_type;               /* empty: none */
  int64_t length;                          /* of the body */
  /* The first part of the body, or all of it, which is not written in the answer to HEAD. */
  struct bytes body;
  const struct rope *rope; /* in place of `body`; NULL: `body` */
};

enum reset_reason {
  RESET_CLOSED, /* what was handed to the system still reaches the peer */
  RESET_ABORTED /* it does not: the peer is too slow, or something is missing */
};

struct protocol {
  const char *name;
  size_t conn_at; /* where the struct conn lies in the struct that the protocol has for each connection; it is the last member */

  /* ---- A connection ---- */

  /* Initializes what the protocol has of it, which is zeroed. */
  void (*init)(struct conn *conn);
  /* The stream is connected. Starts reading. is_private: by a private listener. Negative: it is
   * aborted. */
  int (*open)(struct conn *conn, bool is_private);
  /* False: nothing is read before the next turn. */
  bool (*may_read)(struct conn *conn);
  /* Bytes have come; they may be overwritten. */
  void (*on_read)(struct conn *conn, struct bytes bytes);
  /* The peer has ended its side (UV_EOF), or the connection broke. */
  void (*on_end)(struct conn *conn, int status);
  /* A stream_write is over. */
  void (*on_written)(struct conn *conn, int status);
  /* conn->timer is due. */
  void (*on_due)(struct conn *conn);
  /* All subscribers of the turn were flushed; called after conn_flush_later. */
  void (*flush)(struct conn *conn);
  /* The server stops: finishes requests that have begun, ends streams, and closes the connection
   * then. is_due: that has taken too long, and requests that are not answered yet are refused. */
  void (*stop)(struct conn *conn, bool is_due);
  /* The connection is about to be closed: finishes its exchanges (exchange_finish). */
  void (*close)(struct conn *conn);
  /* It is closed: frees what the protocol has of it, but not the conn. */
  void (*deinit)(struct conn *conn);

  /* ---- An exchange ---- */

  /* write, hold, drained and flushed are the protocol's; the others are EXCHANGE_REPORTS
   * (exchange_sink.h). `flushed` calls exchange_flushed. */
  const struct sink_ops *sink;
  /* Pushes the head and what there is of the body. If out of memory, breaks the exchange. */
  void (*begin)(struct exchange *exchange, const struct answer_head *head);
  /* The body is complete, apart from what waits to be written. */
  void (*end)(struct exchange *exchange);
  /* Answers with the upgrade to a WebSocket: from now on the peer's bytes go to role->on_read,
   * those that were sent ahead in the next turn at the latest. False, and nothing happened, if
   * that is impossible. */
  bool (*upgrade)(struct exchange *exchange, const struct http_fields *fields);
  /* Gives the exchange up; it is over at once. */
  void (*reset)(struct exchange *exchange, enum reset_reason reason);
  /* Stops offering the peer's bytes to role->on_read, or goes on with it in the next turn. */
  void (*read)(struct exchange *exchange, bool on);
  /* Offers again what was put off (budget.h). */
  void (*resume)(struct exchange *exchange);
  /* Drops an unfinished body, for which there is no room, and refuses the request. */
  void (*give_up)(struct exchange *exchange);
  /* Gives back what of the request nobody needs any more (exchange_shed). */
  void (*shed)(struct exchange *exchange);
  /* Bytes of what `hold` was offered that the peer has not taken: fewer than before if it has
   * taken some. */
  size_t (*unwritten)(const struct exchange *exchange);
  /* Writes where the peer is, terminated. */
  void (*remote)(const struct exchange *exchange, char *out, size_t size);
  /* Has exchange_on_due called after that time, in place of an earlier call that was asked for.
   * Until a request is complete, and when its answer is written, the deadline is the protocol's
   * own. */
  void (*set_deadline)(struct exchange *exchange, uint64_t delay_ms);
  /* Where the tick is kept at which the peer was heard last, or, of an event stream, at which
   * something was written. */
  uint32_t *(*heard)(struct exchange *exchange);
};

VISIBILITY_POP

#endif
