#include <pthread.h>

#include "base/memory.h"
#include "hub/message.h"
#include "hub/policy.h"
#include "test/support.h"
#include "test/support/message.h"

static void copies_its_texts(void **state) {
  (void)state;
  char channel[] = "room:1", event[] = "said", data[] = "{\"a\":\"\\u0000\"}";
  static struct policy_owner owner;
  struct channel_policy policy = {.owner = &owner};
  atomic_init(&owner.refs, 1);
  struct message *message = message_of(&policy, bytes_string(channel), bytes_string(event), bytes_string(data));
  memset(channel, 'x', sizeof channel);
  memset(event, 'x', sizeof event);
  memset(data, 'x', sizeof data);
  assert_ptr_equal(message->policy, &policy);
  assert_int_equal(atomic_load(&owner.refs), 2);
  assert_int_equal(message->position, 0);
  assert_bytes_string(message->parts.channel, "room:1");
  assert_bytes_string(message->parts.event, "said");
  assert_bytes_string(message->parts.data, "{\"a\":\"\\u0000\"}");
  assert_null(atomic_load(&message->forms));
  assert_true(message_size(message) >= 6 + 4 + 14);
  message_unref(message);
  message_unref(NULL);
}

static void frees_its_wires_with_the_last_reference(void **state) {
  (void)state;
  struct message *message = message_of(NULL, BYTES("a"), BYTES("b"), BYTES("1"));
  struct blob *blob = blob_new(BYTES("encoded"));
  assert_ptr_equal(add_form(message, 1, blob), blob);
  assert_ptr_equal(message_form(message, class_of(1)), blob);
  assert_null(message_form(message, class_of(0)));
  assert_ptr_equal(message_ref(message), message);
  message_unref(message);
  assert_bytes_string(blob_bytes(message_form(message, class_of(1))), "encoded");
  message_unref(message);
}

static void of_two_wires_the_first_stays(void **state) {
  (void)state;
  struct message *message = message_of(NULL, BYTES("a"), BYTES("b"), BYTES("1"));
  struct blob *first = blob_new(BYTES("first")), *second = blob_new(BYTES("second"));
  add_form(message, 0, first);
  assert_ptr_equal(add_form(message, 0, second), first);
  assert_int_equal(object_live(OBJECT_BLOB), 1);
  message_unref(message);
}

static void *encode(void *context) {
  struct message *message = context;
  struct blob *blob = blob_new(BYTES("encoded"));
  struct blob *counts = add_form(message, 0, blob);
  assert_bytes_string(blob_bytes(counts), "encoded");
  assert_ptr_equal(message_form(message, class_of(0)), counts);
  message_unref(message);
  return NULL;
}

static void threads_may_encode_at_once(void **state) {
  (void)state;
  for (int round = 0; round < 200; round++) {
    struct message *message = message_of(NULL, BYTES("a"), BYTES("b"), BYTES("1"));
    pthread_t thread;
    message_ref(message);
    assert_int_equal(pthread_create(&thread, NULL, encode, message_ref(message)), 0);
    encode(message);
    message_unref(message);
    pthread_join(thread, NULL);
  }
}

static bool make_message(void *context) {
  (void)context;
  struct message *message = message_of(NULL, BYTES("a"), BYTES("b"), BYTES("1"));
  message_unref(message);
  return message != NULL;
}

static void stands_failing_memory(void **state) {
  (void)state;
  assert_int_equal(support_fail_each(make_message, NULL), 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(copies_its_texts),
      TEST(frees_its_wires_with_the_last_reference),
      TEST(of_two_wires_the_first_stays),
      TEST(threads_may_encode_at_once),
      TEST(stands_failing_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
