/* What all connections of a worker have in common. Of its worker, http/ and the rooms above it
 * see this alone. */
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

struct http {
  struct app *app;
  struct delivery *delivery;
  struct slots *slots; /* names of the worker's subscribers */
  struct loop *loop;
  struct mw_stats *stats;
  const struct router *router;
  struct transport *transport;     /* what roles have in common */
  const struct protocol *protocol; /* that listeners speak */
  const struct http_session *sessions;
  const struct session_ops *session; /* of the streams of exchanges */
  char *read_buffer;                 /* of HTTP_READ_BUFFER bytes: all streams read into it */
  struct conn_class accepted;        /* connections of listeners */
  struct timers timers;              /* of connections */
  struct list conns;
  struct list unflushed; /* connections that their exchanges share, to be written when all subscribers of the turn were */
  size_t conn_count;
  struct put_off_list put_off;       /* whose input is put off until the next turn */
  struct budget guest;               /* of the connection being served that has none */
  const struct subscriber *guest_of; /* whose that is; only compared */
  struct unfinished unfinished;      /* messages and bodies whose end has not come */
  uint64_t random;
};

/* What is handed in. The caller has set the members from `app` to `protocol`. A status of libuv,
 * MW_ENOMEM. `on_second` is called once a second; it calls http_second. */
int http_init(struct http *http, void (*on_second)(struct timers *timers));
/* Accepts what is waiting at a listener, or drops it over limits.connections. */
void http_accept(struct http *http, struct listener *listener);
/* The same for a peer within the process, whose far end is not joined yet. MW_ENOMEM. */
int http_accept_memory(struct http *http, struct stream_peer *peer);
/* The server stops: conn_stop for all connections. */
void http_stop(struct http *http, bool is_due);
/* Aborts all connections. */
void http_abort(struct http *http);
/* Aborts all connections and stops the timers; their memory goes in close callbacks. */
void http_close(struct http *http);
/* After the loop has closed everything. */
void http_deinit(struct http *http);
void http_second(struct http *http);
/* All subscribers of the turn were flushed: writes the connections that asked for it
 * (conn_flush_later). */
void http_flush(struct http *http);

/* Returns a number from low to high, which need not be unguessable. */
uint32_t http_random(struct http *http, uint32_t low, uint32_t high);

VISIBILITY_POP

#endif
