#include "app/client.h"
#include "moonwire.h"
#include "test/support.h"

static const struct {
  const char *user, *id; /* NULL: none */
} cases[] = {
    {"{\"id\":\"ann\"}", "ann"},
    {"{\"sub\":\"ann\"}", "ann"},
    {"{\"sub\":\"bob\",\"id\":\"ann\"}", "ann"},
    {"{\"id\":\"a\\u0062\\n\"}", "ab\n"},
    {"{\"id\":\"bob\",\"id\":\"ann\"}", "ann"},
    /* an integer, whichever way it is written */
    {"{\"id\":7}", "7"},
    {"{\"id\":7.0}", "7"},
    {"{\"id\":\"7\"}", "7"},
    {"{\"id\":70e-1}", "7"},
    {"{\"id\":0.7E1}", "7"},
    {"{\"id\":-7}", "-7"},
    {"{\"id\":0}", "0"},
    {"{\"id\":-0}", "0"},
    {"{\"id\":-0.0}", "0"},
    {"{\"id\":9007199254740993}", "9007199254740993"},
    {"{\"id\":18446744073709551615}", "18446744073709551615"},
    /* what is none, and what stands in for it */
    {"{\"id\":\"\"}", NULL},
    {"{\"id\":\"\",\"sub\":\"ann\"}", "ann"},
    {"{\"id\":7.5}", NULL},
    {"{\"id\":7.5,\"sub\":8}", "8"},
    {"{\"id\":1e300}", NULL},
    {"{\"id\":1e999}", NULL},
    {"{\"id\":true}", NULL},
    {"{\"id\":null,\"sub\":\"ann\"}", "ann"},
    {"{\"id\":{},\"sub\":[]}", NULL},
    {"{\"id\":[\"ann\"]}", NULL},
    {"{}", NULL},
    {"[]", NULL},
    {"\"ann\"", NULL},
    {"", NULL},
    {"{", NULL},
};

static void is_read_by_one_rule(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    char id[40];
    size_t len = mw_user_id(cases[i].user, strlen(cases[i].user), id, sizeof id);
    if (len != (cases[i].id ? strlen(cases[i].id) : 0)) fail_msg("%s: %zu bytes", cases[i].user, len);
    if (cases[i].id) assert_memory_equal(id, cases[i].id, len);
    struct mw_client *client = client_new("sse", "::1");
    assert_int_equal(client_set_user(client, blob_new(bytes_string(cases[i].user))), 0);
    struct bytes name = client->user_id ? blob_bytes(client->user_id) : bytes_of(NULL, 0);
    assert_true(bytes_equal(name, bytes_string(cases[i].id ? cases[i].id : "")));
    mw_client_unref(client);
  }
}

static void is_cut_to_its_room(void **state) {
  (void)state;
  char id[4] = "...";
  assert_int_equal(mw_user_id("{\"id\":\"annabel\"}", 16, id, 2), 7);
  assert_string_equal(id, "an.");
}

static void is_settled_once(void **state) {
  (void)state;
  struct mw_client *client = client_new("sse", "::1");
  assert_int_equal(client_set_user(client, blob_new(BYTES("{\"id\":7}"))), 0);
  assert_int_equal(client_set_user(client, blob_new(BYTES("{\"id\":7.0,\"more\":1}"))), 0);
  assert_int_equal(client_set_user(client, blob_new(BYTES("{\"sub\":\"7\"}"))), 0);
  assert_int_equal(client_set_user(client, blob_new(BYTES("{\"id\":8}"))), MW_EINVAL);
  assert_int_equal(client_set_user(client, blob_new(BYTES("{\"id\":\"\"}"))), MW_EINVAL);
  assert_bytes_string(client_user_id(client), "7");
  mw_client_unref(client);
}

/* No one becomes another user because memory ran out. */
static bool sets_user(void *context) {
  (void)context;
  struct mw_client *client = client_new("sse", "::1");
  struct blob *user = client ? blob_new(BYTES("{\"id\":\"a\\u006en\",\"sub\":\"bob\"}")) : NULL;
  int status = user ? client_set_user(client, user) : MW_ENOMEM;
  if (status == 0) assert_bytes_string(client_user_id(client), "ann");
  if (status < 0) assert_int_equal(status, MW_ENOMEM);
  mw_client_unref(client);
  return status == 0;
}

static void stands_failing_memory(void **state) {
  (void)state;
  assert_true(support_fail_each(sets_user, NULL) > 3);
}

/* Others see a part of the id, and cannot act as the client with that. */
static void is_a_part_of_the_clients_id_without_a_user(void **state) {
  (void)state;
  struct mw_client *client = client_new("poll", "::1"), *other = client_new("poll", "::1");
  struct mw_bytes id = mw_client_id(client), name = mw_client_user_id(client);
  assert_int_equal(name.len, CLIENT_NAME_LEN);
  assert_true(id.len >= name.len + 16);
  assert_memory_equal(name.ptr, id.ptr, name.len);
  assert_memory_not_equal(name.ptr, mw_client_user_id(other).ptr, name.len);
  mw_client_unref(client);
  mw_client_unref(other);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(is_read_by_one_rule),
      TEST(is_cut_to_its_room),
      TEST(is_settled_once),
      TEST(stands_failing_memory),
      TEST(is_a_part_of_the_clients_id_without_a_user),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
