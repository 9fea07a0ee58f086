#include "server/server.h"

#include <assert.h>
#include <stdio.h>

#include "base/log_limit.h"
#include "base/memory.h"
#include "codec/envelope.h"
#include "codec/ws/ws_handshake.h"
#include "net/descriptors.h"
#include "script/open_channel.h"
#include "server/posts.h"
#include "session/names.h"

/* How often a turn goes round before it lets the loop look at its descriptors again. */
enum { ROUNDS_MAX = 16 };

/* How long refusals may take to be written, when stopping has taken too long. */
enum { HURRY_MS = 1000 };

/* ---- Turns ----------------------------------------------------------------------------------- */

static bool has_work(struct mw_server *server) {
  return worker_busy(&server->workers[0]) || !mailbox_empty(&server->script.queue);
}

/* Counts that are kept apart from what they count. A request that is never taken off would in the
 * end refuse all others. */
static void assert_idle(const struct mw_server *server) {
  assert(atomic_load(&server->app.job_count) == 0 && "a job was counted twice, or its end was not");
  assert(atomic_load(&server->app.job_bytes) == 0 && "the bytes of a job were counted twice, or its end was not");
}

static void end_pending(struct mw_server *server) { server->app.orderer->end_pending(server->app.orderer); }

static void finish_stopping(struct mw_server *server) {
  end_pending(server);
  server->app.state = APP_STOPPED;
  alarm_free(server->drain);
  server->drain = NULL;
  log_line(MW_LOG_DEBUG, "stopped");
  if (server->on_stopped) server->on_stopped(server->on_stopped_context);
}

static void on_turn(struct loop *loop) {
  struct mw_server *server = container_of(loop, struct mw_server, loop);
  struct worker *worker = &server->workers[0];
  if (server->app.state == APP_FREED) return;
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
  if (has_work(server)) {
    loop_wake(loop);
  } else if (server->app.state == APP_STOPPING && worker->http.conn_count == 0 && script_idle(&server->script) &&
             atomic_load(&server->app.job_count) == 0) {
    assert_idle(server);
    finish_stopping(server);
  }
}

/* ---- Life ------------------------------------------------------------------------------------ */

static int fail(struct mw_error *error, int status) {
  const char *hint = status == UV_EMFILE ? "; raise ulimit -n" : "";
  if (error) snprintf(error->text, sizeof error->text, "%s%s", mw_status_text(status), hint);
  return status;
}

/* The default is always below what is allowed. */
static void check_connections(size_t wanted) {
  size_t allowed = descriptors_for_connections(SIZE_MAX);
  if (wanted <= allowed) return;
  log_line(MW_LOG_WARNING, "limits.connections (%zu) exceeds what ulimit -n (%zu) allows: about %zu connections; raise ulimit -n",
           wanted, descriptors_limit(), allowed);
}

static void discard(struct loop *loop) {
  struct mw_server *server = container_of(loop, struct mw_server, loop);
  store_deinit(&server->store);
  loop_deinit(&server->loop);
  bus_deinit(&server->bus);
  app_deinit(&server->app);
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
    if (error)
      snprintf(error->text, sizeof error->text, "epoch: the first 8 characters of an id of an earlier server are required");
    return MW_EINVAL;
  }
  if (options->position <= POSITION_MAX - POSITIONS_LEFT) return 0;
  if (error)
    snprintf(error->text, sizeof error->text, "position %llu: ids end at %llu", (unsigned long long)options->position,
             (unsigned long long)POSITION_MAX);
  return MW_EINVAL;
}

static void on_forget(struct store *store, struct stored *stored) {
  names_forget(&container_of(store, struct mw_server, store)->app, stored);
}

static struct store_bounds bounds_of(const struct mw_server *server) {
  const struct mw_limits *limits = &server->app.config->options.limits;
  return (struct store_bounds){
      .channels = limits->channels, .history = limits->history, .marks = limits->marks, .position = server->bus.position};
}

struct mw_config *server_use_config(struct mw_server *server, struct mw_config *config) {
  struct mw_config *before = app_set_config(&server->app, config);
  struct store_bounds bounds = bounds_of(server);
  store_set_bounds(&server->store, &bounds);
  mailbox_set_limit(&server->script.queue, config->options.limits.queue);
  return before;
}

static void begin_store(struct mw_server *server) {
  struct store_bounds bounds = bounds_of(server);
  store_init(&server->store, &server->loop.clock, &bounds);
  server->store.on_forget = on_forget;
}

