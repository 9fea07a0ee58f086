#include "app/party.h"

#include "base/memory.h"
#include "test/support.h"

static struct parties parties;

static int begin(void **state) {
  int status = support_setup(state);
  return status < 0 ? status : parties_init(&parties);
}

static int end(void **state) {
  assert_int_equal(parties_count(&parties), 0);
  parties_deinit(&parties);
  return support_teardown(state);
}

static bool is_one_party(const char *one, const char *other) {
  struct party_key a = party_key_of_address(one), b = party_key_of_address(other);
  return a.len == b.len && memcmp(a.text, b.text, a.len) == 0;
}

static void addresses_are_told_apart(void **state) {
  (void)state;
  assert_true(is_one_party("192.0.2.1", "192.0.2.1"));
  assert_false(is_one_party("192.0.2.1", "192.0.2.2"));
  assert_true(is_one_party("192.0.2.1", "::ffff:192.0.2.1"));
  /* By the /64. */
  assert_true(is_one_party("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff"));
  assert_false(is_one_party("2001:db8:1:2::1", "2001:db8:1:3::1"));
  /* All of a link have one /64. */
  assert_false(is_one_party("fe80::1", "fe80::2"));
  assert_true(is_one_party("fe80::1%eth0", "fe80::1"));
  /* No address is taken for another that its bytes begin with. */
  assert_false(is_one_party("32.1.13.184", "2001:db8::1"));
}

static void where_a_proxy_may_stand_is_nobody(void **state) {
  (void)state;
  static const char *const nobody[] = {"unix", "memory", "unknown", "", "127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"};
  for (size_t i = 0; i < COUNT_OF(nobody); i++) assert_int_equal(party_key_of_address(nobody[i]).len, 0);
  assert_true(party_key_of_address("128.0.0.1").len > 0);
  assert_true(party_key_of_address("::2").len > 0);
  assert_int_equal(party_key_of_client(NULL).len, 0);
}

static void a_party_holds_as_much_as_it_may(void **state) {
  (void)state;
  struct party_key ann = party_key_of_address("192.0.2.1"), bob = party_key_of_address("192.0.2.2");
  struct party *party, *other;
  assert_int_equal(party_take(&parties, &ann, PARTY_NAMES, 3, 5, &party), 0);
  assert_true(party_has_room(&parties, &ann, PARTY_NAMES, 2, 5));
  assert_false(party_has_room(&parties, &ann, PARTY_NAMES, 3, 5));
  assert_int_equal(party_take(&parties, &ann, PARTY_NAMES, 3, 5, &other), MW_ELIMIT);
  assert_null(other);
  assert_int_equal(party_take(&parties, &ann, PARTY_NAMES, SIZE_MAX, 5, &other), MW_ELIMIT);
  assert_int_equal(party_take(&parties, &ann, PARTY_POLLS, 5, 5, &other), 0);
  assert_ptr_equal(other, party);
  assert_int_equal(party_take(&parties, &bob, PARTY_NAMES, 5, 5, &other), 0);
  assert_ptr_not_equal(other, party);
  party_release(&parties, other, PARTY_NAMES, 5);
  party_release(&parties, party, PARTY_NAMES, 1);
  assert_int_equal(party_take(&parties, &ann, PARTY_NAMES, 3, 5, &party), 0);
  assert_int_equal(parties_count(&parties), 1);
  party_release(&parties, party, PARTY_NAMES, 5);
  assert_int_equal(parties_count(&parties), 1);
  party_release(&parties, party, PARTY_POLLS, 5);
  /* Nothing is known of one that holds nothing. */
  assert_int_equal(parties_count(&parties), 0);
}

static void nobody_and_no_limit_are_not_counted(void **state) {
  (void)state;
  struct party_key nobody = {.len = 0}, ann = party_key_of_address("192.0.2.1");
  struct party *party;
  assert_int_equal(party_take(&parties, &nobody, PARTY_NAMES, 10, 5, &party), 0);
  assert_null(party);
  party_release(&parties, party, PARTY_NAMES, 10);
  assert_true(party_has_room(&parties, &nobody, PARTY_NAMES, 10, 5));
  assert_int_equal(party_take(&parties, &ann, PARTY_NAMES, 10, 0, &party), 0);
  assert_null(party);
  assert_true(party_has_room(&parties, &ann, PARTY_NAMES, 10, 0));
}

static void a_long_name_is_cut(void **state) {
  (void)state;
  char text[500];
  memset(text, 'a', sizeof text);
  struct blob *id = blob_new(bytes_of(text, sizeof text));
  struct mw_client *client = client_new("sse", "unix");
  client->user_id = id;
  assert_int_equal(party_key_of_client(client).len, PARTY_KEY_MAX);
  mw_client_unref(client);
}

static bool take(void *context) {
  (void)context;
  struct party_key ann = party_key_of_address("192.0.2.1");
  struct party *party;
  int status = party_take(&parties, &ann, PARTY_NAMES, 1, 5, &party);
  assert_true(status == 0 || status == MW_ENOMEM);
  assert_int_equal(parties_count(&parties), status == 0);
  party_release(&parties, party, PARTY_NAMES, 1);
  table_deinit(&parties.by_key);
  table_init(&parties.by_key);
  return status == 0;
}

static void stands_a_lack_of_memory(void **state) {
  (void)state;
  assert_true(support_fail_each(take, NULL) > 2);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
  const struct CMUnitTest tests[] = {CASE(addresses_are_told_apart),
                                     CASE(where_a_proxy_may_stand_is_nobody),
                                     CASE(a_party_holds_as_much_as_it_may),
                                     CASE(nobody_and_no_limit_are_not_counted),
                                     CASE(a_long_name_is_cut),
                                     CASE(stands_a_lack_of_memory)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
