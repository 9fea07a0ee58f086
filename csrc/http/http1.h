/* HTTP/1 on a connection: reads requests one after the other, finds the role that answers each, and keeps what was sent ahead. */
#ifndef MOONWIRE_HTTP_HTTP1_H
#define MOONWIRE_HTTP_HTTP1_H

#include "app/config.h"
#include "codec/http_reader.h"
#include "http/conn.h"
#include "http/request.h"

VISIBILITY_PUSH

struct http1 {
  struct budget budget;
  struct holder holder; /* of an unfinished body */
  struct http_limits limits;
  struct http_reader *reader;
  struct buffer stash;    /* bytes that came while a request was being answered; bounded: then reading stops */
  struct request request; /* whose head has come last */
  struct script_job *job; /* as exchange_job; a reference */
  bool served;            /* a request was answered on this connection */
  bool feeding;           /* inside the loop that reads requests */
  bool handed_over;
  bool released; /* to be freed when that loop ends */
};

/* NULL without memory. */
struct http1 *http1_new(const struct mw_config *config, struct conn *conn);
/* Gives it back, now or when the loop that reads is left. */
void http1_release(struct conn *conn);
/* As http1_release for a connection that is upgraded. *ahead receives the bytes that were sent ahead; those that the loop which reads has in its
 * hands go to the role when that is left. */
void http1_hand_over(struct conn *conn, struct buffer *ahead);
/* True if a connection that has served waits for another request to begin. */
bool http1_waits(const struct http1 *http);
/* Bytes have come. */
void http1_feed(struct conn *conn, struct bytes bytes);
/* Finds in a head that was refused, or is late, what its answer needs. */
void http1_salvage(struct conn *conn);
/* The exchange is over: on with what was sent ahead. */
void http1_next(struct conn *conn);
/* Continues with the input that was put off. */
void http1_resume(struct conn *conn);

VISIBILITY_POP

#endif