int mw_server_new(struct mw_server **out, const struct mw_server_options *options, struct mw_error *error) {
  struct epoch epoch;
  int status = read_beginning(options, &epoch, error);
  if (status < 0) return status;
  struct mw_server *server = memory_calloc(1, sizeof *server);
  if (!server) return fail(error, MW_ENOMEM);
  log_start();
  list_init(&server->listeners);
  list_init(&server->alarms);
  list_init(&server->signals);
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
  status = loop_init(&server->loop, options->loop, on_turn);
  if (status < 0) goto fail_loop;
  works_init(&server->works, &server->loop);
  begin_store(server);
  status = script_init(&server->script, &server->app, &server->loop);
  if (status < 0) goto fail_script;
  status = worker_init(&server->workers[0], server, 0, &server->loop);
  if (status < 0) goto fail_worker;
  server->worker_count = 1;
  server->app.state = APP_RUNNING;
  check_connections(limits->connections);
  *out = server;
  return 0;

fail_worker:
  script_deinit(&server->script);
fail_script:
  abandon(server);
  return fail(error, status);
fail_loop:
  bus_deinit(&server->bus);
fail_bus:
  app_deinit(&server->app);
fail_app:
  memory_free(server);
  log_stop();
  return fail(error, status);
}

static void release(struct loop *loop) {
  struct mw_server *server = container_of(loop, struct mw_server, loop);
  worker_deinit(&server->workers[0]);
  assert(form_users_are_none(&server->bus.forms));
  discard(loop);
}

void mw_server_free(struct mw_server *server) {
  if (!server) return;
  server->app.state = APP_FREED;
  end_pending(server);
  while (!list_empty(&server->listeners)) listener_close(container_of(server->listeners.next, struct listener, link));
  worker_close(&server->workers[0]);
  script_deinit(&server->script);
  works_close(&server->works);
  while (!list_empty(&server->alarms)) alarm_free(container_of(server->alarms.next, struct alarm, link));
  while (!list_empty(&server->signals)) signal_watch_free(container_of(server->signals.next, struct signal_watch, link));
  alarm_free(server->drain);
  bool is_own = server->loop.is_own;
  if (!is_own) {
    loop_close(&server->loop, release);
    return;
  }
  loop_close(&server->loop, NULL);
  while (server->loop.open_count > 0) loop_run_once(&server->loop);
  release(&server->loop);
}

/* ---- Listening ------------------------------------------------------------------------------- */

static void on_connection(struct listener *listener, int status) {
  struct mw_server *server = listener->owner;
  if (status < 0) {
    bool is_full = status == UV_EMFILE || status == UV_ENFILE;
    log_limited(MW_LOG_ERROR, "%s: connections cannot be accepted: %s%s (connections=%zu)", listener->address,
                mw_status_text(status), is_full ? "; raise ulimit -n, or lower limits.connections" : "",
                server->workers[0].http.conn_count);
    if (is_full) listener_shed(listener);
  } else {
    http_accept(&server->workers[0].http, listener);
  }
}

int mw_server_listen(struct mw_server *server, const char *address, const struct mw_listen_options *options,
                     struct mw_error *error) {
  struct listener *listener;
  if (app_stopping(&server->app)) return fail(error, MW_ECLOSED);
  unsigned mode = options ? options->unix_mode : 0;
  int status = listener_new(&listener, &server->loop, address, mode, on_connection, server, error);
  if (status < 0) return status;
  listener->is_private = options && options->is_private;
  if (listener->is_private) server->app.has_private = true;
  list_append(&server->listeners, &listener->link);
  return 0;
}

const char *mw_server_address(const struct mw_server *server, size_t i) {
  for (struct list *link = server->listeners.next; link != &server->listeners; link = link->next) {
    if (i-- == 0) return container_of(link, struct listener, link)->address;
  }
  return NULL;
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
  const struct timers *timers = &server->workers[0].http.timers;
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

static void stop_conns(struct mw_server *server, bool is_due) {
  http_stop(&server->workers[0].http, is_due);
  transport_stop(&server->workers[0].transport, is_due);
}

static void on_cut(void *context) {
  struct mw_server *server = context;
  log_line(MW_LOG_WARNING, "stopping exceeds limits.drain_seconds (drain_ms in C): resetting connections (connections=%zu)",
           server->workers[0].http.conn_count);
  http_abort(&server->workers[0].http);
  finish_stopping(server);
}

static void on_drained(void *context) {
  struct mw_server *server = context;
  alarm_free(server->drain);
  log_line(MW_LOG_WARNING,
           "stopping exceeds limits.drain_seconds (drain_ms in C): refusing requests and cancelling handlers (connections=%zu)",
           server->workers[0].http.conn_count);
  end_pending(server);
  stop_conns(server, true);
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
  worker_drain(&server->workers[0]); /* what was published before still goes out */
  while (!list_empty(&server->listeners)) listener_close(container_of(server->listeners.next, struct listener, link));
  stop_conns(server, false);
  open_channel_stop_all(&server->script);
  struct mw_config *config = app_hold_config(&server->app);
  server->drain = alarm_new(&server->loop, config->options.limits.drain_ms, 0, on_drained, server);
  mw_config_unref(config);
  loop_wake(&server->loop);
}
