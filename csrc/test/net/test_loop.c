#include <pthread.h>
#include <time.h>

#include "base/memory.h"
#include "net/alarm.h"
#include "test/support.h"

static struct loop loop;
static unsigned turns;

static void on_turn(struct loop *turning) {
  (void)turning;
  turns++;
}

static int begin(void **state) {
  int status = support_setup(state);
  assert_int_equal(loop_init(&loop, NULL, on_turn), 0);
  turns = 0;
  return status;
}

static int end(void **state) {
  loop_close(&loop, NULL);
  while (loop.open_count > 0) loop_run_once(&loop);
  loop_deinit(&loop);
  return support_teardown(state);
}

static void turns_before_and_after_each_poll(void **state) {
  (void)state;
  loop_step(&loop);
  assert_int_equal(turns, 2);
  loop_step(&loop);
  assert_int_equal(turns, 4);
}

static void *wake(void *context) {
  loop_wake(context);
  return NULL;
}

static void is_woken_by_any_thread(void **state) {
  (void)state;
  pthread_t thread;
  loop_step(&loop);
  assert_int_equal(loop_timeout(&loop), -1);
  assert_int_equal(pthread_create(&thread, NULL, wake, &loop), 0);
  loop_run_once(&loop); /* blocks indefinitely if it is not */
  pthread_join(thread, NULL);
}

struct ringing {
  struct alarm *alarm;
  unsigned rung, until;
  uint64_t first_ns;
};

static uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void on_alarm(void *context) {
  struct ringing *ringing = context;
  if (ringing->rung++ == 0) ringing->first_ns = now_ns();
  if (ringing->rung == ringing->until) {
    alarm_free(ringing->alarm);
    ringing->alarm = NULL;
  }
}

static void an_alarm_rings_after_its_delay(void **state) {
  (void)state;
  struct ringing once = {.until = 0}, often = {.until = 3};
  uint64_t start_ns = now_ns();
  once.alarm = alarm_new(&loop, 20, 0, on_alarm, &once);
  often.alarm = alarm_new(&loop, 5, 1, on_alarm, &often);
  while (once.rung == 0 || often.rung < 3) loop_run_once(&loop);
  assert_true(once.first_ns - start_ns >= 19 * 1000000);
  assert_null(often.alarm);
  for (unsigned n = 0; n < 10; n++) loop_step(&loop);
  assert_int_equal(once.rung, 1);
  assert_int_equal(often.rung, 3);
  alarm_free(once.alarm);
  alarm_free(NULL);
}

static void set_again(void *context) {
  struct ringing *ringing = context;
  alarm_free(ringing->alarm);
  ringing->alarm = ++ringing->rung < 1000 ? alarm_new(&loop, 0, 0, set_again, ringing) : NULL;
}

/* Whatever else the loop has to do comes between. */
static void an_alarm_that_is_set_while_it_rings_waits_for_the_next_turn(void **state) {
  (void)state;
  struct ringing ringing = {.until = 0}, moved = {.until = 0};
  ringing.alarm = alarm_new(&loop, 0, 0, set_again, &ringing);
  for (unsigned turn = 1; turn <= 5; turn++) {
    loop_step(&loop);
    assert_in_range(ringing.rung, turn - 1, turn);
    assert_int_equal(loop_timeout(&loop), 0);
  }
  alarm_free(ringing.alarm);
  moved.alarm = alarm_new(&loop, 1000000, 0, on_alarm, &moved);
  alarm_set(moved.alarm, 0); /* between two turns */
  alarm_free(alarm_new(&loop, 0, 0, on_alarm, &moved));
  while (moved.rung == 0) loop_run_once(&loop);
  assert_int_equal(moved.rung, 1);
  alarm_free(moved.alarm);
}

static void a_freed_alarm_does_not_ring(void **state) {
  (void)state;
  struct ringing ringing = {.until = 0};
  alarm_free(alarm_new(&loop, 0, 0, on_alarm, &ringing));
  for (unsigned n = 0; n < 10; n++) loop_step(&loop);
  assert_int_equal(ringing.rung, 0);
}

static bool make_alarm(void *context) {
  struct alarm *alarm = alarm_new(&loop, 1000, 0, on_alarm, context);
  alarm_free(alarm);
  loop_step(&loop);
  return alarm != NULL;
}

static void stands_failing_memory(void **state) {
  (void)state;
  assert_int_equal(support_fail_each(make_alarm, NULL), 2);
}

static bool host_is_over;
static void on_host_closed(struct loop *closed) {
  loop_deinit(closed);
  host_is_over = true;
}

/* On a loop of someone else everything ends in its turns, and nothing of ours is left in it. */
static void lives_on_the_loop_of_a_host(void **state) {
  (void)state;
  uv_loop_t host;
  struct loop guest;
  struct ringing ringing = {.until = 0};
  assert_int_equal(uv_loop_init(&host), 0);
  assert_int_equal(loop_init(&guest, &host, on_turn), 0);
  ringing.alarm = alarm_new(&guest, 0, 0, on_alarm, &ringing);
  while (ringing.rung == 0) uv_run(&host, UV_RUN_NOWAIT);
  assert_true(turns > 0);
  alarm_free(ringing.alarm);
  host_is_over = false;
  loop_close(&guest, on_host_closed);
  uv_run(&host, UV_RUN_DEFAULT);
  assert_true(host_is_over);
  assert_int_equal(uv_loop_close(&host), 0);
}

#define LOOP_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
  const struct CMUnitTest tests[] = {
      LOOP_TEST(turns_before_and_after_each_poll), LOOP_TEST(is_woken_by_any_thread),
      LOOP_TEST(an_alarm_rings_after_its_delay),   LOOP_TEST(an_alarm_that_is_set_while_it_rings_waits_for_the_next_turn),
      LOOP_TEST(a_freed_alarm_does_not_ring),      LOOP_TEST(stands_failing_memory),
      LOOP_TEST(lives_on_the_loop_of_a_host),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
