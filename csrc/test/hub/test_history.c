#include "hub/history.h"

#include "base/memory.h"
#include "test/support.h"
#include "test/support/message.h"

static void push(struct history *history, uint64_t position, uint32_t size) {
  struct message *message = message_of(NULL, BYTES("a"), BYTES("e"), BYTES("1"));
  assert_non_null(message);
  message->position = position;
  message->time_ms = position * 10;
  history_push(history, message, &(struct history_bounds){.size = size});
  message_unref(message);
}

/* The positions from `first` to `last`, in steps of `step`, are all that is there. */
static void assert_holds(const struct history *history, uint64_t first, uint64_t step, uint32_t count) {
  assert_int_equal(history->count, count);
  for (uint32_t i = 0; i < count; i++) assert_int_equal(history_at(history, i)->position, first + i * step);
}

static void keeps_the_newest(void **state) {
  (void)state;
  for (uint32_t size = 1; size < 20; size++) {
    struct history history;
    history_init(&history, 0, NULL);
    for (uint64_t n = 1; n <= 100; n++) {
      push(&history, n * 3, size);
      uint32_t kept = n < size ? (uint32_t)n : size;
      assert_holds(&history, (n - kept + 1) * 3, 3, kept);
      assert_int_equal(history.evicted, (n - kept) * 3);
      assert_true(history.capacity < 2 * size + 4);
    }
    history_deinit(&history);
  }
}

static void a_size_of_nothing_leaves_the_mark(void **state) {
  (void)state;
  struct history history;
  history_init(&history, 5, NULL);
  assert_int_equal(history.evicted, 5);
  push(&history, 7, 0);
  assert_int_equal(history.count, 0);
  assert_int_equal(history.evicted, 7);
  assert_null(history.ring); /* a channel without history costs no ring */
  history_deinit(&history);
}

static void a_smaller_size_lets_more_than_one_go(void **state) {
  (void)state;
  struct history history;
  history_init(&history, 0, NULL);
  for (uint64_t n = 1; n <= 10; n++) push(&history, n, 10);
  push(&history, 11, 3);
  assert_holds(&history, 9, 1, 3);
  assert_int_equal(history.evicted, 8);
  push(&history, 12, 0);
  assert_int_equal(history.count, 0);
  assert_int_equal(history.evicted, 12);
  history_deinit(&history);
}

static void seeks_what_comes_after(void **state) {
  (void)state;
  struct history history;
  history_init(&history, 0, NULL);
  assert_int_equal(history_seek(&history, 0), 0);
  assert_int_equal(history_seek(&history, UINT64_MAX), 0);
  /* Many beginnings in the ring, so that the search passes its end. */
  for (uint64_t n = 1; n <= 40; n++) {
    push(&history, n * 2, 13);
    for (uint64_t position = 0; position <= n * 2 + 2; position++) {
      uint32_t expected = 0;
      while (expected < history.count && history_at(&history, expected)->position <= position) expected++;
      assert_int_equal(history_seek(&history, position), expected);
    }
  }
  assert_int_equal(history_seek(&history, UINT64_MAX), 13);
  history_deinit(&history);
}

static void lets_the_old_go(void **state) {
  (void)state;
  struct history history;
  history_init(&history, 0, NULL);
  for (uint64_t n = 1; n <= 10; n++) push(&history, n, 100);
  history_expire(&history, 10); /* the first is of 10 ms: not before */
  assert_holds(&history, 1, 1, 10);
  history_expire(&history, 31);
  assert_holds(&history, 4, 1, 7);
  assert_int_equal(history.evicted, 3);
  history_expire(&history, UINT64_MAX);
  assert_int_equal(history.count, 0);
  assert_int_equal(history.evicted, 10);
  push(&history, 11, 100);
  assert_holds(&history, 11, 1, 1);
  history_deinit(&history);
}

