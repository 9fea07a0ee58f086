#include "base/memory.h"
#include "server/server.h"
#include "test/support.h"
#include "test/support/host.h"

enum {
  AUTHENTICATE = 1u << MW_REQUEST_AUTHENTICATE,
  AUTHORIZE = 1u << MW_REQUEST_AUTHORIZE,
  OPEN = 1u << MW_REQUEST_OPEN,
  JOIN = 1u << MW_REQUEST_JOIN,
  LEAVE = 1u << MW_REQUEST_LEAVE,
  CLOSE = 1u << MW_REQUEST_CLOSE,
  ALL_HOOKS = MW_HOOK_AUTHORIZE | MW_HOOK_OPEN | MW_HOOK_JOIN | MW_HOOK_LEAVE | MW_HOOK_CLOSE
};

static struct host host;
static struct peer peer;

static int define(struct mw_config *config) {
  static const struct {
    const char *pattern;
    struct mw_channel_options options;
  } kinds[] = {
      {"{x}", {.hooks = ALL_HOOKS, .history_size = 10}},
      {"open:{x}", {.hooks = MW_HOOK_OPEN | MW_HOOK_CLOSE}},
      {"linger:{x}", {.hooks = MW_HOOK_OPEN | MW_HOOK_CLOSE, .linger_ms = 30}},
      {"leave:{x}", {.hooks = MW_HOOK_LEAVE}},
      {"plain:{x}", {.hooks = 0}},
  };
  for (size_t i = 0; i < COUNT_OF(kinds); i++) {
    int status = mw_config_channel(config, kinds[i].pattern, &kinds[i].options, NULL);
    if (status < 0) return status;
  }
  return 0;
}

static void set_authenticate(struct mw_config_options *options) { options->authenticate = true; }

static int begin(void **state) {
  int status = support_setup(state);
  assert_int_equal(host_begin(&host, &(struct host_options){.define = define}), 0);
  peer_connect(&peer, &host);
  return status;
}

static int begin_authenticated(void **state) {
  int status = support_setup(state);
  assert_int_equal(host_begin(&host, &(struct host_options){.define = define, .set = set_authenticate}), 0);
  peer_connect(&peer, &host);
  return status;
}

static int end(void **state) {
  peer_close(&peer);
  host_end(&host);
  while (host.kept_count > 0) host_answer(&host);
  return support_teardown(state);
}

/* What the app was asked since the last time. */
static void assert_asked(const char *expected) {
  assert_string_equal(host.trace, expected);
  host.trace[0] = '\0';
}

static void until_asked(const char *expected) {
  host_until(&host, strlen(host.trace) >= strlen(expected));
  host_settle(&host);
  assert_asked(expected);
}

static bool is_joined(struct peer *who) { return peer_stream(who) && strstr(peer_stream(who), "\n\n"); }

static void assert_nothing_is_left(void) {
  host_until(&host, mw_live("request") == 0 && mw_live("subscription") == 0 && mw_live("client") == 0);
  assert_int_equal(host.server->script.open_channels.count, 0);
  assert_int_equal(atomic_load(&host.server->app.job_count), 0);
}

static void joins_and_leaves_step_by_step(void **state) {
  (void)state;
  peer_get(&peer, "/sse?channel=a&channel=b&envelope=1", "");
  host_until(&host, is_joined(&peer));
  assert_asked("authorize a; authorize b; open a; join a; open b; join b; ");
  host_until(&host, strstr(peer_stream(&peer), "\"channels\":{\"a\":{\"data\":{\"n\":1}},\"b\":{\"data\":{\"n\":1}}}"));
  peer_close(&peer);
  until_asked("leave a; close a; leave b; close b; ");
  assert_nothing_is_left();
}

static void authenticates_first(void **state) {
  (void)state;
  peer_get(&peer, "/sse?channel=a", "Cookie: x=1\r\n");
  host_until(&host, is_joined(&peer));
  assert_asked("authenticate /sse; authorize a; open a; join a; ");
  peer_close(&peer);
  until_asked("leave a; close a; ");
  peer_connect(&peer, &host);
  host.refuse = AUTHENTICATE;
  peer_get(&peer, "/sse?channel=a&channel=plain:b", "");
  host_until(&host, peer_has(&peer, "HTTP/1.1 403 "));
  assert_asked("authenticate /sse; ");
  assert_nothing_is_left();
}

/* Whatever refuses, what was done before is undone, in balance, and the client is told before its
 * first byte of a stream. */
