#include "net/loop.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "base/list.h"
#include "net/alarm.h"

enum { POOL_WAIT_MS = 60000 };

static _Thread_local const struct loop *entered;

const struct loop *loop_enter(const struct loop *loop) {
  const struct loop *before = entered;
  entered = loop;
  return before;
}
void loop_leave(const struct loop *before) { entered = before; }
bool loop_is_entered(const struct loop *loop) { return entered == loop; }

static void run_turn(struct loop *loop) {
  const struct loop *before = loop_enter(loop);
  clock_update(&loop->clock);
  loop->on_turn(loop);
  loop_leave(before);
}

static void on_prepare(uv_prepare_t *prepare) {
  struct loop *loop = container_of(prepare, struct loop, prepare);
  loop->turn++;
  loop->has_polled = false;
  loop->rings = false;
  alarms_start_late(loop);
  run_turn(loop);
}
static void on_check(uv_check_t *check) {
  struct loop *loop = container_of(check, struct loop, check);
  loop->has_polled = true;
  run_turn(loop);
  loop->rings = true; /* libuv's timers come next */
}
static void on_wake(uv_async_t *wake) { (void)wake; /* the turn follows, in the check callback */ }

/* A peer that closes between two writes must not end the process. If the host has set a handler for
 * the signal, it stays. */
static void ignore_sigpipe(void) {
  struct sigaction action;
  if (sigaction(SIGPIPE, NULL, &action) < 0 || (action.sa_flags & SA_SIGINFO) || action.sa_handler != SIG_DFL) return;
  action.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &action, NULL);
}

/* libuv aborts the process if its first loop has no descriptors for signals. It needs three by
 * then. */
static int check_descriptors(void) {
  int ends[4];
  if (pipe(ends) < 0) return uv_translate_sys_error(errno);
  int status = pipe(ends + 2) < 0 ? uv_translate_sys_error(errno) : 0;
  for (size_t i = 0; i < (status < 0 ? 2 : 4); i++) close(ends[i]);
  return status;
}

int loop_init(struct loop *loop, uv_loop_t *host, void (*on_turn)(struct loop *loop)) {
  *loop = (struct loop){.on_turn = on_turn, .is_own = host == NULL, .turn = 1, .rings = true};
  list_init(&loop->alarms);
  list_init(&loop->late_alarms);
  clock_init(&loop->clock);
  ignore_sigpipe();
  int status = host ? 0 : check_descriptors();
  if (!host && status == 0) status = uv_loop_init(&loop->own);
  if (status < 0) return status;
  loop->uv = host ? host : &loop->own;
  status = uv_async_init(loop->uv, &loop->wake, on_wake);
  if (status < 0) {
    if (loop->is_own) uv_loop_close(&loop->own);
    return status;
  }
  uv_prepare_init(loop->uv, &loop->prepare);
  uv_check_init(loop->uv, &loop->check);
  uv_prepare_start(&loop->prepare, on_prepare);
  uv_check_start(&loop->check, on_check);
  loop->open_count = 3;
  return 0;
}

void loop_wake(struct loop *loop) { uv_async_send(&loop->wake); }

void loop_changed(struct loop *loop) {
  if (loop->is_own && !loop->runs) loop_wake(loop);
}

static void run(struct loop *loop, uv_run_mode mode) {
  bool before = loop->runs;
  loop->runs = true;
  uv_run(loop->uv, mode);
  loop->runs = before;
}

void loop_run_once(struct loop *loop) { run(loop, UV_RUN_ONCE); }
void loop_step(struct loop *loop) { run(loop, UV_RUN_NOWAIT); }
int loop_fd(const struct loop *loop) { return uv_backend_fd(loop->uv); }

int loop_timeout(struct loop *loop) {
  alarms_start_late(loop);
  uv_update_time(loop->uv);
  return uv_backend_timeout(loop->uv);
}

bool loop_has_work(struct loop *loop) {
  if (loop_timeout(loop) == 0) return true;
  struct pollfd descriptor = {.fd = loop_fd(loop), .events = POLLIN};
  bool is_busy = loop->uv->active_reqs.count > 0 || loop->busy_count > 0;
  return poll(&descriptor, 1, is_busy ? POOL_WAIT_MS : 0) > 0;
}

void loop_opened(struct loop *loop) { loop->open_count++; }

void loop_handle_closed(struct loop *loop) {
  assert(loop->open_count > 0);
  if (--loop->open_count == 0 && loop->on_closed) loop->on_closed(loop);
}

static void on_wake_closed(uv_handle_t *handle) { loop_handle_closed(container_of((uv_async_t *)handle, struct loop, wake)); }
static void on_prepare_closed(uv_handle_t *handle) {
  loop_handle_closed(container_of((uv_prepare_t *)handle, struct loop, prepare));
}
static void on_check_closed(uv_handle_t *handle) { loop_handle_closed(container_of((uv_check_t *)handle, struct loop, check)); }

void loop_close(struct loop *loop, void (*on_closed)(struct loop *loop)) {
  loop->on_closed = on_closed;
  uv_close((uv_handle_t *)&loop->wake, on_wake_closed);
  uv_close((uv_handle_t *)&loop->prepare, on_prepare_closed);
  uv_close((uv_handle_t *)&loop->check, on_check_closed);
}

void loop_deinit(struct loop *loop) {
  assert(loop->open_count == 0);
  if (!loop->is_own) return;
  int status = uv_loop_close(&loop->own);
  assert(status == 0);
  (void)status;
}