static void push_sized(struct history *history, uint64_t position, size_t len, const struct history_bounds *bounds) {
  static const char text[2000] = "";
  struct message *message = message_of(NULL, BYTES("a"), BYTES("e"), bytes_of(text, len));
  assert_non_null(message);
  message->position = position;
  history_push(history, message, bounds);
  message_unref(message);
}

static size_t weight_of(size_t len) {
  struct message_parts parts = {.channel = BYTES("a"), .event = BYTES("e"), .data = {"", 0}};
  struct message *message = message_new(NULL, &parts);
  size_t weight = message_weight(message) + len + sizeof(struct history_entry);
  message_unref(message);
  return weight;
}

static void is_bounded_in_bytes(void **state) {
  (void)state;
  struct history history;
  const struct history_bounds bounds = {.size = 100, .bytes = 3 * weight_of(100)};
  history_init(&history, 0, NULL);
  for (uint64_t n = 1; n <= 3; n++) push_sized(&history, n, 100, &bounds);
  assert_holds(&history, 1, 1, 3); /* just so much */
  assert_int_equal(history_weight(&history, 0), bounds.bytes);
  push_sized(&history, 4, 101, &bounds);
  assert_holds(&history, 3, 1, 2); /* one byte too much for one more */
  assert_int_equal(history.evicted, 2);
  push_sized(&history, 5, 0, &bounds);
  assert_holds(&history, 3, 1, 3);
  /* One that is out of bounds by itself is not kept, and what was before it would be a hole. */
  push_sized(&history, 6, 1000, &bounds);
  assert_int_equal(history.count, 0);
  assert_int_equal(history.evicted, 6);
  assert_int_equal(history_weight(&history, 0), 0);
  push_sized(&history, 7, 100, &bounds);
  assert_holds(&history, 7, 1, 1);
  history_pass(&history, 8);
  assert_int_equal(history.count, 0);
  assert_int_equal(history.evicted, 8);
  history_deinit(&history);
}

static void weighs_any_part(void **state) {
  (void)state;
  struct history history;
  const struct history_bounds bounds = {.size = 13};
  history_init(&history, 0, NULL);
  assert_int_equal(history_weight(&history, 0), 0);
  for (uint64_t n = 1; n <= 60; n++) {
    push_sized(&history, n, n * 7, &bounds);
    if (n % 5 == 0) history_evict(&history);
    size_t weight = 0;
    for (uint32_t i = history.count; i-- > 0;) {
      weight += weight_of(history_at(&history, i)->parts.data.len);
      assert_int_equal(history_weight(&history, i), weight);
    }
    assert_int_equal(history_weight(&history, history.count), 0);
  }
  history_deinit(&history);
}

static void an_encoded_form_weighs_as_well(void **state) {
  (void)state;
  struct history history;
  struct message *message = message_of(NULL, BYTES("a"), BYTES("e"), BYTES("1"));
  message->position = 1;
  size_t before = message_weight(message);
  struct blob *blob = blob_new(BYTES("encoded"));
  add_form(message, 0, blob);
  assert_int_equal(message_weight(message), before + sizeof(struct form) + sizeof *blob + 7);
  history_init(&history, 0, NULL);
  history_push(&history, message, &(struct history_bounds){.size = 1});
  assert_int_equal(history_weight(&history, 0), message_weight(message) + sizeof(struct history_entry));
  /* What is encoded later does not change what was counted. */
  add_form(message, 1, blob_new(BYTES("later")));
  assert_int_equal(history_weight(&history, 0), before + sizeof(struct form) + sizeof *blob + 7 + sizeof(struct history_entry));
  message_unref(message);
  history_evict(&history);
  assert_int_equal(history_weight(&history, 0), 0);
  history_deinit(&history);
}

