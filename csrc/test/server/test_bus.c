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
  for (size_t i = 0; i < WORKERS; i++) assert_int_equal(mailbox_init(&workers[i].fifo, &loop, i == 1 ? LIMIT / 2 : LIMIT), 0);
  return support_setup(state);
}

static int end(void **state) {
  struct mail mail;
  for (size_t i = 0; i < WORKERS; i++) {
    while (mailbox_take(&workers[i].fifo, &mail)) continue;
    mailbox_deinit(&workers[i].fifo);
  }
  loop_close(&loop, NULL);
  while (loop.open_count > 0) loop_run_once(&loop);
  loop_deinit(&loop);
  return support_teardown(state);
}

static void assert_reserved(size_t count) {
  for (size_t i = 0; i < WORKERS; i++) assert_int_equal(workers[i].fifo.reserved, count);
}

static void every_worker_has_a_place_or_none(void **state) {
  (void)state;
  assert_int_equal(bus_reserve(workers, WORKERS, 30), 0);
  assert_reserved(1);
  for (size_t i = 0; i < WORKERS; i++) mailbox_post_reserved(&workers[i].fifo, (struct mail){.size = 30});
  assert_reserved(0);
  /* The second has no room for it; the others have. */
  assert_int_equal(bus_reserve(workers, WORKERS, 30), MW_EUNAVAILABLE);
  assert_reserved(0);
  /* Nor has the last. */
  assert_int_equal(mailbox_post(&workers[2].fifo, (struct mail){.size = 70}), 0);
  assert_int_equal(bus_reserve(workers, WORKERS, 10), MW_EUNAVAILABLE);
  assert_reserved(0);
  struct mail mail;
  assert_true(mailbox_take(&workers[2].fifo, &mail));
  assert_int_equal(bus_reserve(workers, WORKERS, 10), 0);
  assert_reserved(1);
  for (size_t i = 0; i < WORKERS; i++) mailbox_post_reserved(&workers[i].fifo, (struct mail){.size = 10});
  assert_int_equal(bus_reserve(workers, 0, 1000), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(every_worker_has_a_place_or_none, begin, end)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
