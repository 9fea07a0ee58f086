#include "server/server.h"

#include <assert.h>

#include "base/error.h"
#include "base/log_limit.h"
#include "base/memory.h"
#include "codec/envelope.h"
#include "codec/ws/ws_handshake.h"
#include "net/descriptors.h"
#include "script/open_channel.h"
#include "server/accept.h"
#include "server/posts.h"
#include "server/turns.h"
#include "server/worker_thread.h"
#include "session/names.h"

/* How long refusals may take to be written, when stopping has taken too long. */
enum { HURRY_MS = 1000 };

static void end_pending(struct mw_server *server) { server->app.orderer->end_pending(server->app.orderer); }

void server_end_reading(struct history_reading *reading) {
  for (size_t i = 0; i < reading->count; i++) message_unref(reading->messages[i]);
  memory_free(reading->messages);
  *reading = (struct history_reading){0};
}

void server_catch_up(struct mw_server *server) {
  if (server->store.lock.is_shared) return; /* it is there before the publish returns */
  struct worker *worker = &server->workers[0];
  worker_drain(worker);
  if (worker->delivery.dirty) loop_wake(&server->loop);
}

void server_finish_stopping(struct mw_server *server) {
  end_pending(server);
  server->app.state = APP_STOPPED;
  alarm_free(server->drain);
  server->drain = NULL;
  log_line(MW_LOG_DEBUG, "stopped");
  if (server->on_stopped) server->on_stopped(server->on_stopped_context);
}

/* ---- Life ------------------------------------------------------------------------------------ */

/* The default is always below what is allowed. */
static void check_connections(size_t wanted) {
  size_t allowed = descriptors_for_connections(SIZE_MAX);
  if (wanted <= allowed) return;
  log_line(MW_LOG_WARNING, "limits.connections (%zu) exceeds what ulimit -n (%zu) allows: about %zu connections; raise ulimit -n",
           wanted, descriptors_limit(), allowed);
}

static void discard(struct loop *loop) {
  struct mw_server *server = container_of(loop, struct mw_server, loop);
  server_end_reading(&server->reading);
  for (size_t i = 0; i < server->worker_count; i++) {
    worker_deinit(&server->workers[i]);
    if (server->is_threaded) loop_deinit(&server->workers[i].own);
  }
  broker_orderer_free(server->broker);
  assert(form_users_are_none(&server->bus.forms));
  store_deinit(&server->store);
  connections_deinit(&server->connections);
  loop_deinit(&server->loop);
  bus_deinit(&server->bus);
  app_deinit(&server->app);
  memory_free(server->workers);
  memory_free(server);
  log_stop();
}

/* Closes the loop after a failed start. That takes turns of it: the server's own loop is turned
 * here, a host's continues by itself. */
static void abandon(struct mw_server *server) {
  bool is_own = server->loop.is_own;
  loop_close(&server->loop, is_own ? NULL : discard);
  if (!is_own) return;
  while (server->loop.open_count > 0) loop_run_once(&server->loop);
  discard(&server->loop);
}

/* The library of hashes takes some time, and memory of its own, when it is first used: not when the
 * first client comes. */
static void prepare_handshakes(void) {
  char scratch[WS_ACCEPT_LEN + 1];
  ws_handshake_accept(scratch, BYTES("AAAAAAAAAAAAAAAAAAAAAA=="));
}

/* So many messages at least can follow the position that a server continues. */
#define POSITIONS_LEFT (UINT64_C(1) << 40)

/* Reads the epoch and the position that a server may continue. */
static int read_beginning(const struct mw_server_options *options, struct epoch *epoch, struct mw_error *error) {
  if (options->epoch ? !epoch_read(epoch, bytes_string(options->epoch)) : options->position > 0) {
    return error_set(error, MW_EINVAL, "epoch: the first 8 characters of an id of an earlier server are required");
  }
  if (options->position <= POSITION_MAX - POSITIONS_LEFT) return 0;
  return error_set(error, MW_EINVAL, "position %llu: ids end at %llu", (unsigned long long)options->position,
                   (unsigned long long)POSITION_MAX);
}

static void on_forget(struct store *store, struct stored *stored) {
  names_forget(&container_of(store, struct mw_server, store)->app, stored);
}

static void begin_store(struct mw_server *server) {
  struct store_bounds bounds = server_bounds(server);
  bounds.position = server->bus.position;
  clock_init(&server->clock);
  store_init(&server->store, server->is_threaded ? &server->clock : &server->loop.clock, &bounds);
  server->store.on_forget = on_forget;
}

/* The script has no worker whose timers tell it the time. */
static void on_second(void *context) {
  struct mw_server *server = context;
  script_second(&server->script);
}