/* The newest that fit into a count and so many bytes; the newest one of any size. */
static void finds_the_tail(void **state) {
  (void)state;
  struct history history;
  const struct history_bounds bounds = {.size = 11};
  history_init(&history, 0, NULL);
  assert_int_equal(history_tail(&history, 5, 1000), 0);
  for (uint64_t n = 1; n <= 30; n++) {
    push_sized(&history, n, n % 4 * 100, &bounds);
    for (uint32_t count = 0; count < 14; count++) {
      for (uint64_t bytes = 0; bytes < 6000; bytes += 97) {
        uint32_t expected = history.count;
        while (expected > 0 && history.count - expected < count && history_weight(&history, expected - 1) <= bytes) expected--;
        if (expected == history.count && count > 0) expected--;
        assert_int_equal(history_tail(&history, count, bytes), expected);
      }
    }
    assert_int_equal(history_tail(&history, UINT32_MAX, UINT64_MAX), 0);
  }
  history_deinit(&history);
}

/* One ring of 20 messages. What memory did not allow to keep must be below the mark, and all above
 * it must be there. */
static bool fill(void *context) {
  (void)context;
  struct history history;
  history_init(&history, 0, NULL);
  for (uint64_t n = 1; n <= 20; n++) {
    struct message *message = message_of(NULL, BYTES("a"), BYTES("e"), BYTES("1"));
    if (!message) continue; /* never published: its position is no one's */
    message->position = n;
    history_push(&history, message, &(struct history_bounds){.size = 100});
    message_unref(message);
    for (uint32_t i = 0; i < history.count; i++) assert_true(history_at(&history, i)->position > history.evicted);
    bool is_kept = history.count > 0 && history_at(&history, history.count - 1)->position == n;
    assert_true(is_kept || history.evicted == n);
    for (uint32_t i = 1; is_kept && i < history.count; i++) {
      assert_true(history_at(&history, i - 1)->position < history_at(&history, i)->position);
    }
  }
  bool complete = history.count == 20;
  history_deinit(&history);
  return complete;
}

static void what_finds_no_memory_counts_as_evicted(void **state) {
  (void)state;
  assert_true(support_fail_each(fill, NULL) > 20);
}

/* A message may be in the histories of two hubs. What is encoded of it later counts for the first
 * that keeps it, as long as that does. */
static void of_two_histories_the_first_accounts(void **state) {
  (void)state;
  atomic_size_t account = 0, other_account = 0;
  struct history history, other;
  struct message *message = message_of(NULL, BYTES("a"), BYTES("e"), BYTES("1"));
  struct blob *blob = blob_new(BYTES("encoded")), *later = blob_new(BYTES("encoded as well"));
  size_t size = sizeof(struct form) + sizeof *blob + blob->len, later_size = sizeof(struct form) + sizeof *later + later->len;
  message->position = 1;
  history_init(&history, 0, &account);
  history_init(&other, 0, &other_account);
  history_push(&history, message, &(struct history_bounds){.size = 2});
  history_push(&other, message, &(struct history_bounds){.size = 2});
  add_form(message, 0, blob);
  assert_int_equal(atomic_load(&account), size);
  assert_int_equal(atomic_load(&other_account), 0);
  history_evict(&other);
  assert_int_equal(atomic_load(&account), size);
  add_form(message, 1, later);
  assert_int_equal(atomic_load(&account), size + later_size);
  history_evict(&history);
  assert_int_equal(atomic_load(&account), 0);
  assert_int_equal(atomic_load(&other_account), 0);
  message_unref(message);
  history_deinit(&history);
  history_deinit(&other);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(keeps_the_newest),
      TEST(a_size_of_nothing_leaves_the_mark),
      TEST(a_smaller_size_lets_more_than_one_go),
      TEST(seeks_what_comes_after),
      TEST(lets_the_old_go),
      TEST(is_bounded_in_bytes),
      TEST(weighs_any_part),
      TEST(an_encoded_form_weighs_as_well),
      TEST(finds_the_tail),
      TEST(of_two_histories_the_first_accounts),
      TEST(what_finds_no_memory_counts_as_evicted),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
