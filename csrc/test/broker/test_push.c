#include "base/status.h"
#include "broker/push.h"
#include "test/support.h"

static const struct {
  const char *text;
  uint64_t position, before;
  bool is_floor;
} good[] = {{"abcdefgh 12 11\nrecord", 12, 11, false},
            {"abcdefgh 12 ~7\nrecord", 12, 7, true},
            {"abcdefgh 12 ~0\nrecord", 12, 0, true},
            {"abcdefgh 0 0\nrecord", 0, 0, false},
            {"abcdefgh 9999999999999999 0\nrecord", POSITION_MAX, 0, false}};

static void messages_are_read(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(good); i++) {
    struct push_message message;
    struct epoch epoch;
    assert_true(push_read_message(bytes_string(good[i].text), &epoch, &message));
    assert_bytes_string(bytes_of(epoch.text, EPOCH_LEN), "abcdefgh");
    assert_int_equal(message.position, good[i].position);
    assert_int_equal(message.before, good[i].before);
    assert_int_equal(message.is_floor, good[i].is_floor);
    assert_bytes_string(message.record, "record");
  }
}

static void what_is_not_a_message_is_refused(void **state) {
  (void)state;
  static const char *const bad[] = {"",
                                    "abcdefgh",
                                    "abcdefgh 12",
                                    "abcdefgh 12 11",
                                    "abcdefg 12 11\nrecord",
                                    "abcdefgh x 11\nrecord",
                                    "abcdefgh 12 12\nrecord",
                                    "abcdefgh 12 13\nrecord",
                                    "abcdefgh 12 ~\nrecord",
                                    "abcdefgh -1 0\nrecord",
                                    "abcdefgh 10000000000000000 0\nrecord",
                                    "abcdefgh 12  11\nrecord"};
  for (size_t i = 0; i < COUNT_OF(bad); i++) {
    struct push_message message;
    struct epoch epoch;
    assert_false(push_read_message(bytes_string(bad[i]), &epoch, &message));
  }
}

static void pages_are_read(void **state) {
  (void)state;
  struct push_page page;
  struct push_message message;
  assert_true(push_read_page(BYTES("page 3 abcdefgh 30 20 5 0 1\n10 5 2\nab20 10 3\nc\nd"), &page));
  assert_int_equal(page.number, 3);
  assert_int_equal(page.position, 30);
  assert_int_equal(page.last, 20);
  assert_int_equal(page.gone, 5);
  assert_true(page.has_more);
  assert_int_equal(push_next_message(&page, &message), 1);
  assert_bytes_string(message.record, "ab");
  assert_int_equal(push_next_message(&page, &message), 1);
  assert_int_equal(message.position, 20);
  assert_int_equal(message.before, 10);
  assert_bytes_string(message.record, "c\nd");
  assert_int_equal(push_next_message(&page, &message), 0);
}

static void what_is_not_a_page_is_refused(void **state) {
  (void)state;
  static const char *const bad[] = {"",
                                    "page",
                                    "page 3 abcdefgh 30 20 5 0 1",
                                    "page 3 abcdefgh 30 20 5 0 2\n",
                                    "page 3 abcdefgh 30 31 5 0 0\n",
                                    "page 3 abcdefgh 30 20 31 0 0\n",
                                    "book 3 abcdefgh 30 20 5 0 0\n",
                                    "page 3 abc 30 20 5 0 0\n"};
  /* in a page up to position 30 */
  static const char *const entries[] = {"10 5 3\nab", "10 5\nab", "10 10 2\nab", "31 5 2\nab", "0 0 2\nab", "x"};
  struct push_page page;
  struct push_message message;
  for (size_t i = 0; i < COUNT_OF(bad); i++) assert_false(push_read_page(bytes_string(bad[i]), &page));
  for (size_t i = 0; i < COUNT_OF(entries); i++) {
    page = (struct push_page){.position = 30, .messages = bytes_string(entries[i])};
    assert_int_equal(push_next_message(&page, &message), MW_EFORGED);
  }
}

static void bells_are_read(void **state) {
  (void)state;
  static const char *const bad[] = {"bell", "bell 1 abcdefgh", "bell 1 abcdefgh x", "bell abcdefgh 1", "ring 1 abcdefgh 5"};
  uint64_t number, position;
  struct epoch epoch;
  assert_true(push_read_bell(BYTES("bell 7 abcdefgh 12"), &number, &epoch, &position));
  assert_int_equal(number, 7);
  assert_int_equal(position, 12);
  for (size_t i = 0; i < COUNT_OF(bad); i++) assert_false(push_read_bell(bytes_string(bad[i]), &number, &epoch, &position));
}

static void members_are_read(void **state) {
  (void)state;
  struct push_presence presence;
  struct push_members members;
  struct broker_change change;
  assert_true(push_is_presence(BYTES("presence x")));
  assert_true(push_read_presence(BYTES("presence abcdefgh 12 11 3\n+ 1 2\nu{}- 2\n\n-"), &presence));
  assert_int_equal(presence.number, 12);
  assert_int_equal(presence.before, 11);
  assert_int_equal(presence.count, 3);
  assert_true(broker_next_change(&presence.changes, &change));
  assert_bytes_string(change.user, "u");
  assert_bytes_string(change.info, "{}");
  assert_false(change.left);
  assert_true(broker_next_change(&presence.changes, &change));
  assert_bytes_string(change.user, "\n-");
  assert_true(change.left && change.info.len == 0);
  assert_false(broker_next_change(&presence.changes, &change));
  assert_true(push_read_members(BYTES("members 4 abcdefgh 0 1 1\n+ 1 0\nu"), &members));
  assert_true(members.request == 4 && members.number == 0 && members.count == 1 && members.is_listed);
  assert_true(push_read_members(BYTES("members 4 abcdefgh 9 70 0\n"), &members));
  assert_true(members.number == 9 && members.count == 70 && !members.is_listed);
}

static void what_are_not_members_is_refused(void **state) {
  (void)state;
  static const char *const presences[] = {"presence abcdefgh 12 11 3",
                                          "presence abcdefgh 12 12 3\n",
                                          "presence abcdefgh 12 11 x\n",
                                          "presence abcdefgh 12 11 3\n* 1\nu",
                                          "presence abcdefgh 12 11 3\n- 2\nu",
                                          "presence abcdefgh 12 11 3\n+ 1 9\nu{}",
                                          "presence abcdefgh 12 11 3\n+ 18446744073709551615 2\nu"};
  static const char *const lists[] = {"members 4 abcdefgh 0 2 1\n+ 1 0\nu", "members 4 abcdefgh 0 1 0\n+ 1 0\nu",
                                      "members 4 abcdefgh 0 0 2\n", "members x abcdefgh 0 0 1\n", "members 4 abcdefgh 0 0 1"};
  struct push_presence presence;
  struct push_members members;
  for (size_t i = 0; i < COUNT_OF(presences); i++) assert_false(push_read_presence(bytes_string(presences[i]), &presence));
  for (size_t i = 0; i < COUNT_OF(lists); i++) assert_false(push_read_members(bytes_string(lists[i]), &members));
}

int main(void) {
  const struct CMUnitTest tests[] = {TEST(messages_are_read),
                                     TEST(what_is_not_a_message_is_refused),
                                     TEST(pages_are_read),
                                     TEST(what_is_not_a_page_is_refused),
                                     TEST(bells_are_read),
                                     TEST(members_are_read),
                                     TEST(what_are_not_members_is_refused)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
