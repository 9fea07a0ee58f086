#include "server/worker_thread.h"

#include <assert.h>

#include "server/server.h"

/* How often a turn goes round before the worker looks at its descriptors again. */
enum { ROUNDS_MAX = 16 };

/* ---- The end of a worker's sessions ---------------------------------------------------------- */

/* The last mail of a worker that stops: all leaves of its clients precede it. */
static void take_last(struct mail *mail, void *room, struct subscriber *none) {
  (void)mail;
  (void)none;
  container_of((struct script *)room, struct mw_server, script)->ended_count++;
}

static void drop_last(struct mail *mail) { (void)mail; }
static const struct mail_class last_class = {.take = take_last, .drop = drop_last};

static void post_last(struct worker *worker) {
  struct mw_server *server = worker->server;
  if (worker->has_ended || server->app.state != APP_STOPPING) return;
  if (worker->http.conn_count > 0 || worker->transport.polls.count > 0) return;
  worker->has_ended = true;
  worker->last = (struct mail){.class = &last_class};
  mailbox_post(&server->script.queue, &worker->last);
}

/* ---- Turns ----------------------------------------------------------------------------------- */

static void on_worker_turn(struct loop *loop) {
  struct worker *worker = container_of(loop, struct worker, own);
  if (worker->is_closed) {
    /* Read once: it may be set at any time, and what it asks for is done once. */
    if (worker->is_ending || !atomic_load(&worker->must_end)) return;
    worker->is_ending = true;
    loop_close(loop, NULL);
    return;
  }
  server_share_time(worker->server, loop);
  delivery_begin_turn(&worker->delivery);
  for (int round = 0; round == 0 || (round < ROUNDS_MAX && worker_busy(worker)); round++) {
    worker_drain(worker);
    if (worker->is_closed) return;
    worker_flush(worker);
    if (round == 0 && loop->has_polled) budget_resume(&worker->http);
  }
  if (worker_busy(worker)) {
    loop_wake(loop);
  } else {
    post_last(worker);
  }
}

static void run_thread(void *context) {
  struct worker *worker = context;
  while (worker->own.open_count > 0) loop_run_once(&worker->own);
}

/* ---- Calls ----------------------------------------------------------------------------------- */

struct call {
  struct mail mail;
  void (*run)(struct worker *worker, void *context);
  void *context;
  struct done done;
};

static void take_call(struct mail *mail, void *room, struct subscriber *none) {
  struct call *call = container_of(mail, struct call, mail);
  (void)none;
  call->run(worker_of_room(room), call->context);
  done_tell(&call->done);
}

static void drop_call(struct mail *mail) { done_tell(&container_of(mail, struct call, mail)->done); }
static const struct mail_class call_class = {.take = take_call, .drop = drop_call};

void worker_call(struct worker *worker, void (*run)(struct worker *worker, void *context), void *context) {
  struct call call = {.mail = {.class = &call_class, .to = {.worker = worker->index}}, .run = run, .context = context};
  if (!worker->has_thread || worker->was_closed || done_init(&call.done) < 0) {
    assert(!worker->has_thread || worker->was_closed);
    run(worker, context);
    return;
  }
  mailbox_post(&worker->mailbox, &call.mail);
  done_await(&call.done);
  done_deinit(&call.done);
}

/* ---- Life ------------------------------------------------------------------------------------ */

int worker_thread_start(struct worker *worker, struct mw_server *server, uint32_t index) {
  int status = loop_init(&worker->own, NULL, on_worker_turn);
  if (status < 0) return status;
  status = worker_init(worker, server, index, &worker->own);
  if (status == 0) {
    status = thread_start(&worker->thread, run_thread, worker);
    worker->has_thread = status == 0;
    if (status == 0) return 0;
    worker_close(worker);
    worker->is_closed = true;
  }
  loop_close(&worker->own, NULL);
  while (worker->own.open_count > 0) loop_run_once(&worker->own);
  if (worker->is_closed) worker_deinit(worker);
  loop_deinit(&worker->own);
  return status;
}

static void close_here(struct worker *worker, void *context) {
  (void)context;
  worker_close(worker);
  worker->is_closed = true;
}

void worker_thread_close(struct worker *worker) {
  worker_call(worker, close_here, NULL);
  worker->was_closed = true;
}

void worker_thread_end(struct worker *worker) {
  atomic_store(&worker->must_end, true);
  loop_wake(&worker->own);
  thread_join(&worker->thread);
}
