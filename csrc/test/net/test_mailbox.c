#include <pthread.h>
#include <sched.h>

#include "base/list.h"
#include "base/memory.h"
#include "base/status.h"
#include "net/mailbox.h"
#include "test/support.h"

enum { PRODUCERS = 2, EACH = 3000, NUMBERED = 2000 };

struct numbered {
  struct mail mail;
  unsigned producer;
  size_t number;
};

static struct loop loop;
static struct mailbox mailbox;
static size_t turns, taken, dropped, next_of[PRODUCERS];
static struct numbered mails[NUMBERED], produced[PRODUCERS][EACH];

static struct numbered *numbered_of(struct mail *mail) { return container_of(mail, struct numbered, mail); }

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
  while (mailbox_take(&mailbox)) continue;
  mailbox_deinit(&mailbox);
  loop_close(&loop, NULL);
  while (loop.open_count > 0) loop_run_once(&loop);
  loop_deinit(&loop);
  return support_teardown(state);
}

static struct mail *make(size_t number, uint32_t size) {
  mails[number] = (struct numbered){.mail.size = size, .number = number};
  return &mails[number].mail;
}

static int post(size_t number, uint32_t size) { return mailbox_post(&mailbox, make(number, size)); }

static void assert_takes(size_t number) {
  struct mail *mail = mailbox_take(&mailbox);
  assert_non_null(mail);
  assert_int_equal(numbered_of(mail)->number, number);
}

static void is_first_in_first_out(void **state) {
  (void)state;
  assert_true(mailbox_empty(&mailbox));
  assert_null(mailbox_take(&mailbox));
  size_t posted = 0, expected = 0;
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
  mailbox_unreserve(&mailbox, 0);
  for (size_t number = 1; number <= 3; number++) assert_takes(number);
  assert_int_equal(post(4, 100), 0);
  assert_takes(4);
}

/* What is promised counts as if it were there, and its place needs no memory. */
static void a_reserved_place_is_kept(void **state) {
  (void)state;
  for (size_t n = 0; n < 100; n++) assert_int_equal(mailbox_reserve(&mailbox, 1), 0);
  assert_int_equal(mailbox_reserve(&mailbox, 1), MW_EUNAVAILABLE);
  assert_int_equal(post(100, 1), MW_EUNAVAILABLE);
  memory_fail_after(1); /* none of these may need memory */
  for (size_t n = 0; n < 100; n++) mailbox_post_reserved(&mailbox, make(n, 1));
  assert_int_equal(post(100, 0), 0);
  assert_null(memory_alloc(1));
  for (size_t n = 0; n < 101; n++) assert_takes(n);
  assert_true(mailbox_empty(&mailbox));
}

static void a_reserved_place_outlives_a_drain(void **state) {
  (void)state;
  assert_int_equal(post(0, 1), 0);
  for (size_t n = 0; n < 40; n++) assert_int_equal(mailbox_reserve(&mailbox, 2), 0);
  assert_takes(0);
  assert_null(mailbox_take(&mailbox));
  assert_int_equal(post(1, 21), MW_EUNAVAILABLE); /* 80 are still promised */
  for (size_t n = 1; n < 21; n++) mailbox_post_reserved(&mailbox, make(n, 2));
  for (size_t n = 0; n < 20; n++) mailbox_unreserve(&mailbox, 2);
  for (size_t n = 1; n < 21; n++) assert_takes(n);
  assert_null(mailbox_take(&mailbox));
  assert_int_equal(post(0, 100), 0);
}

static void wakes_its_loop(void **state) {
  (void)state;
  for (size_t n = 0; n < 3; n++) {
    size_t before = turns;
    assert_int_equal(post(n, 0), 0);
    while (turns < before + 2) loop_run_once(&loop); /* blocks indefinitely if it was not woken */
    assert_takes(n);
  }
  assert_int_equal(mailbox_reserve(&mailbox, 0), 0);
  size_t before = turns;
  mailbox_post_reserved(&mailbox, make(9, 0));
  while (turns < before + 2) loop_run_once(&loop);
  assert_takes(9);
}

/* What is held back wakes the loop once, later; anything else does so immediately, and nothing does if
 * the mail was taken. */
static void wakes_when_it_is_released(void **state) {
  (void)state;
  enum { BEFORE, AFTER, TAKEN, HELD_CASES };
  for (int n = 0; n < HELD_CASES; n++) {
    while (loop_has_work(&loop)) loop_step(&loop);
    for (int i = 0; i < 2; i++) assert_int_equal(mailbox_reserve(&mailbox, 0), 0);
    mailbox_hold_wakes();
    for (size_t i = 0; i < 2; i++) mailbox_post_reserved(&mailbox, make(i, 0));
    assert_false(loop_has_work(&loop));
    if (n == BEFORE) assert_int_equal(post(2, 0), 0);
    assert_int_equal(loop_has_work(&loop), n == BEFORE);
    if (n == TAKEN) {
      for (size_t i = 0; i < 2; i++) assert_takes(i);
    }
    mailbox_release_wakes();
    assert_int_equal(loop_has_work(&loop), n != TAKEN);
    if (n == AFTER) assert_int_equal(post(2, 0), 0);
    if (n == TAKEN) continue;
    for (size_t i = 0; i < 3; i++) assert_takes(i);
  }
  /* The next one wakes it again. */
  assert_int_equal(mailbox_reserve(&mailbox, 0), 0);
  mailbox_post_reserved(&mailbox, make(0, 0));
  assert_true(loop_has_work(&loop));
  assert_takes(0);
}