/* Closes all workers. Before `end_workers`, they still take mail, to drop it. */
static void close_workers(struct mw_server *server) {
  for (size_t i = 0; i < server->worker_count; i++) {
    if (server->is_threaded) worker_thread_close(&server->workers[i]);
    if (!server->is_threaded) worker_close(&server->workers[i]);
  }
}

static void end_workers(struct mw_server *server) {
  for (size_t i = 0; server->is_threaded && i < server->worker_count; i++) worker_thread_end(&server->workers[i]);
}

/* Begins all workers. The status of the first that fails; those before it are closed by the
 * caller, as worker_count says. */
static int begin_workers(struct mw_server *server) {
  int status = 0;
  size_t total = server->worker_total;
  for (size_t i = 0; status == 0 && i < total; i++) {
    struct worker *worker = &server->workers[i];
    status = server->is_threaded ? worker_thread_start(worker, server, (uint32_t)i)
                                 : worker_init(worker, server, (uint32_t)i, &server->loop);
    if (status == 0) server->worker_count++;
  }
  if (status == 0 && total > 1) {
    server->seconds = alarm_new(&server->loop, 1000, 1000, on_second, server);
    if (!server->seconds) status = MW_ENOMEM;
  }
  return status;
}

int mw_server_new(struct mw_server **out, const struct mw_server_options *options, struct mw_error *error) {
  return server_begin(out, options, NULL, error);
}

int server_begin(struct mw_server **out, const struct mw_server_options *options, const struct schedule *schedule,
                 struct mw_error *error) {
  struct epoch epoch;
  int status = read_beginning(options, &epoch, error);
  if (status < 0) return status;
  if (options->workers > MW_WORKERS_MAX) {
    return error_set(error, MW_EINVAL, "workers: at most %d", MW_WORKERS_MAX);
  }
  struct mw_server *server = memory_calloc(1, sizeof *server);
  if (!server) return server_fail(error, MW_ENOMEM);
  server->worker_total = schedule ? schedule->workers : options->workers > 1 ? options->workers : 1;
  server->is_threaded = server->worker_total > 1 && !schedule;
  server->schedule = schedule;
  server->workers = memory_calloc(server->worker_total, sizeof *server->workers);
  if (!server->workers) {
    memory_free(server);
    return server_fail(error, MW_ENOMEM);
  }
  log_start();
  list_init(&server->listeners);
  list_init(&server->alarms);
  list_init(&server->signals);
  list_init(&server->watches);
  list_init(&server->pools);
  list_init(&server->test_waits);
  prepare_handshakes();
  status = app_init(&server->app, options->config);
  if (status < 0) goto fail_app;
  const struct mw_limits *limits = &server->app.config->options.limits;
  server->orderer = bus_orderer;
  server->app.orderer = &server->orderer;
  server->app.script = &server_script_posts;
  server->app.workers = &server_worker_posts;
  server->app.close_code = WS_CLOSE_GOING_AWAY;
  server->app.state = APP_FREED; /* until it runs */
  status = bus_init(&server->bus, options->epoch ? &epoch : NULL, options->position);
  if (status < 0) goto fail_bus;
  status = loop_init(&server->loop, options->loop, turns_run);
  if (status < 0) goto fail_loop;
  works_init(&server->works, &server->loop);
  connections_init(&server->connections, &server->loop);
  if (server->app.config->broker) status = broker_orderer_begin(server);
  begin_store(server);
  if (status < 0) goto fail_script;
  status = script_init(&server->script, &server->app, &server->loop);
  if (status < 0) goto fail_script;
  server->script.handler.has_own_thread = server->is_threaded;
  status = begin_workers(server);
  if (status < 0) goto fail_worker;
  server->app.state = APP_RUNNING;
  check_connections(limits->connections);
  *out = server;
  return 0;

fail_worker:
  close_workers(server);
  alarm_free(server->seconds);
  script_deinit(&server->script);
  end_workers(server);
fail_script:
  broker_orderer_stop(server->broker);
  abandon(server);
  return server_fail(error, status);
fail_loop:
  bus_deinit(&server->bus);
fail_bus:
  app_deinit(&server->app);
fail_app:
  memory_free(server->workers);
  memory_free(server);
  log_stop();
  return server_fail(error, status);
}

void mw_server_free(struct mw_server *server) {
  if (!server) return;
  server->app.state = APP_FREED;
  end_pending(server);
  accept_stop(server);
  close_workers(server);
  script_deinit(&server->script);
  end_workers(server);
  broker_orderer_stop(server->broker);
  connections_close(&server->connections);
  works_close(&server->works);
  while (!list_empty(&server->pools)) pool_free(container_of(server->pools.next, struct pool, link));
  while (!list_empty(&server->alarms)) alarm_free(container_of(server->alarms.next, struct alarm, link));
  while (!list_empty(&server->signals)) signal_watch_free(container_of(server->signals.next, struct signal_watch, link));
  while (!list_empty(&server->watches)) watch_free(container_of(server->watches.next, struct watch, link));
  alarm_free(server->drain);
  alarm_free(server->seconds);
  bool is_own = server->loop.is_own;
  if (!is_own) {
    loop_close(&server->loop, discard);
    return;
  }
  loop_close(&server->loop, NULL);
  while (server->loop.open_count > 0) loop_run_once(&server->loop);
  discard(&server->loop);
}

