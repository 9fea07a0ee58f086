/* What all connections of a worker have in common. Of its worker, http/ and the rooms above it see this alone. */
#ifndef MOONWIRE_HTTP_HTTP_H
#define MOONWIRE_HTTP_HTTP_H

#include "app/app.h"
#include "delivery/slots.h"
#include "delivery/subscriber.h"
#include "http/budget.h"
#include "http/unfinished.h"
#include "net/stream.h"
#include "net/timers.h"

VISIBILITY_PUSH

struct router;
struct transport;

struct http {
  struct app *app;
  struct delivery *delivery;
  struct slots *slots; /* names of the worker's subscribers */
  struct loop *loop;
  struct mw_stats *stats;
  const struct router *router;
  struct transport *transport; /* what roles have in common */
  struct stream_owner streams;
  struct timers timers; /* of connections */
  struct list conns;
  size_t conn_count, poll_client_count;  /* connections; and those that no peer is behind */
  struct sink sinks[FORM_WS_OWN + 1][2]; /* of exchanges, by form, without chunks and with */
  struct list put_off;                   /* budgets of connections to resume in the next turn */
  struct budget guest;                   /* of the connection being served that has none */
  struct unfinished unfinished;          /* messages and bodies whose end has not come */
  uint64_t random;
};

/* What is handed in. The caller has set the members from `app` to `transport`. A status of libuv, MW_ENOMEM. `on_second` is called once a second;
 * it calls http_second. */
int http_init(struct http *http, void (*on_second)(struct timers *timers));
/* Aborts all connections and stops the timers; their memory goes in close callbacks. */
void http_close(struct http *http);
/* After the loop has closed everything. */
void http_deinit(struct http *http);
void http_second(struct http *http);

/* Returns a number from low to high, which need not be unguessable. */
uint32_t http_random(struct http *http, uint32_t low, uint32_t high);

VISIBILITY_POP

#endif
