/* mw_server_send_user and mw_server_kick_user: all clients of a user, on every transport, and those of
 * nobody else; also if memory is short. */
#include "base/memory.h"
#include "test/support.h"
#include "test/support/token/token_app.h"

enum { KINDS = 2 };

static void join(struct token_app *app, struct memory_peer peers[KINDS], const char *user) {
  char token[MW_TOKEN_MAX];
  snprintf(token, sizeof token, "%s", token_of(app, user, 1000, ""));
  token_connect(app, &peers[0], token);
  token_ask(&peers[0], "{\"subscribe\":\"open:a\",\"ref\":1}");
  assert_int_equal(token_get(app, &peers[1], "/sse?channel=open:a&channel=open:b&envelope=1", token, ""), 200);
}

static int say(struct token_app *app, const char *user, const char *data, size_t *count) {
  struct mw_publish push = {.event = {"notice", 6}, .data = {data, strlen(data)}};
  return mw_server_send_user(app->server, user, strlen(user), &push, count, NULL);
}

static int kick(struct token_app *app, const char *user, const char *channel) {
  return mw_server_kick_user(app->server, user, strlen(user), channel, strlen(channel), NULL, NULL);
}

static void close_all(struct memory_peer peers[KINDS]) {
  for (size_t i = 0; i < KINDS; i++) memory_peer_close(&peers[i]);
}

static void reaches_all_clients_of_a_user(void **state) {
  (void)state;
  struct token_app app;
  struct memory_peer ann[KINDS], bea[KINDS];
  size_t count;
  token_app_start(&app);
  join(&app, ann, "ann");
  join(&app, bea, "bea");
  assert_int_equal(say(&app, "ann", "1", &count), 0);
  assert_int_equal(count, 2);
  assert_int_equal(say(&app, "cleo", "2", &count), 0);
  assert_int_equal(count, 0);
  assert_int_equal(say(&app, "ann", "{", NULL), MW_EINVAL);
  server_settle(app.server);
  assert_string_equal(token_next(&ann[0]), "{\"event\":\"notice\",\"data\":1}");
  assert_true(token_got(&ann[1], "{\"event\":\"notice\",\"data\":1}"));
  assert_string_equal(token_next(&bea[0]), "");
  assert_int_equal(kick(&app, "ann", "open:a"), 0);
  assert_int_equal(kick(&app, "cleo", "open:a"), 0);
  assert_int_equal(kick(&app, "ann", "closed:a"), MW_ENOTFOUND);
  assert_int_equal(kick(&app, "ann", ""), MW_EINVAL);
  server_settle(app.server);
  assert_non_null(strstr(token_next(&ann[0]), "moonwire:unsubscribed"));
  assert_true(token_got(&ann[1], "moonwire:unsubscribed"));
  assert_false(token_got(&bea[1], "moonwire:unsubscribed"));
  token_app_publish(&app, "open:a", 7);
  server_settle(app.server);
  assert_false(token_got(&ann[1], "{\"n\":7}"));
  assert_true(token_got(&bea[1], "{\"n\":7}"));
  close_all(ann);
  close_all(bea);
  token_app_finish(&app);
}

/* Either it is sent to some of them, or the caller knows that it is not. */
static void is_short_of_memory(void **state) {
  (void)state;
  struct token_app app;
  struct memory_peer ann[KINDS];
  token_app_start(&app);
  for (uint64_t fails = 30; fails < 31; fails--) { /* the last time, nothing fails */
    size_t count = 0;
    join(&app, ann, "ann");
    memory_fail_after(fails);
    int sent = say(&app, "ann", "1", &count);
    int kicked = kick(&app, "ann", "open:a");
    server_settle(app.server);
    memory_fail_after(0);
    assert_true(sent == 0 || (sent == MW_ENOMEM && count == 0));
    assert_true(kicked == 0 || kicked == MW_ENOMEM);
    if (fails == 0) assert_true(sent == 0 && kicked == 0 && count == 2);
    close_all(ann);
    server_settle(app.server);
  }
  token_app_finish(&app);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(reaches_all_clients_of_a_user, support_setup, support_teardown),
      cmocka_unit_test_setup_teardown(is_short_of_memory, support_setup, support_teardown)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
