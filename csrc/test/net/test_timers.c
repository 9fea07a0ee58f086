#include "net/timers.h"

#include "test/support.h"

enum { COUNT = 200 };

struct probe {
  struct timer timer;
  uint64_t due_ms, fired_ms;
  unsigned fired;
};

static struct loop loop;
static struct timers timers;
static struct probe probes[COUNT];
static unsigned seconds;
/* What a probe does when it is due. */
static void (*on_probe)(struct probe *probe);

static void on_turn(struct loop *turning) { (void)turning; }
static void on_second(struct timers *ticking) {
  (void)ticking;
  seconds++;
}

static void on_due(struct timers *wheel, struct timer *timer) {
  struct probe *probe = container_of(timer, struct probe, timer);
  assert_ptr_equal(wheel, &timers);
  assert_true(list_empty(&timer->link));
  probe->fired++;
  probe->fired_ms = loop.clock.now_ms;
  if (on_probe) on_probe(probe);
}

static int begin(void **state) {
  assert_int_equal(loop_init(&loop, NULL, on_turn), 0);
  assert_int_equal(timers_init(&timers, &loop, on_due, on_second), 0);
  for (size_t i = 0; i < COUNT; i++) {
    probes[i] = (struct probe){.fired = 0};
    timer_init(&probes[i].timer);
  }
  seconds = 0;
  on_probe = NULL;
  return support_setup(state);
}

static int end(void **state) {
  for (size_t i = 0; i < COUNT; i++) timer_stop(&probes[i].timer);
  timers_close(&timers);
  loop_close(&loop, NULL);
  while (loop.open_count > 0) loop_run_once(&loop);
  loop_deinit(&loop);
  return support_teardown(state);
}

static void start(struct probe *probe, uint64_t delay_ms) {
  probe->due_ms = loop.clock.now_ms + delay_ms;
  timer_start(&timers, &probe->timer, delay_ms);
}

static void pass(uint64_t ms) {
  clock_advance(&loop.clock, ms);
  timers_run(&timers);
}

static void fires_never_early_and_at_most_a_second_late(void **state) {
  (void)state;
  uint32_t random = 12345;
  for (uint64_t step = 1; step <= 1000; step = step * 3 + 7) {
    for (size_t i = 0; i < COUNT; i++) {
      random = random * 1664525 + 1013904223;
      start(&probes[i], (random >> 8) % 140000); /* more than twice round the wheel */
      probes[i].fired = 0;
      if (i % 10 == 0) pass(random % 700);
    }
    for (uint64_t passed = 0; passed <= 142000; passed += step) pass(step);
    for (size_t i = 0; i < COUNT; i++) {
      assert_int_equal(probes[i].fired, 1);
      assert_true(probes[i].fired_ms >= probes[i].due_ms);
      assert_true(probes[i].fired_ms < probes[i].due_ms + 1000 + (step > 700 ? step : 700));
    }
  }
}

static void starting_anew_moves_and_stopping_ends(void **state) {
  (void)state;
  start(&probes[0], 2000);
  start(&probes[1], 2000);
  start(&probes[2], 2000);
  pass(1500);
  start(&probes[0], 5000);
  timer_stop(&probes[1].timer);
  timer_stop(&probes[1].timer);
  pass(2000);
  assert_int_equal(probes[0].fired, 0);
  assert_int_equal(probes[1].fired, 0);
  assert_int_equal(probes[2].fired, 1);
  start(&probes[0], 10); /* earlier, too */
  pass(1000);
  assert_int_equal(probes[0].fired, 1);
  pass(200000);
  assert_int_equal(probes[0].fired, 1);
  assert_int_equal(probes[1].fired, 0);
}

static void restart_itself(struct probe *probe) {
  if (probe->fired < 5) start(probe, probe == &probes[0] ? 0 : TIMER_SLOTS * 1000);
}

static void may_be_started_inside_its_callback(void **state) {
  (void)state;
  on_probe = restart_itself;
  start(&probes[0], 0);
  start(&probes[1], 0);
  pass(1000);
  /* One of no delay comes with the next second, not at once and indefinitely; one of a whole round
   * lands in its own slot. */
  assert_int_equal(probes[0].fired, 1);
  assert_int_equal(probes[1].fired, 1);
  pass(1000);
  assert_int_equal(probes[0].fired, 2);
  assert_int_equal(probes[1].fired, 1);
  for (unsigned n = 0; n < TIMER_SLOTS; n++) pass(1000);
  assert_int_equal(probes[0].fired, 5);
  assert_int_equal(probes[1].fired, 2);
}

static void stop_the_others(struct probe *probe) {
  for (size_t i = 0; i < 10; i++) {
    if (&probes[i] != probe) timer_stop(&probes[i].timer);
  }
  start(&probes[50], 0);
}

static void may_stop_others_that_are_due_as_well(void **state) {
  (void)state;
  on_probe = stop_the_others;
  for (size_t i = 0; i < 10; i++) start(&probes[i], 1000);
  pass(3000);
  unsigned fired = 0;
  for (size_t i = 0; i < 10; i++) fired += probes[i].fired;
  assert_int_equal(fired, 1);
  pass(1000);
  assert_true(probes[50].fired > 0);
}

static void catches_up_after_a_long_sleep(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT; i++) start(&probes[i], i * 1000);
  seconds = 0;
  pass(86400 * 1000);
  for (size_t i = 0; i < COUNT; i++) assert_int_equal(probes[i].fired, 1);
  assert_int_equal(seconds, 86400);
  start(&probes[0], 1500);
  pass(1000);
  assert_int_equal(probes[0].fired, 1);
  pass(1000);
  assert_int_equal(probes[0].fired, 2);
}

static void ticks_by_itself(void **state) {
  (void)state;
  start(&probes[0], 100);
  while (probes[0].fired == 0) loop_run_once(&loop);
  assert_true(probes[0].fired_ms >= probes[0].due_ms);
  assert_true(seconds > 0);
}

#define TIMERS_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
  const struct CMUnitTest tests[] = {
      TIMERS_TEST(fires_never_early_and_at_most_a_second_late),
      TIMERS_TEST(starting_anew_moves_and_stopping_ends),
      TIMERS_TEST(may_be_started_inside_its_callback),
      TIMERS_TEST(may_stop_others_that_are_due_as_well),
      TIMERS_TEST(catches_up_after_a_long_sleep),
      TIMERS_TEST(ticks_by_itself),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
