#include <stdatomic.h>

#include "base/memory.h"
#include "base/status.h"
#include "net/work.h"
#include "test/support.h"

static struct loop loop;
static struct works works;

/* What came of each piece of work. */
struct piece {
  struct work *work;
  bool is_done;
  int status, order;
  atomic_int runs;
};

enum { PIECES = WORK_RUNNING_MAX + MW_WORK_WAITING_MAX };
static struct piece pieces[PIECES + 1];
static int done_count;
/* The pool's threads wait for it, so that the test decides when they go on. */
static uv_sem_t gate;
static atomic_int running, most_running;

static void on_turn(struct loop *turning) { (void)turning; }

static int begin(void **state) {
  int status = support_setup(state);
  assert_int_equal(loop_init(&loop, NULL, on_turn), 0);
  works_init(&works, &loop);
  assert_int_equal(uv_sem_init(&gate, 0), 0);
  done_count = 0;
  running = most_running = 0;
  memset(pieces, 0, sizeof pieces);
  return status;
}

static void run_loop(int count) {
  while (done_count < count) loop_run_once(&loop);
}

static int end(void **state) {
  works_close(&works);
  loop_close(&loop, NULL);
  while (loop.open_count > 0) loop_run_once(&loop);
  loop_deinit(&loop);
  uv_sem_destroy(&gate);
  return support_teardown(state);
}

static void run(void *context) {
  struct piece *piece = context;
  int now = atomic_fetch_add(&running, 1) + 1;
  if (now > most_running) most_running = now;
  uv_sem_wait(&gate);
  piece->runs++;
  atomic_fetch_sub(&running, 1);
}

static void on_done(void *context, int status) {
  struct piece *piece = context;
  assert_false(piece->is_done);
  piece->is_done = true;
  piece->status = status;
  piece->order = done_count++;
}

static int start(struct piece *piece) { return work_start(&piece->work, &works, run, on_done, piece); }

static void runs_and_reports_once(void **state) {
  (void)state;
  assert_int_equal(start(&pieces[0]), 0);
  assert_false(pieces[0].is_done);
  uv_sem_post(&gate);
  run_loop(1);
  assert_int_equal(pieces[0].runs, 1);
  assert_int_equal(pieces[0].status, 0);
}

static void a_few_run_and_some_wait(void **state) {
  (void)state;
  for (int i = 0; i < PIECES; i++) assert_int_equal(start(&pieces[i]), 0);
  assert_int_equal(start(&pieces[PIECES]), MW_EUNAVAILABLE);
  for (int i = 0; i < PIECES; i++) uv_sem_post(&gate);
  run_loop(PIECES);
  for (int i = 0; i < PIECES; i++) {
    assert_int_equal(pieces[i].status, 0);
    assert_int_equal(pieces[i].runs, 1);
  }
  assert_true(most_running <= WORK_RUNNING_MAX);
  assert_false(pieces[PIECES].is_done);
}

static void what_waits_can_be_cancelled(void **state) {
  (void)state;
  for (int i = 0; i < WORK_RUNNING_MAX + 2; i++) assert_int_equal(start(&pieces[i]), 0);
  work_cancel(pieces[0].work); /* runs */
  assert_false(pieces[0].is_done);
  work_cancel(pieces[WORK_RUNNING_MAX].work);
  assert_int_equal(pieces[WORK_RUNNING_MAX].status, MW_ECLOSED);
  for (int i = 0; i < WORK_RUNNING_MAX + 1; i++) uv_sem_post(&gate);
  run_loop(WORK_RUNNING_MAX + 2);
  assert_int_equal(pieces[WORK_RUNNING_MAX].runs, 0);
  assert_int_equal(pieces[WORK_RUNNING_MAX + 1].runs, 1);
}

static void an_end_waits_for_what_runs(void **state) {
  (void)state;
  for (int i = 0; i < WORK_RUNNING_MAX + 1; i++) assert_int_equal(start(&pieces[i]), 0);
  works_close(&works);
  assert_int_equal(done_count, 1);
  assert_int_equal(pieces[WORK_RUNNING_MAX].status, MW_ECLOSED);
  assert_int_equal(start(&pieces[PIECES]), MW_ECLOSED);
  for (int i = 0; i < WORK_RUNNING_MAX; i++) uv_sem_post(&gate);
  loop_close(&loop, NULL);
  while (loop.open_count > 0) loop_run_once(&loop);
  assert_int_equal(done_count, WORK_RUNNING_MAX + 1);
  loop_deinit(&loop);
  assert_int_equal(loop_init(&loop, NULL, on_turn), 0); /* for the teardown */
}

/* The next piece is started before the callback, which may start another. */
static void start_another(void *context, int status) {
  on_done(context, status);
  if (done_count == 1) assert_int_equal(start(&pieces[1]), 0);
}

static void a_callback_may_start_more(void **state) {
  (void)state;
  assert_int_equal(work_start(&pieces[0].work, &works, run, start_another, &pieces[0]), 0);
  uv_sem_post(&gate);
  uv_sem_post(&gate);
  run_loop(2);
  assert_int_equal(pieces[1].status, 0);
}

static bool start_one(void *context) {
  struct piece *piece = context;
  memset(piece, 0, sizeof *piece);
  int status = start(piece);
  if (status == MW_ENOMEM) return false;
  assert_int_equal(status, 0);
  uv_sem_post(&gate);
  run_loop(1);
  return true;
}

static void stands_failing_memory(void **state) {
  (void)state;
  assert_true(support_fail_each(start_one, &pieces[0]) > 1);
}

#define IN_LOOP(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
  const struct CMUnitTest tests[] = {IN_LOOP(runs_and_reports_once),       IN_LOOP(a_few_run_and_some_wait),
                                     IN_LOOP(what_waits_can_be_cancelled), IN_LOOP(an_end_waits_for_what_runs),
                                     IN_LOOP(a_callback_may_start_more),   IN_LOOP(stands_failing_memory)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
