#include <stdatomic.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/status.h"
#include "net/alarm.h"
#include "net/pool.h"
#include "test/support.h"

static struct loop loop;
static struct pool *pool;

/* What came of each job. */
struct piece {
  bool is_done;
  int status, order;
  atomic_int runs, releases;
  void *state;  /* of the thread that ran it */
  uv_sem_t *at; /* it waits there; NULL: nowhere */
};

enum { THREADS = 2, QUEUED = 3, PIECES = 12 };
static struct piece pieces[PIECES];
static int done_count;
/* Threads wait there, so that the test decides when they go on. */
static uv_sem_t gate, other_gate, begun;
static atomic_int opened, closed, released;

static void *open_state(void *context) {
  (void)context;
  atomic_fetch_add(&opened, 1);
  return malloc(1); /* not memory_alloc: no failure is planned for threads */
}
static void close_state(void *state) {
  free(state);
  atomic_fetch_add(&closed, 1);
}
static void release_pool(void *context) {
  (void)context;
  atomic_fetch_add(&released, 1);
}

static void on_turn(struct loop *turning) { (void)turning; }

static int begin_with(void **state, uint64_t wait_ms) {
  int status = support_setup(state);
  const struct mw_pool_options options = {
      .name = "test", .threads = THREADS, .queue = QUEUED, .open = open_state, .close = close_state, .release = release_pool};
  opened = closed = released = 0;
  done_count = 0;
  memset(pieces, 0, sizeof pieces);
  assert_int_equal(loop_init(&loop, NULL, on_turn), 0);
  clock_advance(&loop.clock, 0);
  assert_int_equal(uv_sem_init(&gate, 0), 0);
  assert_int_equal(uv_sem_init(&other_gate, 0), 0);
  assert_int_equal(uv_sem_init(&begun, 0), 0);
  assert_int_equal(pool_new(&pool, &loop, &options, wait_ms), 0);
  return status;
}

static int begin(void **state) { return begin_with(state, 60000); }
static int begin_impatient(void **state) { return begin_with(state, 20); }

static void end_pool(void) {
  size_t open_count = loop.open_count;
  pool_free(pool);
  while (pool && loop.open_count == open_count) loop_run_once(&loop);
  pool = NULL;
}

static int end(void **state) {
  end_pool();
  loop_close(&loop, NULL);
  while (loop.open_count > 0) loop_run_once(&loop);
  assert_int_equal(loop.busy_count, 0);
  loop_deinit(&loop);
  for (size_t i = 0; i < PIECES; i++) assert_int_equal(pieces[i].releases, pieces[i].is_done ? 1 : 0);
  assert_int_equal(opened, closed);
  assert_int_equal(released, 1);
  uv_sem_destroy(&gate);
  uv_sem_destroy(&other_gate);
  uv_sem_destroy(&begun);
  return support_teardown(state);
}

static void run(void *context, void *state) {
  struct piece *piece = context;
  piece->state = state;
  uv_sem_post(&begun);
  if (piece->at) uv_sem_wait(piece->at);
  atomic_fetch_add(&piece->runs, 1);
}

static void on_done(void *context, int status) {
  struct piece *piece = context;
  assert_false(piece->is_done);
  assert_int_equal(piece->releases, 0);
  piece->is_done = true;
  piece->status = status;
  piece->order = done_count++;
}

static void release(void *context) { atomic_fetch_add(&((struct piece *)context)->releases, 1); }

static int start(struct piece *piece, uv_sem_t *at, uint64_t timeout_ms) {
  const struct mw_job job = {
      .name = "piece", .timeout_ms = timeout_ms, .run = run, .on_done = on_done, .release = release, .context = piece};
  piece->at = at;
  return pool_run(pool, &job);
}

static void await_done(int count) {
  while (done_count < count) loop_run_once(&loop);
}
static void await_begun(int count) {
  for (int i = 0; i < count; i++) uv_sem_wait(&begun);
}

/* Deadlines pass only by it. */
static void advance(uint64_t ms) {
  clock_advance(&loop.clock, ms);
  alarms_run(&loop);
}