static void a_refusal_undoes_what_was_done(void **state) {
  (void)state;
  static const struct {
    unsigned refuse;
    const char *asked;
  } cases[] = {
      {AUTHORIZE, "authorize a; "},
      {OPEN, "authorize a; authorize b; open a; "},
      {JOIN, "authorize a; authorize b; open a; join a; close a; "},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    for (unsigned later = 0; later < 2; later++) {
      host.refuse = cases[i].refuse;
      host.keep = later ? cases[i].refuse : 0;
      peer_get(&peer, "/sse?channel=a&channel=b", "");
      if (later) host_until(&host, host.kept_count == 1);
      if (later) host_refuse(&host);
      host_until(&host, peer_has(&peer, "HTTP/1.1 403 ") && peer_has(&peer, "not you"));
      until_asked(cases[i].asked);
      assert_nothing_is_left();
      peer_close(&peer);
      peer_connect(&peer, &host);
    }
  }
}

static void a_refusal_at_the_second_channel_undoes_the_first(void **state) {
  (void)state;
  host.keep = OPEN;
  peer_get(&peer, "/sse?channel=a&channel=b", "");
  host_until(&host, host.kept_count == 1);
  host_answer(&host);
  host_until(&host, host.kept_count == 1);
  host_refuse(&host);
  host_until(&host, peer_has(&peer, "HTTP/1.1 403 "));
  until_asked("authorize a; authorize b; open a; join a; open b; leave a; close a; ");
  assert_nothing_is_left();
}

/* The client leaves while that question waits. The app is told to be quick, and what its late
 * answer allows is undone. */
static void who_leaves_while_it_waits_joins_nothing(void **state) {
  (void)state;
  static const struct {
    unsigned keep;
    const char *asked, *then;
  } cases[] = {
      {AUTHORIZE, "authorize a; cancel authorize a; ", ""},
      {OPEN, "authorize a; open a; cancel open a; ", "close a; "},
      {JOIN, "authorize a; open a; join a; cancel join a; ", "leave a; close a; "},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    host.keep = cases[i].keep;
    peer_get(&peer, "/sse?channel=a", "");
    host_until(&host, host.kept_count == 1);
    peer_close(&peer);
    until_asked(cases[i].asked);
    host_answer(&host);
    until_asked(cases[i].then);
    assert_nothing_is_left();
    peer_connect(&peer, &host);
  }
}

static void a_script_that_yields_leaves_nothing_either(void **state) {
  (void)state;
  static const unsigned keeps[] = {AUTHORIZE, OPEN, JOIN};
  host.yields = true;
  for (size_t i = 0; i < COUNT_OF(keeps); i++) {
    host.keep = keeps[i];
    peer_get(&peer, "/sse?channel=a&channel=b", "");
    host_until(&host, host.kept_count == 1);
    peer_close(&peer);
    host_until(&host, strstr(host.trace, "cancel "));
    host_settle(&host);
    assert_int_equal(host.kept_count, 0);
    assert_nothing_is_left();
    host.trace[0] = '\0';
    peer_connect(&peer, &host);
  }
}

static void waiters_for_one_open_get_in_together(void **state) {
  (void)state;
  struct peer others[3];
  host.keep = OPEN;
  peer_get(&peer, "/sse?channel=open:a", "");
  for (size_t i = 0; i < 3; i++) {
    peer_connect(&others[i], &host);
    peer_get(&others[i], "/sse?channel=open:a", "");
  }
  until_asked("open open:a; ");
  assert_int_equal(host.kept_count, 1);
  peer_close(&others[0]);
  host_settle(&host);
  host_answer(&host);
  host_until(&host, is_joined(&peer) && is_joined(&others[1]) && is_joined(&others[2]));
  assert_int_equal(mw_channel_count(host.server, "open:a", 6, NULL), 3);
  peer_close(&peer);
  peer_close(&others[1]);
  host_until(&host, mw_channel_count(host.server, "open:a", 6, NULL) == 1);
  host_settle(&host);
  assert_asked("");
  peer_close(&others[2]);
  until_asked("close open:a; ");
  assert_nothing_is_left();
}

static void waiters_for_one_open_are_refused_together(void **state) {
  (void)state;
  struct peer other;
  host.keep = OPEN;
  peer_connect(&other, &host);
  peer_get(&peer, "/sse?channel=open:a", "");
  peer_get(&other, "/sse?channel=plain:x&channel=open:a", "");
  until_asked("open open:a; ");
  host_refuse(&host);
  host_until(&host, peer_has(&peer, "HTTP/1.1 403 ") && peer_has(&other, "HTTP/1.1 403 "));
  assert_asked("");
  assert_nothing_is_left();
  peer_close(&other);
}

/* Everyone left while OPEN waited, it was cancelled, and then someone came: an app that gave up
 * must be asked again. */
