/* The whole: configuration, bus, workers, script. */
#ifndef MOONWIRE_SERVER_SERVER_H
#define MOONWIRE_SERVER_SERVER_H

#include "app/app.h"
#include "base/error.h"
#include "net/alarm.h"
#include "net/connection/connection.h"
#include "net/listener.h"
#include "net/pool.h"
#include "net/signals.h"
#include "net/watch.h"
#include "net/work.h"
#include "script/script.h"
#include "server/broker/broker_orderer.h"
#include "server/bus.h"
#include "server/upkeep.h"
#include "server/worker.h"

VISIBILITY_PUSH

/* Several workers on one loop, whose turns a test orders. */
struct schedule {
  size_t workers; /* how many there are */
  /* Returns whose turn is next: a worker's number, `worker_count` for the script, or -1 to end this
   * turn of the loop. */
  int (*next)(void *context, size_t worker_count);
  /* Returns the number of the worker that accepts the next connection in memory. */
  size_t (*accepts)(void *context, size_t worker_count);
  void *context;
};

/* The messages that the script is reading. */
struct history_reading {
  struct message **messages; /* references */
  size_t count;
};
/* Releases them. */
void server_end_reading(struct history_reading *reading);

struct mw_server {
  struct app app;
  struct orderer orderer;        /* bus, or broker */
  struct broker_orderer *broker; /* NULL: none */
  uint64_t lease_holder;         /* the newest (mw_server_lease_holder) */
  struct loop loop;
  struct bus bus;
  struct store store;
  struct upkeep upkeep;
  struct history_reading reading;
  struct worker *workers;
  size_t worker_count; /* of those that have begun */
  size_t worker_total;
  bool is_threaded;   /* each worker has a thread, and the script that of the loop */
  struct clock clock; /* then: the time for what threads share, by whichever last had a turn */
  size_t ended_count; /* then: workers that stop, and whose clients have all left */
  struct script script;
  const struct schedule *schedule; /* NULL: the workers take their turns as they come */
  struct list listeners, alarms, signals, watches, pools;
  struct works works;             /* of the app */
  struct connections connections; /* likewise: to other servers */
  struct alarm *drain;            /* the bound of stopping */
  struct alarm *seconds;          /* of the script, if it shares no loop with a worker */
  void (*on_stopped)(void *context);
  void *on_stopped_context;
  struct list test_waits; /* of mw_server_test_broker */
};

/* Returns the subscriber of any worker, or NULL if it has ended. Until there are several
 * workers. */
static inline struct subscriber *server_find(const struct mw_server *server, struct address address) {
  return address.worker < server->worker_count ? slots_find(&server->workers[address.worker].slots, address) : NULL;
}
/* As mw_server_new, with workers that take turns as a schedule says; NULL: as they come. */
int server_begin(struct mw_server **server, const struct mw_server_options *options, const struct schedule *schedule,
                 struct mw_error *error);
/* The server stops, and nothing is left to do: it has stopped. */
void server_finish_stopping(struct mw_server *server);
/* Writes what a status means. Returns the status. */
static inline int server_fail(struct mw_error *error, int status) {
  const char *hint = status == UV_EMFILE ? "; raise ulimit -n" : "";
  return error_set(error, status, "%s%s", mw_status_text(status), hint);
}
/* Notes the time of a loop that has a turn, for what threads share. */
static inline void server_share_time(struct mw_server *server, const struct loop *loop) {
  server->clock.now_ms = loop->clock.now_ms;
  server->clock.wall_ms = loop->clock.wall_ms;
}
/* What was published is in the store from here on. On the script's thread. */
void server_catch_up(struct mw_server *server);
/* Returns what bounds the store, by the configuration; without a position. */
static inline struct store_bounds server_bounds(const struct mw_server *server) {
  const struct mw_limits *limits = &server->app.config->options.limits;
  return (struct store_bounds){.channels = limits->channels,
                               .history = limits->history,
                               .marks = limits->marks,
                               .is_shared = server->worker_total > 1 || server->broker,
                               .is_cache = server->broker};
}
/* Returns how far time must be moved until something is due: an alarm, or a tick of the coarse
 * timers. 0: something is due. */
uint64_t server_next_ms(const struct mw_server *server);

VISIBILITY_POP

#endif