static void runs_and_reports_once(void **state) {
  (void)state;
  assert_int_equal(start(&pieces[0], NULL, 60000), 0);
  assert_false(pieces[0].is_done);
  await_done(1);
  assert_int_equal(pieces[0].status, 0);
  assert_int_equal(pieces[0].runs, 1);
  assert_int_equal(pieces[0].releases, 1);
}

static void keeps_a_state_for_each_thread(void **state) {
  (void)state;
  for (int i = 0; i < 6; i++) {
    assert_int_equal(start(&pieces[i], NULL, 0), 0);
    await_done(i + 1);
    assert_non_null(pieces[i].state);
  }
  assert_in_range(opened, 1, THREADS);
}

static void starts_threads_as_they_are_needed(void **state) {
  (void)state;
  assert_int_equal(opened, 0);
  assert_int_equal(start(&pieces[0], &gate, 0), 0);
  assert_int_equal(start(&pieces[1], &gate, 0), 0);
  await_begun(2); /* both run at the same time */
  uv_sem_post(&gate);
  uv_sem_post(&gate);
  await_done(2);
  assert_ptr_not_equal(pieces[0].state, pieces[1].state);
}

static void runs_the_queue_in_order_and_refuses_more(void **state) {
  (void)state;
  for (int i = 0; i < THREADS; i++) assert_int_equal(start(&pieces[i], &gate, 0), 0);
  await_begun(THREADS);
  int started = THREADS;
  while (start(&pieces[started], &gate, 0) == 0) started++;
  assert_int_equal(started, THREADS + QUEUED);
  for (int i = 0; i < started; i++) {
    uv_sem_post(&gate);
    await_done(i + 1);
  }
  /* of the two that run, either may end first */
  for (int i = THREADS; i < started; i++) assert_in_range(pieces[i].order, i - 1, i + 1);
}

static void gives_up_what_found_no_thread(void **state) {
  (void)state;
  for (int i = 0; i < THREADS; i++) assert_int_equal(start(&pieces[i], &gate, 0), 0);
  await_begun(THREADS);
  assert_int_equal(start(&pieces[2], NULL, 10), 0);
  advance(9);
  assert_false(pieces[2].is_done);
  advance(1);
  assert_int_equal(pieces[2].status, MW_ETIMEDOUT);
  assert_int_equal(pieces[2].releases, 1);
  for (int i = 0; i < THREADS; i++) uv_sem_post(&gate);
  await_done(3);
  assert_int_equal(pieces[2].runs, 0);
}

static void replaces_a_thread_that_does_not_return(void **state) {
  (void)state;
  for (int i = 0; i < THREADS; i++) assert_int_equal(start(&pieces[i], &gate, 10), 0);
  await_begun(THREADS);
  advance(10);
  for (int i = 0; i < THREADS; i++) {
    assert_int_equal(pieces[i].status, MW_ETIMEDOUT);
    assert_int_equal(pieces[i].releases, 0); /* its thread still uses it */
  }
  assert_int_equal(start(&pieces[2], NULL, 0), 0);
  await_done(3);
  assert_int_equal(pieces[2].status, 0);
  for (int i = 0; i < THREADS; i++) uv_sem_post(&gate);
}

static void replaces_no_more_threads_than_it_has(void **state) {
  (void)state;
  for (int i = 0; i < 2 * THREADS; i++) {
    assert_int_equal(start(&pieces[i], &gate, 10), 0);
    await_begun(1);
    advance(10);
    assert_int_equal(pieces[i].status, MW_ETIMEDOUT);
  }
  assert_int_equal(start(&pieces[4], NULL, 0), MW_EUNAVAILABLE);
  /* One that returns takes jobs again. */
  uv_sem_post(&gate);
  while (start(&pieces[4], NULL, 0) != 0) uv_sleep(1);
  await_done(5);
  assert_int_equal(pieces[4].status, 0);
  for (int i = 1; i < 2 * THREADS; i++) uv_sem_post(&gate);
}

