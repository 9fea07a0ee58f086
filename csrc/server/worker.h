/* A worker: a loop, a hub, and the connections that live on it. Never enters Lua. */
#ifndef MOONWIRE_SERVER_WORKER_H
#define MOONWIRE_SERVER_WORKER_H

#include "app/script_job.h"
#include "codec/ws_reader.h"
#include "delivery/slots.h"
#include "delivery/subscriber.h"
#include "http/budget.h"
#include "http/unfinished.h"
#include "net/mailbox.h"
#include "net/stream.h"
#include "net/timers.h"

VISIBILITY_PUSH

struct conn;
struct exchange;
struct router;

struct worker {
  struct mw_server *server;
  uint32_t index;
  struct loop *loop;
  const struct router *router;
  struct stream_owner streams;
  struct hub hub;
  struct timers timers;
  struct mailbox fifo; /* messages and all other mail, in one order; its room is the worker */
  struct list conns;
  size_t conn_count, poll_client_count; /* connections; and those that no peer is behind */
  struct delivery delivery;
  struct sink sinks[FORM_WS_OWN + 1][2]; /* of exchanges, by form, without chunks and with */
  struct list put_off;                   /* budgets of connections to resume in the next turn */
  struct budget guest;                   /* of the connection being served that has none */
  struct slots slots;                    /* names of its subscribers */
  struct ws_limits ws_limits;
  struct blob *pings[2]; /* the frames that ask a silent peer, as transport/websocket.c has them; NULL until they are needed */
  struct ws_reader *spare_reader; /* idle; lent to whoever has something to read */
  struct unfinished unfinished;   /* messages that sessions' readers are in the middle of */
  struct mw_stats stats;
  uint64_t random;
};

int worker_init(struct worker *worker, struct mw_server *server, uint32_t index, struct loop *loop);
/* Aborts all connections and stops the timers; their memory goes in close callbacks. */
void worker_close(struct worker *worker);
/* After the loop has closed everything. */
void worker_deinit(struct worker *worker);

/* Takes everything out of the queue, in order. Never enters Lua; its thread may call it anywhere but inside itself. */
void worker_drain(struct worker *worker);
/* Writes what this turn brought. */
void worker_flush(struct worker *worker);
/* True if a turn has something to do. */
bool worker_busy(struct worker *worker);

/* A number from low to high, which need not be unguessable. */
uint32_t worker_random(struct worker *worker, uint32_t low, uint32_t high);

VISIBILITY_POP

#endif
