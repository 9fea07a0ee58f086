#include <pthread.h>
#include <sched.h>

#include "base/memory.h"
#include "base/status.h"
#include "net/mailbox.h"
#include "test/support.h"

enum { PRODUCERS = 2, EACH = 3000 };

static struct loop loop;
static struct mailbox mailbox;
static size_t turns, taken, next_of[PRODUCERS];

static void on_turn(struct loop *turning) {
  (void)turning;
  turns++;
}

static int begin(void **state) {
  assert_int_equal(loop_init(&loop, NULL, on_turn), 0);
  assert_int_equal(mailbox_init(&mailbox, &loop, 100), 0);
  return support_setup(state);
}

static int end(void **state) {
  struct mail mail;
  while (mailbox_take(&mailbox, &mail)) continue;
  mailbox_deinit(&mailbox);
  loop_close(&loop, NULL);
  while (loop.open_count > 0) loop_run_once(&loop);
  loop_deinit(&loop);
  return support_teardown(state);
}

static int post(unsigned type, size_t size) { return mailbox_post(&mailbox, (struct mail){.type = type, .size = size}); }

static void assert_takes(unsigned type) {
  struct mail mail;
  assert_true(mailbox_take(&mailbox, &mail));
  assert_int_equal(mail.type, type);
}

static void is_first_in_first_out(void **state) {
  (void)state;
  struct mail mail;
  assert_true(mailbox_empty(&mailbox));
  assert_false(mailbox_take(&mailbox, &mail));
  unsigned posted = 0, expected = 0;
  for (unsigned round = 1; round < 60; round++) {
    for (unsigned i = 0; i < round; i++) assert_int_equal(post(posted++, 0), 0);
    for (unsigned i = 0; i < round / 2; i++) assert_takes(expected++);
    assert_false(mailbox_empty(&mailbox));
  }
  while (expected < posted) assert_takes(expected++);
  assert_true(mailbox_empty(&mailbox));
}

static void is_limited_in_bytes(void **state) {
  (void)state;
  assert_int_equal(post(1, 60), 0);
  assert_int_equal(post(2, 41), MW_EUNAVAILABLE);
  assert_int_equal(post(2, 40), 0);
  assert_int_equal(post(3, 1), MW_EUNAVAILABLE);
  assert_int_equal(mailbox_reserve(&mailbox, 1), MW_EUNAVAILABLE);
  assert_int_equal(post(3, 0), 0); /* what counts nothing always finds room */
  assert_int_equal(mailbox_reserve(&mailbox, 0), 0);
  mailbox_unreserve(&mailbox);
  for (unsigned type = 1; type <= 3; type++) assert_takes(type);
  assert_int_equal(post(4, 100), 0);
  assert_takes(4);
}

static void a_reserved_place_is_kept(void **state) {
  (void)state;
  for (size_t n = 0; n < 100; n++) assert_int_equal(mailbox_reserve(&mailbox, 1), 0);
  memory_fail_after(1); /* none of these may need memory */
  for (unsigned n = 0; n < 100; n++) mailbox_post_reserved(&mailbox, (struct mail){.type = n, .size = 1});
  assert_null(memory_alloc(1));
  for (unsigned n = 0; n < 100; n++) assert_takes(n);
  assert_true(mailbox_empty(&mailbox));
}

/* Places are promised in a list, which must not be swapped for a smaller one meanwhile. */
static void a_reserved_place_outlives_a_drain(void **state) {
  (void)state;
  struct mail mail;
  assert_int_equal(post(1, 1), 0);
  for (size_t n = 0; n < 40; n++) assert_int_equal(mailbox_reserve(&mailbox, 1), 0);
  while (mailbox_take(&mailbox, &mail)) assert_int_equal(mail.type, 1);
  memory_fail_after(1);
  for (unsigned n = 0; n < 20; n++) mailbox_post_reserved(&mailbox, (struct mail){.type = 2, .size = 1});
  for (unsigned n = 0; n < 20; n++) mailbox_unreserve(&mailbox);
  assert_null(memory_alloc(1));
  size_t count = 0;
  while (mailbox_take(&mailbox, &mail)) count += mail.type == 2;
  assert_int_equal(count, 20);
}