static void cancels_what_has_not_begun(void **state) {
  (void)state;
  for (int i = 0; i < THREADS; i++) assert_int_equal(start(&pieces[i], &gate, 0), 0);
  await_begun(THREADS);
  assert_int_equal(start(&pieces[2], NULL, 0), 0);
  pool_cancel(pool, &pieces[2]);
  assert_int_equal(pieces[2].status, MW_ECLOSED);
  assert_int_equal(pieces[2].releases, 1);
  pool_cancel(pool, &pieces[0]);
  assert_false(pieces[0].is_done);
  for (int i = 0; i < THREADS; i++) uv_sem_post(&gate);
  await_done(3);
  assert_int_equal(pieces[0].status, 0);
  assert_int_equal(pieces[2].runs, 0);
}

static void waits_for_its_threads_at_the_end(void **state) {
  (void)state;
  for (int i = 0; i < THREADS; i++) assert_int_equal(start(&pieces[i], &gate, 0), 0);
  await_begun(THREADS);
  for (int i = 0; i < THREADS; i++) uv_sem_post(&gate);
  end_pool();
  for (int i = 0; i < THREADS; i++) {
    assert_true(pieces[i].is_done);
    assert_int_equal(pieces[i].runs, 1);
    assert_int_equal(pieces[i].releases, 1);
  }
  assert_false(pool_threads_left());
}

static void leaves_behind_what_does_not_return(void **state) {
  (void)state;
  for (int i = 0; i < THREADS + 1; i++) assert_int_equal(start(&pieces[i], &gate, 0), 0);
  await_begun(THREADS);
  end_pool();
  for (int i = 0; i < THREADS + 1; i++) assert_int_equal(pieces[i].status, MW_ECLOSED);
  assert_int_equal(pieces[0].releases, 0);
  assert_int_equal(pieces[THREADS].releases, 1);
  assert_true(pool_threads_left());
  for (int i = 0; i < THREADS; i++) uv_sem_post(&gate);
  while (pool_threads_left()) uv_sleep(1);
  assert_int_equal(pieces[0].runs, 1);
  assert_int_equal(pieces[THREADS].runs, 0);
}

static void refuses_a_wrong_number_of_threads(void **state) {
  (void)state;
  struct pool *other;
  const struct mw_pool_options none = {.name = "none"}, many = {.name = "many", .threads = MW_POOL_THREADS_MAX + 1};
  assert_int_equal(pool_new(&other, &loop, &none, 0), MW_EINVAL);
  assert_int_equal(pool_new(&other, &loop, &many, 0), MW_EINVAL);
}

static bool run_one(void *context) {
  const struct mw_pool_options options = {.name = "one", .threads = 1};
  struct piece piece = {0};
  int before = done_count;
  if (pool_new(&pool, &loop, &options, 60000) != 0) return false;
  bool ok = start(&piece, NULL, 60000) == 0;
  if (ok) await_done(before + 1);
  assert_int_equal(piece.releases, ok);
  end_pool();
  (void)context;
  return ok;
}

static void survives_each_failed_allocation(void **state) {
  (void)state;
  end_pool();
  assert_true(support_fail_each(run_one, NULL) > 4);
}

#define POOL(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
  const struct CMUnitTest tests[] = {
      POOL(runs_and_reports_once),
      POOL(keeps_a_state_for_each_thread),
      POOL(starts_threads_as_they_are_needed),
      POOL(runs_the_queue_in_order_and_refuses_more),
      POOL(gives_up_what_found_no_thread),
      POOL(replaces_a_thread_that_does_not_return),
      POOL(replaces_no_more_threads_than_it_has),
      POOL(cancels_what_has_not_begun),
      POOL(waits_for_its_threads_at_the_end),
      cmocka_unit_test_setup_teardown(leaves_behind_what_does_not_return, begin_impatient, end),
      POOL(refuses_a_wrong_number_of_threads),
      POOL(survives_each_failed_allocation),
  };
  return cmocka_run_group_tests_name("net_pool", tests, NULL, NULL);
}
