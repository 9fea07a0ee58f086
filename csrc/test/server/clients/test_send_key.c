#include "app/keys/send_key.h"

#include "app/config.h"
#include "app/script_job.h"
#include "base/memory.h"
#include "test/support.h"

struct fixture {
  struct mw_config *config;
  struct send_keys keys;
  struct list ready;
};

static void start(struct fixture *fixture) {
  struct mw_config_options options;
  mw_config_options_init(&options);
  assert_int_equal(mw_config_new(&fixture->config, &options, NULL), 0);
  send_keys_init(&fixture->keys);
  list_init(&fixture->ready);
}

static void finish(struct fixture *fixture) {
  assert_null(send_keys_take_waiter(&fixture->keys));
  send_keys_deinit(&fixture->keys);
  mw_config_unref(fixture->config);
}

/* A message with that key, of a user by its JSON (NULL: anonymous). */
static struct script_job *make(struct fixture *fixture, const char *user, const char *key) {
  struct mw_client *client = client_new("http", "");
  assert_non_null(client);
  if (user) assert_int_equal(client_set_user(client, blob_new(bytes_string(user))), 0);
  struct script_job *job = job_new(JOB_MESSAGE, fixture->config, client, NULL, NULL, 0);
  mw_client_unref(client);
  assert_non_null(job);
  job->idempotency_key = bytes_string(key);
  return job;
}

static enum send_key_turn enter(struct fixture *fixture, struct script_job *job, uint64_t now_ms) {
  return job_enter_key(job, &fixture->keys, now_ms);
}

/* The app's answer: a body, or a refusal. */
static void settle(struct fixture *fixture, struct script_job *job, int status, const char *text, uint64_t now_ms) {
  if (status == 200) {
    job->status = 200;
    job->body = blob_new(bytes_string(text));
  } else {
    job_refuse(job, status, "code", text);
  }
  job_settle_key(job, &fixture->keys, now_ms, &fixture->ready);
}

/* Whether a send with that key would be the first, and forgets it again if it is. */
static bool is_new(struct fixture *fixture, const char *user, const char *key, uint64_t now_ms) {
  struct script_job *job = make(fixture, user, key);
  enum send_key_turn turn = enter(fixture, job, now_ms);
  assert_int_not_equal(turn, SEND_KEY_WAITS);
  if (turn == SEND_KEY_FIRST) settle(fixture, job, 503, "", now_ms);
  job_unref(job);
  return turn == SEND_KEY_FIRST;
}

static void send_one(struct fixture *fixture, const char *user, const char *key, const char *body, uint64_t now_ms) {
  struct script_job *job = make(fixture, user, key);
  assert_int_equal(enter(fixture, job, now_ms), SEND_KEY_FIRST);
  settle(fixture, job, 200, body, now_ms);
  job_unref(job);
}

static void gives_the_first_answer_again(void **state) {
  (void)state;
  struct fixture fixture;
  start(&fixture);
  send_one(&fixture, NULL, "a", "[1]", 0);
  struct script_job *again = make(&fixture, NULL, "a");
  assert_int_equal(enter(&fixture, again, 1), SEND_KEY_ANSWERED);
  assert_int_equal(again->status, 0);
  assert_bytes_string(blob_bytes(again->body), "[1]");
  job_unref(again);

  struct script_job *refused = make(&fixture, NULL, "b");
  assert_int_equal(enter(&fixture, refused, 1), SEND_KEY_FIRST);
  settle(&fixture, refused, 400, "no", 1);
  job_unref(refused);
  again = make(&fixture, NULL, "b");
  assert_int_equal(enter(&fixture, again, 1), SEND_KEY_ANSWERED);
  assert_int_equal(again->status, 400);
  assert_string_equal(again->code, "code");
  assert_string_equal(again->reason, "no");
  job_unref(again);
  finish(&fixture);
}

static void keeps_keys_per_user(void **state) {
  (void)state;
  struct fixture fixture;
  start(&fixture);
  send_one(&fixture, NULL, "k", "0", 0);
  send_one(&fixture, "{\"id\":\"a\"}", "k", "1", 0);
  send_one(&fixture, "{\"id\":\"b\"}", "k", "2", 0);
  send_one(&fixture, "{\"name\":\"a\"}", "k", "3", 0);
  send_one(&fixture, "{\"id\":\"ab\"}", "c", "4", 0);
  assert_true(is_new(&fixture, "{\"id\":\"a\"}", "bc", 0));
  assert_false(is_new(&fixture, "{\"id\":\"a\",\"name\":\"another connection\"}", "k", 0));
  assert_false(is_new(&fixture, "{\"name\":\"a\"}", "k", 0));
  assert_true(is_new(&fixture, "{\"name\":\"b\"}", "k", 0));
  assert_false(is_new(&fixture, NULL, "k", 0)); /* any anonymous client */
  finish(&fixture);
}

static void forgets_after_five_minutes(void **state) {
  (void)state;
  struct fixture fixture;
  start(&fixture);
  send_one(&fixture, NULL, "a", "1", 1000);
  assert_false(is_new(&fixture, NULL, "a", 1000 + SEND_KEYS_MS - 1));
  assert_true(is_new(&fixture, NULL, "a", 1000 + SEND_KEYS_MS));
  assert_int_equal(fixture.keys.by_key.count, 0);
  finish(&fixture);
}