/* Posting within a turn does not have to wake the loop, because the end of the turn takes the
 * mail. */
static void does_not_wake_a_turn(void **state) {
  (void)state;
  loop_step(&loop);
  const struct loop *before = loop_enter(&loop);
  assert_true(loop_is_entered(&loop));
  assert_int_equal(post(0, 0), 0);
  loop_leave(before);
  assert_false(loop_is_entered(&loop));
  assert_false(loop_has_work(&loop));
  assert_takes(0);
  assert_int_equal(post(1, 0), 0);
  assert_true(loop_has_work(&loop));
  loop_step(&loop);
  assert_takes(1);
}

static void take(struct mail *mail, void *room, struct subscriber *subscriber) {
  assert_null(subscriber);
  struct numbered *numbered = numbered_of(mail);
  assert_ptr_equal(room, &loop);
  assert_int_equal(numbered->number, next_of[numbered->producer]++);
  taken++;
}

static void drop(struct mail *mail) {
  assert_int_equal(numbered_of(mail)->number, dropped);
  dropped++;
}

static void drain(struct loop *turning) {
  struct mail *mail;
  while ((mail = mailbox_take(&mailbox)) != NULL) mail->class->take(mail, turning, NULL);
}

static const struct mail_class class = {.take = take, .drop = drop};

/* Each mail is either carried out or dropped, by what its class says. */
static void carries_out_or_drops(void **state) {
  (void)state;
  taken = dropped = next_of[0] = 0;
  for (size_t n = 0; n < 10; n++) {
    make(n, 0)->class = &class;
    assert_int_equal(mailbox_post(&mailbox, &mails[n].mail), 0);
  }
  drain(&loop);
  assert_int_equal(taken, 10);
  for (size_t n = 0; n < 10; n++) assert_int_equal(mailbox_post(&mailbox, &mails[n].mail), 0);
  mailbox_drop(&mailbox);
  assert_int_equal(dropped, 10);
  assert_true(mailbox_empty(&mailbox));
}

static void *produce(void *context) {
  unsigned producer = *(unsigned *)context;
  for (size_t n = 0; n < EACH; n++) {
    struct numbered *numbered = &produced[producer][n];
    *numbered = (struct numbered){.mail = {.class = &class, .size = 7}, .producer = producer, .number = n};
    while (n % 3 == 0 && mailbox_post(&mailbox, &numbered->mail) < 0) sched_yield();
    while (n % 3 > 0 && mailbox_reserve(&mailbox, 7) < 0) sched_yield();
    if (n % 3 == 1) {
      mailbox_unreserve(&mailbox, 7);
      while (mailbox_reserve(&mailbox, 7) < 0) sched_yield();
    }
    if (n % 3 > 0) mailbox_post_reserved(&mailbox, &numbered->mail);
  }
  return NULL;
}

/* The limit of 100 bytes stops them again and again; nothing is lost, and each one's mails stay in
 * order. */
static void threads_may_post(void **state) {
  (void)state;
  pthread_t threads[PRODUCERS];
  unsigned numbers[PRODUCERS] = {0, 1};
  loop.on_turn = drain;
  taken = next_of[0] = next_of[1] = 0;
  for (size_t i = 0; i < PRODUCERS; i++) assert_int_equal(pthread_create(&threads[i], NULL, produce, &numbers[i]), 0);
  /* a wake that is lost blocks indefinitely */
  while (taken < (size_t)PRODUCERS * EACH) loop_run_once(&loop);
  for (size_t i = 0; i < PRODUCERS; i++) pthread_join(threads[i], NULL);
  assert_true(mailbox_empty(&mailbox));
  loop.on_turn = on_turn;
}

#define MAILBOX_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
  const struct CMUnitTest tests[] = {
      MAILBOX_TEST(is_first_in_first_out),
      MAILBOX_TEST(is_limited_in_bytes),
      MAILBOX_TEST(a_reserved_place_is_kept),
      MAILBOX_TEST(a_reserved_place_outlives_a_drain),
      MAILBOX_TEST(wakes_its_loop),
      MAILBOX_TEST(does_not_wake_a_turn),
      MAILBOX_TEST(wakes_when_it_is_released),
      MAILBOX_TEST(carries_out_or_drops),
      MAILBOX_TEST(threads_may_post),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
