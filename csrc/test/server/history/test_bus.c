/* Several workers: what is published has a place in the queue of each, or of none. */
#include "base/status.h"
#include "server/bus.h"
#include "server/worker.h"
#include "test/support.h"

enum { WORKERS = 3, LIMIT = 100 };

static struct loop loop;
static struct worker workers[WORKERS]; /* nothing but their queues */

static void on_turn(struct loop *turning) { (void)turning; }

static int begin(void **state) {
  assert_int_equal(loop_init(&loop, NULL, on_turn), 0);
  for (size_t i = 0; i < WORKERS; i++) assert_int_equal(mailbox_init(&workers[i].mailbox, &loop, i == 1 ? LIMIT / 2 : LIMIT), 0);
  return support_setup(state);
}

static int end(void **state) {
  for (size_t i = 0; i < WORKERS; i++) {
    while (mailbox_take(&workers[i].mailbox)) continue;
    mailbox_deinit(&workers[i].mailbox);
  }
  loop_close(&loop, NULL);
  while (loop.open_count > 0) loop_run_once(&loop);
  loop_deinit(&loop);
  return support_teardown(state);
}

static void assert_reserved(size_t bytes) {
  for (size_t i = 0; i < WORKERS; i++) assert_int_equal(workers[i].mailbox.reserved, bytes);
}

static void every_worker_has_a_place_or_none(void **state) {
  (void)state;
  /* What is posted is still in the queues when the test has ended. */
  static struct mail large[WORKERS] = {{.size = 30}, {.size = 30}, {.size = 30}},
                     small[WORKERS] = {{.size = 10}, {.size = 10}, {.size = 10}};
  static struct mail other = {.size = 70};
  size_t full = WORKERS;
  assert_int_equal(bus_reserve(workers, WORKERS, 30, &full), 0);
  assert_reserved(30);
  bus_post_reserved(workers, large, WORKERS);
  assert_reserved(0);
  /* The second has no room for it; the others have. */
  assert_int_equal(bus_reserve(workers, WORKERS, 30, &full), MW_EUNAVAILABLE);
  assert_int_equal(full, 1);
  assert_reserved(0);
  /* Nor has the last. */
  assert_int_equal(mailbox_post(&workers[2].mailbox, &other), 0);
  assert_int_equal(bus_reserve(workers, WORKERS, 10, &full), MW_EUNAVAILABLE);
  assert_int_equal(full, 2);
  assert_reserved(0);
  assert_ptr_equal(mailbox_take(&workers[2].mailbox), &large[2]);
  assert_int_equal(bus_reserve(workers, WORKERS, 10, &full), 0);
  assert_reserved(10);
  bus_post_reserved(workers, small, WORKERS);
  assert_int_equal(bus_reserve(workers, 0, 1000, &full), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(every_worker_has_a_place_or_none, begin, end)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
