/* What all connections of a worker share. http/ and the rooms above it see nothing else of their
 * worker. Only the worker's thread uses it. */
#ifndef MOONWIRE_HTTP_HTTP_H
#define MOONWIRE_HTTP_HTTP_H

#include "app/app.h"
#include "delivery/slots.h"
#include "delivery/subscriber.h"
#include "http/budget.h"
#include "http/conn_class.h"
#include "http/http_session.h"
#include "http/unfinished.h"
#include "net/timers.h"

VISIBILITY_PUSH

struct listener;
struct router;
struct stream_peer;
struct transport;

enum { HTTP_READ_BUFFER = 64 * 1024 };

/* The address of a peer, which a connection that begins needs several times. */
struct peer_memo {
  const struct conn *conn; /* whose it is; only compared; NULL: nobody's */
  char text[REMOTE_MAX];
};

struct http {
  struct app *app;
  struct delivery *delivery;
  struct slots *slots; /* names of the worker's subscribers */
  struct loop *loop;
  struct mw_stats *stats;
  const struct router *router;
  struct transport *transport;               /* what roles share */
  const struct protocol *protocol;           /* of the connections of listeners */
  const struct protocol *forwarded_protocol; /* of requests of other workers */
  const struct http_session *sessions;
  const struct session_ops *session; /* of the streams of exchanges */
  char *read_buffer;                 /* of HTTP_READ_BUFFER bytes: all streams read into it */
  struct conn_class accepted;        /* connections of listeners */
  struct conn_class forwarded;       /* requests of other workers (http/forward/forward.h) */
  struct timers timers;              /* of connections */
  struct timers expiries;            /* of the tokens of sessions; driven by `timers` */
  struct peer_memo peer;             /* read last (http/admission/remote.c) */
  struct list conns;
  /* connections that their exchanges share, to be written after all subscribers of the turn */
  struct list unflushed;
  atomic_size_t conn_count;          /* other threads read it */
  struct put_off_list put_off;       /* whose input is put off until the next turn */
  struct budget guest;               /* of the served connection, if it has none of its own */
  const struct subscriber *guest_of; /* whose that is; only compared */
  struct unfinished unfinished;      /* incomplete messages and bodies */
  uint64_t random;
};

/* Initializes the rest; the caller has set the members from `app` to `protocol`. `on_second` is
 * called once a second and calls http_second. Returns 0, a status of libuv, or MW_ENOMEM. */
int http_init(struct http *http, void (*on_second)(struct timers *timers));
/* Accepts a connection that is queued at a listener, or drops it over limits.connections. */
void http_accept(struct http *http, struct listener *listener);
/* The same for the descriptor of a peer that another worker has accepted; takes it. `address` is that
 * of the listener. */
void http_accept_descriptor(struct http *http, enum stream_kind kind, int fd, const char *address, bool is_private,
                            bool has_header);
/* Accepts a peer within the process, whose other end is not joined yet. Returns 0 or MW_ENOMEM. */
int http_accept_memory(struct http *http, struct stream_peer *peer);
/* Called when the server stops: conn_stop for all connections. */
void http_stop(struct http *http, bool is_due);
/* Aborts all connections. */
void http_abort(struct http *http);
/* Aborts all connections and stops the timers. Their memory is freed in close callbacks. */
void http_close(struct http *http);
/* Called after the loop has closed everything. */
void http_deinit(struct http *http);
void http_second(struct http *http);
/* Called after all subscribers of the turn are flushed: writes the connections that requested it
 * (conn_flush_later). */
void http_flush(struct http *http);

/* Returns a number from low to high. It is not secret. */
uint32_t http_random(struct http *http, uint32_t low, uint32_t high);

VISIBILITY_POP

#endif
