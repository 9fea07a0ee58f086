/* The clients of a user, among many others, while clients come and go. */
#include "app/registry.h"
#include "base/memory.h"
#include "test/support.h"

enum { USERS = 300, EACH = 3 };

static struct registry registry;

/* `id`: NULL: anonymous. */
static struct mw_client *new_client(const char *id) {
  struct mw_client *client = client_new("websocket", "127.0.0.1:1");
  char json[64];
  assert_non_null(client);
  snprintf(json, sizeof json, "{\"id\":\"%s\"}", id ? id : "");
  if (id) assert_int_equal(client_set_user(client, blob_new(bytes_string(json))), 0);
  return client;
}

static struct mw_client *add(const char *id) {
  struct mw_client *client = new_client(id);
  assert_int_equal(registry_add(&registry, client, 0), 0);
  return client;
}

static size_t count_of(struct bytes user_id) {
  struct mw_client *client = NULL;
  uint64_t number = 0;
  size_t count = 0;
  for (; (client = registry_next_of(&registry, user_id, client)); count++) {
    assert_true(bytes_equal(client_user_id(client), user_id));
    assert_true(client->number != number);
    number = client->number;
  }
  return count;
}

static const char *name_of(size_t user) {
  static char name[16];
  snprintf(name, sizeof name, "user%zu", user);
  return name;
}

static void remove_client(struct mw_client *client) {
  registry_remove(&registry, client);
  mw_client_unref(client);
}

static void finds_the_clients_of_a_user(void **state) {
  (void)state;
  static struct mw_client *clients[USERS * EACH], *anonymous[USERS];
  assert_int_equal(registry_init(&registry), 0);
  assert_int_equal(count_of(BYTES("user1")), 0);
  for (size_t i = 0; i < USERS; i++) {
    anonymous[i] = add(NULL);
    for (size_t k = 0; k < EACH; k++) clients[i * EACH + k] = add(name_of(i));
  }
  for (size_t i = 0; i < USERS; i++) {
    assert_int_equal(count_of(bytes_string(name_of(i))), EACH);
    assert_int_equal(count_of(client_user_id(anonymous[i])), 1);
    remove_client(clients[i * EACH + 1]);
    assert_int_equal(count_of(bytes_string(name_of(i))), EACH - 1);
  }
  assert_int_equal(count_of(BYTES("nobody")), 0);
  for (size_t i = 0; i < USERS; i++) {
    struct mw_client *found = registry_find(&registry, bytes_of(anonymous[i]->id, CLIENT_ID_LEN));
    assert_ptr_equal(found, anonymous[i]);
    mw_client_unref(found);
    remove_client(anonymous[i]);
    for (size_t k = 0; k < EACH; k += 2) remove_client(clients[i * EACH + k]);
    assert_int_equal(count_of(bytes_string(name_of(i))), 0);
  }
  assert_int_equal(registry.count, 0);
  assert_int_equal(registry.user_count, 0);
  registry_deinit(&registry);
}

/* A walk over the clients of a user goes on after one of them has left. */
static void continues_after_one_has_left(void **state) {
  (void)state;
  assert_int_equal(registry_init(&registry), 0);
  struct mw_client *clients[EACH], *client = NULL;
  for (size_t k = 0; k < EACH; k++) clients[k] = add("ann");
  for (size_t k = 0; k < EACH; k++) {
    client = registry_next_of(&registry, BYTES("ann"), client);
    assert_ptr_equal(client, clients[k]);
    remove_client(clients[k]);
  }
  assert_null(registry_next_of(&registry, BYTES("ann"), client));
  registry_deinit(&registry);
}

/* The name of an anonymous client may be the id of a user. */
static void tells_a_name_from_an_id(void **state) {
  (void)state;
  assert_int_equal(registry_init(&registry), 0);
  struct mw_client *anonymous = add(NULL);
  char name[CLIENT_NAME_LEN + 1] = "";
  memcpy(name, anonymous->id, CLIENT_NAME_LEN);
  struct mw_client *user = add(name);
  assert_int_equal(count_of(bytes_string(name)), 2);
  remove_client(anonymous);
  assert_int_equal(count_of(bytes_string(name)), 1);
  remove_client(user);
  registry_deinit(&registry);
}

static bool add_some(void *context) {
  (void)context;
  struct mw_client *clients[200];
  bool added_all = true;
  size_t count = 0;
  if (registry_init(&registry) < 0) return false;
  while (count < 200) {
    struct mw_client *client = client_new("sse", "");
    struct blob *user = client && count % 2 ? blob_new(BYTES("{\"id\":\"ann\"}")) : NULL;
    if (!client || (count % 2 && (!user || client_set_user(client, user) < 0)) || registry_add(&registry, client, 0) < 0) {
      mw_client_unref(client);
      added_all = false;
      break;
    }
    clients[count++] = client;
  }
  for (size_t i = 0; i < count; i++) remove_client(clients[i]);
  registry_deinit(&registry);
  return added_all;
}

static void stands_failing_memory(void **state) {
  (void)state;
  assert_true(support_fail_each(add_some, NULL) > 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(finds_the_clients_of_a_user, support_setup, support_teardown),
      cmocka_unit_test_setup_teardown(continues_after_one_has_left, support_setup, support_teardown),
      cmocka_unit_test_setup_teardown(tells_a_name_from_an_id, support_setup, support_teardown),
      cmocka_unit_test_setup_teardown(stands_failing_memory, support_setup, support_teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