static void wakes_its_loop(void **state) {
  (void)state;
  for (unsigned n = 0; n < 3; n++) {
    size_t before = turns;
    assert_int_equal(post(n, 0), 0);
    while (turns < before + 2) loop_run_once(&loop); /* blocks for ever if it was not woken */
    assert_takes(n);
  }
  assert_int_equal(mailbox_reserve(&mailbox, 0), 0);
  size_t before = turns;
  mailbox_post_reserved(&mailbox, (struct mail){.type = 9});
  while (turns < before + 2) loop_run_once(&loop);
  assert_takes(9);
}

static void *produce(void *context) {
  unsigned producer = *(unsigned *)context;
  for (size_t n = 0; n < EACH; n++) {
    struct mail mail = {.type = producer, .item = (void *)(uintptr_t)n, .size = 7};
    while (n % 3 == 0 && mailbox_post(&mailbox, mail) < 0) sched_yield();
    while (n % 3 > 0 && mailbox_reserve(&mailbox, 7) < 0) sched_yield();
    if (n % 3 == 1) {
      mailbox_unreserve(&mailbox);
      while (mailbox_reserve(&mailbox, 7) < 0) sched_yield();
    }
    if (n % 3 > 0) mailbox_post_reserved(&mailbox, mail);
  }
  return NULL;
}

static void drain(struct loop *turning) {
  (void)turning;
  struct mail mail;
  while (mailbox_take(&mailbox, &mail)) {
    assert_true(mail.type < PRODUCERS);
    assert_int_equal((uintptr_t)mail.item, next_of[mail.type]++);
    taken++;
  }
}

/* The limit of 100 bytes stops them again and again; nothing is lost, and each one's mails stay in order. */
static void threads_may_post(void **state) {
  (void)state;
  pthread_t threads[PRODUCERS];
  unsigned numbers[PRODUCERS] = {0, 1};
  loop.on_turn = drain;
  taken = 0;
  for (size_t i = 0; i < PRODUCERS; i++) assert_int_equal(pthread_create(&threads[i], NULL, produce, &numbers[i]), 0);
  while (taken < (size_t)PRODUCERS * EACH) loop_run_once(&loop); /* a wake that is lost blocks for ever */
  for (size_t i = 0; i < PRODUCERS; i++) pthread_join(threads[i], NULL);
  assert_true(mailbox_empty(&mailbox));
  loop.on_turn = on_turn;
}

static bool fill(void *context) {
  struct mail mail;
  size_t posted = 0, found = 0;
  (void)context;
  if (mailbox_init(&mailbox, &loop, 1000) < 0) return false;
  for (unsigned n = 0; n < 40; n++) posted += post(n, 0) == 0;
  size_t reserved = 0;
  while (reserved < 40 && mailbox_reserve(&mailbox, 0) == 0) reserved++;
  for (size_t n = 0; n < reserved; n++) mailbox_post_reserved(&mailbox, (struct mail){.type = 100});
  while (mailbox_take(&mailbox, &mail)) found++;
  assert_int_equal(found, posted + reserved);
  mailbox_deinit(&mailbox);
  return found == 80;
}

static void stands_failing_memory(void **state) {
  (void)state;
  mailbox_deinit(&mailbox);
  size_t runs = support_fail_each(fill, NULL);
  assert_int_equal(mailbox_init(&mailbox, &loop, 100), 0);
  assert_int_equal(runs, 5); /* room for 16, 32, 64 and 128, and the run that has it all */
}

#define MAILBOX_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
  const struct CMUnitTest tests[] = {
      MAILBOX_TEST(is_first_in_first_out),    MAILBOX_TEST(is_limited_in_bytes),
      MAILBOX_TEST(a_reserved_place_is_kept), MAILBOX_TEST(a_reserved_place_outlives_a_drain),
      MAILBOX_TEST(wakes_its_loop),           MAILBOX_TEST(threads_may_post),
      MAILBOX_TEST(stands_failing_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
