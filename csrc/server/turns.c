#include "server/turns.h"

#include <assert.h>

#include "server/server.h"

/* How often a turn goes round before it lets the loop look at its descriptors again. */
enum { ROUNDS_MAX = 16 };

static bool has_work(struct mw_server *server) {
  bool any = !mailbox_empty(&server->script.queue);
  for (size_t i = 0; !server->is_threaded && i < server->worker_count; i++) any = any || worker_busy(&server->workers[i]);
  return any;
}

/* Counts that are kept apart from what they count. A request that is never taken off would in the
 * end refuse all others. */
static void assert_idle(const struct mw_server *server) {
  assert(atomic_load(&server->app.job_count) == 0 && "a job was counted twice, or its end was not");
  assert(atomic_load(&server->app.job_bytes) == 0 && "the bytes of a job were counted twice, or its end was not");
}

static bool is_idle(struct mw_server *server) {
  if (server->is_threaded && server->ended_count < server->worker_count) return false;
  return atomic_load(&server->app.conn_count) == 0 && script_idle(&server->script) && atomic_load(&server->app.job_count) == 0;
}

/* The tick of the broker brings further turns. */
static bool has_left(struct mw_server *server) { return !server->broker || broker_orderer_leave(server->broker); }

/* ---- One worker, with the script ------------------------------------------------------------- */

static void run_one(struct mw_server *server, struct worker *worker) {
  struct loop *loop = &server->loop;
  bus_enter(&server->bus);
  delivery_begin_turn(&worker->delivery);
  alarms_run(loop);
  for (int round = 0; round == 0 || (round < ROUNDS_MAX && has_work(server)); round++) {
    worker_drain(worker);
    worker_flush(worker);
    script_drain(&server->script);
    if (server->app.state == APP_FREED) return;
    /* The input of all others was handled. */
    if (round == 0 && loop->has_polled) budget_resume(&worker->http);
  }
}

/* ---- The script alone ------------------------------------------------------------------------ */

static void run_script(struct mw_server *server) {
  server_share_time(server, &server->loop);
  for (int round = 0; round == 0 || (round < ROUNDS_MAX && has_work(server)); round++) {
    script_drain(&server->script);
    if (server->app.state == APP_FREED) return;
  }
}

/* ---- Several workers, in any order ----------------------------------------------------------- */

static void run_scheduled(struct mw_server *server) {
  const struct schedule *schedule = server->schedule;
  size_t count = server->worker_count;
  int next;
  alarms_run(&server->loop);
  while (server->app.state < APP_STOPPED && (next = schedule->next(schedule->context, count)) >= 0) {
    if ((size_t)next < count) {
      worker_turn(&server->workers[next]);
    } else {
      script_drain(&server->script);
    }
  }
}

/* ---- Turns ----------------------------------------------------------------------------------- */

void turns_run(struct loop *loop) {
  struct mw_server *server = container_of(loop, struct mw_server, loop);
  if (server->app.state == APP_FREED) return;
  if (server->broker) broker_orderer_begin_turn(server->broker);
  if (server->app.state == APP_FREED) return;
  if (server->schedule) {
    run_scheduled(server);
  } else if (server->is_threaded) {
    run_script(server);
  } else {
    run_one(server, &server->workers[0]);
  }
  if (server->app.state == APP_FREED) return;
  if (server->broker) broker_orderer_end_turn(server->broker);
  if (has_work(server)) {
    loop_wake(loop);
  } else if (server->app.state == APP_STOPPING && is_idle(server) && has_left(server)) {
    assert_idle(server);
    server_finish_stopping(server);
  }
}

void turns_run_timers(struct mw_server *server) {
  for (size_t i = 0; i < server->worker_count; i++) timers_run(&server->workers[i].http.timers);
}
