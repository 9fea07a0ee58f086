/* A worker: a loop, a hub, and their connections. Never enters Lua. */
#ifndef MOONWIRE_SERVER_WORKER_H
#define MOONWIRE_SERVER_WORKER_H

#include "app/script_job.h"
#include "delivery/slots.h"
#include "delivery/subscriber.h"
#include "http/exchange.h"
#include "net/mailbox.h"
#include "transport/transport.h"

VISIBILITY_PUSH

struct exchange;

struct worker {
  struct mw_server *server;
  uint32_t index;
  struct loop *loop;
  struct epoch epoch; /* of what it has received */
  struct hub hub;
  struct mailbox mailbox; /* messages and all other mail, in order; its room is `http` */
  struct delivery delivery;
  struct http http;
  struct transport transport;
  struct slots slots; /* names of its subscribers */
  struct mw_stats stats;
  atomic_size_t handed; /* connections on their way to it */
  /* With a thread of its own (server/worker_thread.h). */
  struct loop own;
  struct thread thread;
  bool has_thread, was_closed; /* for the server's thread */
  bool is_closed, is_ending;   /* for its thread */
  bool has_ended;              /* likewise: it stops, and its last client has left */
  atomic_bool must_end;
  struct mail last; /* to the script: it has ended */
};

/* The worker is zeroed. Returns 0, or a status of libuv or MW_ENOMEM. */
int worker_init(struct worker *worker, struct mw_server *server, uint32_t index, struct loop *loop);
/* Uses the limits of a configuration from now on, as far as the worker keeps them itself. */
void worker_use_config(struct worker *worker, const struct mw_config *config);
/* Aborts all connections and stops the timers. Their memory is freed in close callbacks. */
void worker_close(struct worker *worker);
/* Called after the loop has closed everything. */
void worker_deinit(struct worker *worker);

/* Takes everything out of the mailbox, in order. Never enters Lua. Its thread may call it anywhere
 * except inside itself. */
void worker_drain(struct worker *worker);
/* Writes the data of this turn. */
void worker_flush(struct worker *worker);
/* A turn of a worker among several: takes its mail, writes, and continues with what was put off. */
void worker_turn(struct worker *worker);
/* Called when the server stops. is_due: requests without an answer are refused. */
void worker_stop(struct worker *worker, bool is_due);
/* Returns true if a turn has something to do. */
bool worker_busy(struct worker *worker);

/* Returns the worker of a mail's room. */
static inline struct worker *worker_of_room(void *room) { return container_of((struct http *)room, struct worker, http); }
static inline struct worker *worker_of(const struct subscriber *subscriber) { return worker_of_room(http_of(subscriber)); }
static inline struct worker *exchange_worker(struct exchange *exchange) {
  return container_of(exchange_http(exchange), struct worker, http);
}

VISIBILITY_POP

#endif
