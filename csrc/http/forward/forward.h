/* A request that another worker answers, because the client that it is about lives there.
 *
 * The request travels to that worker as mail, with copies of all that it needs. There it becomes an
 * exchange of a protocol of its own (http/forward/forwarded.c), which any role answers as usual. The
 * answer comes back as mail. In the meantime, the exchange of the peer waits. If its peer
 * disconnects, the other exchange ends, too. */
#ifndef MOONWIRE_HTTP_FORWARD_FORWARD_H
#define MOONWIRE_HTTP_FORWARD_FORWARD_H

#include "http/exchange.h"

VISIBILITY_PUSH

/* One reference for the exchange that waits, and one for each mail and the exchange that answers. */
struct forward {
  atomic_uint refs;
  struct mail begin, cancel; /* to the worker that answers */
  struct mail answer;        /* back: mail.to is the exchange that waits */
  /* The request; immutable. */
  struct http_head head; /* its texts, and those below, are after the struct */
  struct bytes body;
  bool is_private;
  char remote[REMOTE_MAX];
  enum scheme scheme; /* with is_trusted, as http/admission/remote.h has them */
  bool is_trusted;
  uint64_t due_ms;   /* for the worker that waits: when it stops waiting */
  struct conn *conn; /* for the worker that answers; NULL: it has not begun, or has ended */
  /* The answer, once it is posted; status 0: there is none. */
  int status;
  struct blob *fields, *text;
  struct http_field header[];
};

/* What to do with a request that another worker answers. */
enum forward_wait {
  FORWARD_UNTIL_ANSWERED, /* the peer may have ended its side */
  FORWARD_POLL            /* it may take as long as a poll; given up when the peer ends its side */
};

/* Sends the request to that worker: the exchange leaves its role, and waits. Refuses it with 503 if
 * out of memory, or if the worker's queue is full. */
void exchange_forward(struct exchange *exchange, uint32_t worker, enum forward_wait wait);

/* ---- For the two halves ---- */

struct forward *forward_ref(struct forward *forward);
void forward_unref(struct forward *forward);
extern const struct mail_class forwarded_begin, forwarded_cancel; /* on the worker that answers */
extern const struct mail_class forward_answer;                    /* on the worker that waits */
extern const struct protocol forwarded_protocol;

VISIBILITY_POP

#endif
