/* Clients that leave: what was done for them is undone, whatever memory there is, and in order. */
#include "base/memory.h"
#include "server/server.h"
#include "test/support.h"
#include "test/support/host.h"

enum { LEAVE = 1u << MW_REQUEST_LEAVE, JOIN = 1u << MW_REQUEST_JOIN, PEERS = 3 };

static struct host host;
static struct peer peers[PEERS];

static int define(struct mw_config *config) {
  struct mw_channel_options options = {.hooks = MW_HOOK_OPEN | MW_HOOK_JOIN | MW_HOOK_LEAVE | MW_HOOK_CLOSE};
  return mw_config_channel(config, "{x}", &options, NULL);
}

static int begin(void **state) {
  int status = support_setup(state);
  assert_int_equal(host_begin(&host, &(struct host_options){.define = define}), 0);
  for (size_t i = 0; i < PEERS; i++) peer_connect(&peers[i], &host);
  return status;
}

/* Counts of live objects must be zero afterwards. */
static int end(void **state) {
  for (size_t i = 0; i < PEERS; i++) peer_close(&peers[i]);
  host_end(&host);
  while (host.kept_count > 0) host_answer(&host);
  return support_teardown(state);
}

static void join(struct peer *peer, const char *target) {
  peer_get(peer, target, "");
  host_until(&host, peer_stream(peer) && strstr(peer_stream(peer), "\n\n"));
}

static size_t count_of(const char *text, const char *word) {
  size_t count = 0;
  while ((text = strstr(text, word)) != NULL) {
    count++;
    text += strlen(word);
  }
  return count;
}

/* Several leave in one turn, and the app takes its time with each. Whichever allocation fails, it
 * is told of all of them. */
static void each_is_told_of(void **state) {
  (void)state;
  for (size_t nth = 1; nth < 12; nth++) {
    for (size_t i = 0; i < PEERS; i++) join(&peers[i], "/sse?channel=a");
    host.trace[0] = '\0';
    host.keep = LEAVE;
    for (size_t i = 0; i < PEERS; i++) peer_close(&peers[i]);
    memory_fail_after(nth);
    host_until(&host, host.kept_count == PEERS);
    memory_fail_after(0);
    host.keep = 0;
    while (host.kept_count > 0) host_answer(&host);
    host_until(&host, strstr(host.trace, "close a; "));
    assert_int_equal(count_of(host.trace, "leave a; "), PEERS);
    host_until(&host, mw_live("membership") == 0 && mw_live("client") == 0);
    for (size_t i = 0; i < PEERS; i++) peer_connect(&peers[i], &host);
  }
}

/* The memberships of one client are undone one after the other. */
static void one_after_the_other(void **state) {
  (void)state;
  join(&peers[0], "/sse?channel=a&channel=b");
  assert_int_equal(mw_live("membership"), 2);
  host.trace[0] = '\0';
  host.keep = LEAVE;
  peer_close(&peers[0]);
  host_until(&host, host.kept_count == 1);
  host_settle(&host);
  assert_string_equal(host.trace, "leave a; ");
  host_answer(&host);
  host_until(&host, host.kept_count == 1);
  assert_string_equal(host.trace, "leave a; close a; leave b; ");
  host.keep = 0;
  host_answer(&host);
  host_until(&host, strstr(host.trace, "close b; "));
  assert_int_equal(mw_live("membership"), 0);
}

/* The server is freed while the app is told of one, and another waits for that. */
static void the_server_may_end_first(void **state) {
  (void)state;
  join(&peers[0], "/sse?channel=a&channel=b");
  host.keep = LEAVE;
  peer_close(&peers[0]);
  host_until(&host, host.kept_count == 1);
  host_settle(&host);
  assert_int_equal(mw_live("membership"), 2);
}

/* A client goes while it joins its second channel: the first one is undone, and the second as soon
 * as the app has let it in. */
static void what_was_joined_meanwhile_is_undone(void **state) {
  (void)state;
  host.keep = JOIN;
  peer_get(&peers[0], "/sse?channel=a&channel=b", "");
  host_until(&host, host.kept_count == 1);
  host_answer(&host);
  host_until(&host, host.kept_count == 1);
  peer_close(&peers[0]);
  host_settle(&host);
  host.keep = 0;
  host_answer(&host);
  host_until(&host, strstr(host.trace, "close b; "));
  assert_non_null(strstr(host.trace, "leave a; close a; leave b; close b; "));
  host_until(&host, mw_live("request") == 0 && mw_live("membership") == 0 && mw_live("client") == 0);
}

#define LEAVING_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
  mw_log_to(MW_LOG_ERROR + 1, NULL, NULL);
  const struct CMUnitTest tests[] = {
      LEAVING_TEST(each_is_told_of),
      LEAVING_TEST(one_after_the_other),
      LEAVING_TEST(the_server_may_end_first),
      LEAVING_TEST(what_was_joined_meanwhile_is_undone),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