static void is_bounded_in_count(void **state) {
  (void)state;
  struct fixture fixture;
  char key[32];
  start(&fixture);
  for (int i = 0; i <= SEND_KEYS; i++) {
    snprintf(key, sizeof key, "key %d", i);
    send_one(&fixture, NULL, key, "1", 0);
  }
  assert_int_equal(fixture.keys.by_key.count, SEND_KEYS);
  assert_true(is_new(&fixture, NULL, "key 0", 0));
  assert_false(is_new(&fixture, NULL, "key 1", 0));
  finish(&fixture);
}

static void is_bounded_in_bytes(void **state) {
  (void)state;
  struct fixture fixture;
  size_t len = SEND_KEYS_BYTES / 4;
  char *body = memory_calloc(1, len + 1);
  assert_non_null(body);
  memset(body, '1', len);
  start(&fixture);
  static const char *const keys[] = {"a", "b", "c", "d"};
  for (size_t i = 0; i < 4; i++) send_one(&fixture, NULL, keys[i], body, 0);
  assert_true(fixture.keys.bytes <= SEND_KEYS_BYTES);
  assert_true(is_new(&fixture, NULL, "a", 0));
  assert_false(is_new(&fixture, NULL, "b", 0));
  memory_free(body);
  finish(&fixture);
}

static struct script_job *take_ready(struct fixture *fixture) {
  assert_false(list_empty(&fixture->ready));
  struct script_job *job = container_of(fixture->ready.next, struct script_job, task.link);
  list_remove(&job->task.link);
  return job;
}

static void those_that_waited_get_the_answer(void **state) {
  (void)state;
  struct fixture fixture;
  start(&fixture);
  struct script_job *first = make(&fixture, NULL, "k"), *second = make(&fixture, NULL, "k"), *third = make(&fixture, NULL, "k");
  assert_int_equal(enter(&fixture, first, 0), SEND_KEY_FIRST);
  assert_int_equal(enter(&fixture, second, 0), SEND_KEY_WAITS);
  assert_int_equal(enter(&fixture, third, 0), SEND_KEY_WAITS);
  settle(&fixture, first, 503, "not done", 0); /* so the next one is tried */
  assert_ptr_equal(take_ready(&fixture), second);
  assert_ptr_equal(take_ready(&fixture), third);
  assert_int_equal(enter(&fixture, second, 0), SEND_KEY_FIRST);
  assert_int_equal(enter(&fixture, third, 0), SEND_KEY_WAITS);
  settle(&fixture, second, 200, "done", 0);
  assert_ptr_equal(take_ready(&fixture), third);
  assert_int_equal(enter(&fixture, third, 0), SEND_KEY_ANSWERED);
  assert_bytes_string(blob_bytes(third->body), "done");
  job_unref(first);
  job_unref(second);
  job_unref(third);
  finish(&fixture);
}

static void what_timed_out_is_tried_again(void **state) {
  (void)state;
  struct fixture fixture;
  start(&fixture);
  struct script_job *first = make(&fixture, NULL, "k");
  assert_int_equal(enter(&fixture, first, 0), SEND_KEY_FIRST);
  first->request.cancelled = true;
  settle(&fixture, first, 500, "internal error", 0);
  assert_true(is_new(&fixture, NULL, "k", 0));
  job_unref(first);
  finish(&fixture);
}

static bool run_in_fixture(void *context) {
  struct fixture fixture = {.config = context};
  struct mw_client *client = client_new("http", "");
  struct script_job *job = client ? job_new(JOB_MESSAGE, fixture.config, client, NULL, NULL, 0) : NULL;
  mw_client_unref(client);
  send_keys_init(&fixture.keys);
  list_init(&fixture.ready);
  bool fine = job != NULL;
  if (job) {
    job->idempotency_key = BYTES("k");
    fine = job_enter_key(job, &fixture.keys, 0) == SEND_KEY_FIRST;
    if (!fine) assert_int_equal(job->status, 503);
  }
  if (fine) {
    job_refuse(job, 400, "code", "reason");
    job_settle_key(job, &fixture.keys, 0, &fixture.ready);
    fine = fixture.keys.known_count == 1;
  }
  if (!fine) assert_int_equal(fixture.keys.by_key.count, 0);
  job_unref(job);
  send_keys_deinit(&fixture.keys);
  return fine;
}

static void without_memory_it_is_refused_or_forgotten(void **state) {
  (void)state;
  struct fixture fixture;
  start(&fixture);
  assert_true(support_fail_each(run_in_fixture, fixture.config) >= 5);
  finish(&fixture);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(gives_the_first_answer_again),  TEST(keeps_keys_per_user),
      TEST(forgets_after_five_minutes),    TEST(is_bounded_in_count),
      TEST(is_bounded_in_bytes),           TEST(those_that_waited_get_the_answer),
      TEST(what_timed_out_is_tried_again), TEST(without_memory_it_is_refused_or_forgotten),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
