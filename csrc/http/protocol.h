/* A protocol carries exchanges over a connection: HTTP/1 one after the other, others several at a
 * time. An exchange reaches its connection by its protocol alone. The state of the connection
 * (keep-alive, bytes sent ahead, deadlines) belongs to the protocol.
 *
 * Functions that take a conn are called by the connection (http/conn.h), the others for one of its
 * exchanges. Every function is set. All run on the worker's thread. */
#ifndef MOONWIRE_HTTP_PROTOCOL_H
#define MOONWIRE_HTTP_PROTOCOL_H

#include "codec/http/http_fields.h"
#include "delivery/subscriber.h"

VISIBILITY_PUSH

struct conn;
struct exchange;
struct rope;

/* Values in place of a length. */
enum {
  LENGTH_NONE = -1,  /* the answer never has a body: 204, 304 */
  LENGTH_STREAM = -2 /* an event stream, which ends by its own framing */
};

/* The beginning of an answer. */
struct answer_head {
  int status;
  const struct http_fields *fields, *more; /* NULL: none */
  struct bytes content_type;               /* empty: none */
  int64_t length;                          /* of the body */
  /* The first part of the body, or all of it. It is not written in the answer to HEAD. */
  struct bytes body;
  const struct rope *rope; /* NULL, or used in place of `body` */
};

enum reset_reason {
  RESET_CLOSED, /* data that the system has accepted still reaches the peer */
  RESET_ABORTED /* it does not: the peer is too slow, or something is missing */
};

struct protocol {
  const char *name;
  /* offset of the struct conn in the protocol's struct for a connection; it is the last member */
  size_t conn_at;

  /* ---- A connection ---- */

  /* Initializes the protocol's struct for a connection, which is zeroed. */
  void (*init)(struct conn *conn);
  /* Called when the stream is connected; starts reading. is_private: by a private listener. Returns
   * a negative status to abort it. */
  int (*open)(struct conn *conn, bool is_private);
  /* Returns false to read nothing before the next turn. */
  bool (*may_read)(struct conn *conn);
  /* Takes bytes of the peer, which it may overwrite. */
  void (*on_read)(struct conn *conn, struct bytes bytes);
  /* Called when the peer has ended its side (UV_EOF), or the connection broke. */
  void (*on_end)(struct conn *conn, int status);
  /* Called when a stream_write has ended. */
  void (*on_written)(struct conn *conn, int status);
  /* Called when conn->timer is due. */
  void (*on_due)(struct conn *conn);
  /* Called after conn_flush_later, when all subscribers of the turn are flushed. */
  void (*flush)(struct conn *conn);
  /* Called when the server stops. Finishes requests that have begun, ends streams, and then closes
   * the connection. is_due: the time for that has passed; refuses requests without an answer. */
  void (*stop)(struct conn *conn, bool is_due);
  /* Called before the connection is closed: finishes its exchanges (exchange_finish). */
  void (*close)(struct conn *conn);
  /* Called after it is closed: frees the protocol's memory, but not the conn. */
  void (*deinit)(struct conn *conn);

  /* ---- An exchange ---- */

  /* write, hold, drained, and flushed belong to the protocol; the others are EXCHANGE_REPORTS
   * (exchange_sink.h). `flushed` calls exchange_flushed. */
  const struct sink_ops *sink;
  /* Pushes the head and the first part of the body. If out of memory, breaks the exchange. */
  void (*begin)(struct exchange *exchange, const struct answer_head *head);
  /* Called when the body is complete, apart from unsent data. */
  void (*end)(struct exchange *exchange);
  /* Answers with the upgrade to a WebSocket. From then on, the peer's bytes go to role->on_read;
   * those that were sent ahead, in the next turn at the latest. Returns false, and does nothing, if
   * that is impossible. */
  bool (*upgrade)(struct exchange *exchange, const struct http_fields *fields);
  /* Gives up the exchange, which ends immediately. */
  void (*reset)(struct exchange *exchange, enum reset_reason reason);
  /* Stops offering the peer's bytes to role->on_read, or continues in the next turn. */
  void (*read)(struct exchange *exchange, bool on);
  /* Offers again the input that was put off (budget.h). */
  void (*resume)(struct exchange *exchange);
  /* Drops an incomplete body, for which there is no room, and refuses the request. */
  void (*give_up)(struct exchange *exchange);
  /* Frees the parts of the request that are not needed any more (exchange_shed). */
  void (*shed)(struct exchange *exchange);
  /* Returns how many bytes that `hold` was offered are unsent: fewer than before if the peer has
   * taken some. */
  size_t (*unwritten)(const struct exchange *exchange);
  /* Returns its connection, for what is known about the peer (admission/remote.h). */
  struct conn *(*conn)(struct exchange *exchange);
  /* Requests a call of exchange_on_due after that time, in place of an earlier request. Until a
   * request is complete, and after its answer is written, the protocol sets its own deadline. */
  void (*set_deadline)(struct exchange *exchange, uint64_t delay_ms);
  /* Returns where the tick is kept at which the peer last sent something, or, of an event stream,
   * at which something was written. */
  uint32_t *(*heard)(struct exchange *exchange);
};

VISIBILITY_POP

#endif