/* ---- Running --------------------------------------------------------------------------------- */

int mw_server_run(struct mw_server *server) {
  while (server->app.state < APP_STOPPED) loop_run_once(&server->loop);
  return 0;
}

bool mw_server_step(struct mw_server *server) {
  if (server->app.state < APP_STOPPED) loop_step(&server->loop);
  return server->app.state < APP_STOPPED;
}

int mw_server_fd(const struct mw_server *server) { return loop_fd(&server->loop); }
uint64_t server_next_ms(const struct mw_server *server) {
  const struct timers *timers = &server->workers[0].http.timers; /* all tick at the same time */
  uint64_t tick_ms = timers->start_ms + ((uint64_t)timers->tick + 1) * 1000;
  uint64_t now_ms = server->loop.clock.now_ms, alarm_ms = alarms_next_ms(&server->loop);
  uint64_t next_ms = tick_ms > now_ms ? tick_ms - now_ms : 0;
  return alarm_ms < next_ms ? alarm_ms : next_ms;
}

int mw_server_timeout(struct mw_server *server) {
  return server->loop.clock.manual ? (int)server_next_ms(server) : loop_timeout(&server->loop);
}
uint64_t mw_server_time(const struct mw_server *server) { return server->loop.clock.wall_ms; }

void mw_handler_begin(struct mw_server *server, void (*describe)(void *context, char *text, size_t size), void *context) {
  overrun_begin(&server->script.handler, describe, context);
}

void mw_handler_end(struct mw_server *server) { overrun_end(&server->script.handler); }

static void stop_worker(struct worker *worker, void *context) { worker_stop(worker, *(const bool *)context); }

static void stop_workers(struct mw_server *server, bool is_due) {
  for (size_t i = 0; i < server->worker_count; i++) worker_call(&server->workers[i], stop_worker, &is_due);
}

static void abort_worker(struct worker *worker, void *context) {
  (void)context;
  http_abort(&worker->http);
}

static void on_cut(void *context) {
  struct mw_server *server = context;
  log_line(MW_LOG_WARNING, "stopping exceeds limits.drain_seconds (drain_ms in C): resetting connections (connections=%zu)",
           atomic_load(&server->app.conn_count));
  for (size_t i = 0; i < server->worker_count; i++) worker_call(&server->workers[i], abort_worker, NULL);
  server_finish_stopping(server);
}

static void on_drained(void *context) {
  struct mw_server *server = context;
  alarm_free(server->drain);
  log_line(MW_LOG_WARNING,
           "stopping exceeds limits.drain_seconds (drain_ms in C): refusing requests and cancelling handlers (connections=%zu)",
           atomic_load(&server->app.conn_count));
  if (server->broker) (void)broker_orderer_leave(server->broker);
  end_pending(server);
  stop_workers(server, true);
  script_cancel_all(&server->script);
  server->drain = alarm_new(&server->loop, HURRY_MS, 0, on_cut, server);
  loop_wake(&server->loop);
  if (!server->drain) on_cut(server);
}

int mw_server_close_code(struct mw_server *server, int code) {
  if (!ws_close_code_valid((unsigned)code)) return MW_EINVAL;
  server->app.close_code = (unsigned)code;
  return 0;
}

void mw_server_stop(struct mw_server *server, void (*on_stopped)(void *context), void *context) {
  if (app_stopping(&server->app)) return;
  server->app.state = APP_STOPPING;
  server->on_stopped = on_stopped;
  server->on_stopped_context = context;
  log_line(MW_LOG_DEBUG, "stopping");
  /* What was published before still goes out. A worker with a thread takes it before it stops. */
  for (size_t i = 0; !server->is_threaded && i < server->worker_count; i++) worker_drain(&server->workers[i]);
  accept_stop(server);
  stop_workers(server, false);
  open_channel_stop_all(&server->script);
  struct mw_config *config = app_hold_config(&server->app);
  server->drain = alarm_new(&server->loop, config->options.limits.drain_ms, 0, on_drained, server);
  mw_config_unref(config);
  loop_wake(&server->loop);
}

unsigned mw_cores(void) {
  unsigned cores = thread_cores();
  return cores < MW_WORKERS_MAX ? cores : MW_WORKERS_MAX;
}