static void who_comes_after_a_cancel_is_not_refused(void **state) {
  (void)state;
  struct peer other;
  host.keep = OPEN;
  peer_get(&peer, "/sse?channel=open:a", "");
  until_asked("open open:a; ");
  peer_close(&peer);
  until_asked("cancel open open:a; ");
  peer_connect(&other, &host);
  peer_get(&other, "/sse?channel=open:a", "");
  host_settle(&host);
  assert_asked("");
  host_refuse(&host);
  until_asked("open open:a; ");
  host_answer(&host);
  host_until(&host, is_joined(&other));
  peer_close(&other);
  until_asked("close open:a; ");
  assert_nothing_is_left();
}

static void who_comes_while_close_waits_opens_anew(void **state) {
  (void)state;
  struct peer other;
  host.keep = CLOSE;
  peer_get(&peer, "/sse?channel=open:a", "");
  host_until(&host, is_joined(&peer));
  peer_close(&peer);
  until_asked("open open:a; close open:a; ");
  peer_connect(&peer, &host);
  peer_get(&peer, "/sse?channel=open:a", "");
  peer_connect(&other, &host);
  peer_get(&other, "/sse?channel=open:a", "");
  host_settle(&host);
  assert_asked(""); /* never beside CLOSE */
  peer_close(&other);
  host_settle(&host);
  host.keep = 0;
  host_answer(&host);
  host_until(&host, is_joined(&peer));
  assert_asked("open open:a; ");
  peer_close(&peer);
  until_asked("close open:a; ");
  assert_nothing_is_left();
}

static void who_leaves_while_close_waits_opens_nothing(void **state) {
  (void)state;
  host.keep = CLOSE;
  peer_get(&peer, "/sse?channel=open:a", "");
  host_until(&host, is_joined(&peer));
  peer_close(&peer);
  until_asked("open open:a; close open:a; ");
  peer_connect(&peer, &host);
  peer_get(&peer, "/sse?channel=open:a", "");
  host_settle(&host);
  peer_close(&peer);
  host_settle(&host);
  host_answer(&host);
  host_settle(&host);
  assert_asked("");
  assert_nothing_is_left();
}

static void lingers_before_it_closes(void **state) {
  (void)state;
  peer_get(&peer, "/sse?channel=linger:a", "");
  host_until(&host, is_joined(&peer));
  peer_close(&peer);
  host_until(&host, mw_live("subscription") == 0);
  host_settle(&host);
  assert_asked("open linger:a; ");
  peer_connect(&peer, &host);
  peer_get(&peer, "/sse?channel=linger:a", ""); /* back in time: neither closed nor opened */
  host_until(&host, is_joined(&peer));
  assert_asked("");
  peer_close(&peer);
  uint64_t left_ms = host_now_ms();
  host_until(&host, host.trace[0]);
  assert_true(host_now_ms() - left_ms >= 29);
  assert_asked("close linger:a; ");
  assert_nothing_is_left();
}

static void leave_follows_a_join_that_was_not_asked(void **state) {
  (void)state;
  peer_get(&peer, "/sse?channel=leave:a&channel=plain:b&channel=leave:c", "");
  host_until(&host, is_joined(&peer));
  assert_asked("");
  peer_close(&peer);
  until_asked("leave leave:a; leave leave:c; ");
  assert_nothing_is_left();
}

static void leaving_waits_for_nobody(void **state) {
  (void)state;
  host.keep = LEAVE;
  peer_get(&peer, "/sse?channel=a&channel=b", "");
  host_until(&host, is_joined(&peer));
  peer_close(&peer);
  until_asked("authorize a; authorize b; open a; join a; open b; join b; leave a; ");
  assert_int_equal(mw_channel_count(host.server, "a", 1, NULL), 0);
  host_refuse(&host); /* a leave cannot be refused */
  until_asked("close a; leave b; ");
  host_answer(&host);
  until_asked("close b; ");
  assert_nothing_is_left();
}

static void publish_in_order(const char *data) { assert_int_equal(host_publish(&host, "a", data), 0); }

/* What is published while the app thinks about a subscriber comes after its cursor, and once. */
static void misses_nothing_that_comes_while_it_joins(void **state) {
  (void)state;
  host.keep = JOIN;
  publish_in_order("1");
  peer_get(&peer, "/sse?channel=a&since=0", "");
  host_until(&host, host.kept_count == 1);
  publish_in_order("2");
  host_settle(&host);
  publish_in_order("3");
  host_answer(&host);
  publish_in_order("4");
  host_until(&host, strcmp(peer_events(&peer), "1 2 3 4 ") == 0);
  host.keep = 0;
}

static void who_is_asked_too_long_is_told_to_return(void **state) {
  (void)state;
  host_pass(&host, 1);
  host.keep = JOIN;
  peer_get(&peer, "/sse?channel=a", "");
  host_until(&host, host.kept_count == 1);
  host_pass(&host, 33000);
  /* Any other status ends an EventSource permanently. */
  host_until(&host, peer_ended(&peer));
  assert_memory_equal(peer.in, "HTTP/1.1 200 OK\r\n", 17);
  unsigned retry;
  assert_int_equal(sscanf(peer_stream(&peer), "retry: %u\n\n", &retry), 1);
  assert_asked("authorize a; open a; join a; cancel join a; ");
  host_answer(&host);
  until_asked("leave a; close a; ");
  assert_nothing_is_left();
}

/* The queue to the worker is full, and memory is out: an answer needs neither. */
static void an_answer_finds_its_way(void **state) {
  (void)state;
  struct mailbox *mailbox = &host.server->workers[0].mailbox;
  size_t limit = mailbox->limit;
  host_pass(&host, 1);
  host.keep = JOIN;
  peer_get(&peer, "/sse?channel=a", "");
  host_until(&host, host.kept_count == 1);
  mailbox->limit = 0;
  assert_int_equal(host_publish(&host, "a", "1"), MW_EUNAVAILABLE);
  memory_fail_after(2); /* the first is what JOIN says */
  host_answer(&host);
  assert_null(memory_alloc(1)); /* it needed no other */
  mailbox->limit = limit;
  host_until(&host, peer_has(&peer, "HTTP/1.1 200 OK\r\n"));
  peer_close(&peer);
  until_asked("authorize a; open a; join a; leave a; close a; ");
  assert_nothing_is_left();
}

/* The client leaves while nothing that is counted fits into the script's queue. */
static void a_leave_finds_its_way(void **state) {
  (void)state;
  struct mailbox *queue = &host.server->script.queue;
  size_t limit = queue->limit;
  peer_get(&peer, "/sse?channel=a", "");
  host_until(&host, peer_has(&peer, "HTTP/1.1 200 OK\r\n"));
  queue->limit = 0;
  peer_close(&peer);
  until_asked("authorize a; open a; join a; leave a; close a; ");
  queue->limit = limit;
  assert_nothing_is_left();
}

/* The app closes a client while the queue to its worker is full. */
static void a_close_finds_its_way(void **state) {
  (void)state;
  struct mailbox *mailbox = &host.server->workers[0].mailbox;
  size_t limit = mailbox->limit;
  peer_get(&peer, "/sse?channel=a", "");
  host_until(&host, peer_has(&peer, "HTTP/1.1 200 OK\r\n"));
  struct mw_client *client = mw_client_next(host.server, NULL);
  mailbox->limit = 0;
  assert_int_equal(mw_client_unsubscribe(host.server, client, "a", 1, NULL, NULL), MW_EUNAVAILABLE);
  memory_fail_after(1);
  assert_int_equal(mw_client_close(host.server, client, 4000, NULL), MW_ENOMEM);
  assert_int_equal(mw_client_close(host.server, client, 4000, NULL), 0);
  memory_fail_after(1);
  assert_int_equal(mw_client_close(host.server, client, 4001, NULL), 0); /* once is enough */
  assert_null(memory_alloc(1));
  mailbox->limit = limit;
  mw_client_unref(client);
  until_asked("authorize a; open a; join a; leave a; close a; ");
  host_until(&host, peer_ended(&peer));
  peer_close(&peer);
  assert_nothing_is_left();
}

#define JOINING_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
  mw_log_to(MW_LOG_ERROR + 1, NULL, NULL);
  const struct CMUnitTest tests[] = {
      JOINING_TEST(joins_and_leaves_step_by_step),
      cmocka_unit_test_setup_teardown(authenticates_first, begin_authenticated, end),
      JOINING_TEST(a_refusal_undoes_what_was_done),
      JOINING_TEST(a_refusal_at_the_second_channel_undoes_the_first),
      JOINING_TEST(who_leaves_while_it_waits_joins_nothing),
      JOINING_TEST(a_script_that_yields_leaves_nothing_either),
      JOINING_TEST(waiters_for_one_open_get_in_together),
      JOINING_TEST(waiters_for_one_open_are_refused_together),
      JOINING_TEST(who_comes_after_a_cancel_is_not_refused),
      JOINING_TEST(who_comes_while_close_waits_opens_anew),
      JOINING_TEST(who_leaves_while_close_waits_opens_nothing),
      JOINING_TEST(lingers_before_it_closes),
      JOINING_TEST(leave_follows_a_join_that_was_not_asked),
      JOINING_TEST(leaving_waits_for_nobody),
      JOINING_TEST(misses_nothing_that_comes_while_it_joins),
      JOINING_TEST(who_is_asked_too_long_is_told_to_return),
      JOINING_TEST(an_answer_finds_its_way),
      JOINING_TEST(a_leave_finds_its_way),
      JOINING_TEST(a_close_finds_its_way),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
