#include <poll.h>
#include <signal.h>
#include <stdlib.h>

#include "base/memory.h"
#include "server/server.h"
#include "test/support.h"
#include "test/support/host.h"

enum { EVERYTHING = 0xfff, ALL_HOOKS = 31 };

static struct host host;

static int define(struct mw_config *config) {
  static const struct mw_channel_options hooked = {.hooks = ALL_HOOKS, .linger_ms = 60000}, plain = {.history_size = 5};
  int status = mw_config_channel(config, "hooked:{x}", &hooked, NULL);
  if (status >= 0) status = mw_config_channel(config, "plain:{x}", &plain, NULL);
  if (status >= 0) status = mw_config_route(config, "GET", "/app/{x}", NULL);
  if (status >= 0) status = mw_config_stream(config, "GET", "/raw/{x}", NULL);
  return status;
}

static void set(struct mw_config_options *options) { options->limits.drain_ms = 60; }

static int begin(void **state) {
  int status = support_setup(state);
  assert_int_equal(host_begin(&host, &(struct host_options){.define = define, .set = set}), 0);
  return status;
}

static int end(void **state) {
  host_end(&host);
  while (host.kept_count > 0) host_answer(&host);
  return support_teardown(state);
}

static const char *const targets[] = {"/sse?channel=hooked:a",
                                      "/sse?channel=hooked:a&channel=hooked:b",
                                      "/sse?channel=plain:a",
                                      "/app/1",
                                      "/raw/1",
                                      "/health",
                                      "/sse?channel=hooked:c",
                                      "/sse?channel=plain:a&channel=plain:b&envelope=1",
                                      "/app/2"};
enum { PEERS = COUNT_OF(targets) + 2 };
static struct peer peers[PEERS];

/* One peer for each kind of thing that can be in progress; the last two have sent nothing, and half
 * a request. */
static void bring_everything(void) {
  struct mw_stats stats;
  for (size_t i = 0; i < PEERS; i++) {
    peer_connect(&peers[i], &host);
    if (i < COUNT_OF(targets)) peer_get(&peers[i], targets[i], "");
  }
  peer_send(&peers[PEERS - 1], "GET /he");
  host_until(&host, (mw_server_stats(host.server, &stats), stats.accepted == PEERS && stats.requests == COUNT_OF(targets)));
  host_settle(&host);
  assert_int_equal(host_publish(&host, "plain:a", "1"), 0); /* still on its way */
}

static void take_everything_away(void) {
  for (size_t i = 0; i < PEERS; i++) peer_close(&peers[i]);
}

static void assert_all_ended(void) {
  for (size_t i = 0; i < PEERS; i++) host_until(&host, peer_ended(&peers[i]));
}

static void stops_when_all_is_said(void **state) {
  (void)state;
  bring_everything();
  host_stop(&host);
  host_stop(&host);
  host_until(&host, host.stops);
  assert_all_ended();
  /* what was published before still went out */
  assert_non_null(strstr(peers[2].in, "data: 1\nid: "));
  assert_memory_equal(peers[2].in + peers[2].len - 5, "0\r\n\r\n", 5);
  for (unsigned n = 0; n < 5; n++) assert_false(mw_server_step(host.server));
  assert_int_equal(host.stops, 1);
  assert_int_equal(host.streams_closed, 1);
  assert_int_equal(mw_live("conn"), 0);
  assert_non_null(strstr(host.trace, "close hooked:a; "));
  assert_int_equal(host_publish(&host, "plain:a", "1"), MW_EUNAVAILABLE);
  assert_int_equal(mw_server_listen(host.server, "127.0.0.1:0", NULL, NULL), MW_ECLOSED);
  take_everything_away();
}

static void cancels_what_waits(void **state) {
  (void)state;
  host.keep = EVERYTHING;
  host.yields = true;
  bring_everything();
  assert_true(host.kept_count > 4);
  host_stop(&host);
  host_until(&host, host.stops);
  assert_all_ended();
  assert_int_equal(host.kept_count, 0);
  assert_int_equal(mw_live("request"), 0);
  /* An EventSource may come back, to the next server. */
  assert_memory_equal(peers[0].in, "HTTP/1.1 200 OK\r\n", 17);
  assert_memory_equal(peers[3].in, "HTTP/1.1 503 ", 13);
  take_everything_away();
}

static void waits_for_no_app_longer_than_it_said(void **state) {
  (void)state;
  host.keep = EVERYTHING;
  bring_everything();
  uint64_t begun_ms = host_now_ms();
  host_stop(&host);
  host_until(&host, host.stops);
  assert_true(host_now_ms() - begun_ms >= 59);
  assert_true(host.kept_count > 4);
  mw_server_free(host.server);
  host.server = NULL;
  while (host.kept_count > 0) {
    assert_true(mw_request_cancelled(host.kept[0]));
    host_answer(&host);
  }
  assert_int_equal(mw_live("request"), 0);
  take_everything_away();
}

/* Answers that come when the server has gone: each question once, answered in every way. */
static void may_be_freed_with_everything_in_flight(void **state) {
  (void)state;
  for (unsigned type = 0; type < 8; type++) {
    for (unsigned refuses = 0; refuses < 2; refuses++) {
      if (type > 0 || refuses > 0) assert_int_equal(host_begin(&host, &(struct host_options){.define = define, .set = set}), 0);
      host.keep = 1u << type;
      bring_everything();
      if (type == MW_REQUEST_LEAVE || type == MW_REQUEST_CLOSE) {
        peer_close(&peers[0]);
        peer_close(&peers[1]);
        host_settle(&host);
      }
      host_end(&host);
      while (host.kept_count > 0) refuses ? host_refuse(&host) : host_answer(&host);
      take_everything_away();
      assert_int_equal(mw_live("memory"), 0);
    }
  }
}

static void stop_in_callback(void *context, struct mw_request *request) {
  struct host *stopping = context;
  host_stop(stopping);
  mw_request_refuse(request, 404, "not_found", "closing time");
}

static void set_stop(struct mw_config_options *options) { options->on_request = stop_in_callback; }

static void may_be_stopped_in_a_callback(void **state) {
  (void)state;
  struct peer peer;
  host_end(&host);
  assert_int_equal(host_begin(&host, &(struct host_options){.define = define, .set = set_stop}), 0);
  peer_connect(&peer, &host);
  peer_get(&peer, "/app/1", "");
  host_until(&host, host.stops);
  assert_true(peer_has(&peer, "HTTP/1.1 404 ") || peer_has(&peer, "HTTP/1.1 503 "));
  peer_close(&peer);
}

static void set_connections(struct mw_config_options *options) { options->limits.connections = 2; }

/* As many as the limit says are served; one more is closed, and makes room for none until another
 * goes. */
static void has_so_many_connections(void **state) {
  (void)state;
  host_end(&host);
  assert_int_equal(host_begin(&host, &(struct host_options){.set = set_connections}), 0);
  for (size_t i = 0; i < 3; i++) {
    peer_connect(&peers[i], &host);
    if (i < 2) peer_get(&peers[i], "/health", "");
    host_until(&host, i < 2 ? peer_has(&peers[i], "HTTP/1.1 200 OK\r\n") : peer_ended(&peers[i]));
  }
  peer_close(&peers[2]);
  peer_close(&peers[0]);
  host_settle(&host);
  peer_connect(&peers[0], &host);
  peer_get(&peers[0], "/health", "");
  host_until(&host, peer_has(&peers[0], "HTTP/1.1 200 OK\r\n"));
  peer_get(&peers[1], "/health", "");
  host_until(&host, peer_has(&peers[1], "HTTP") && peer_count(&peers[1], "HTTP/1.1 200 OK\r\n") == 2);
  for (size_t i = 0; i < 2; i++) peer_close(&peers[i]);
}

/* These look at the loop, which has a worker if there is only one. */
static void begin_one(void) {
  host_end(&host);
  assert_int_equal(host_begin(&host, &(struct host_options){.define = define, .set = set, .workers = 1}), 0);
}

/* Whoever waits on the descriptor and the time-out need not wait for the next tick. */
static void a_foreign_loop_sees_the_stop_at_once(void **state) {
  (void)state;
  uint64_t fastest_ms = UINT64_MAX;
  /* before drain_ms, and before the second has passed; a busy machine may need longer now and then */
  for (int i = 0; i < 50 && fastest_ms >= 40; i++) {
    begin_one();
    struct pollfd poll_fd = {.fd = mw_server_fd(host.server), .events = POLLIN};
    bring_everything();
    take_everything_away();
    host_stop(&host);
    uint64_t begun_ms = host_now_ms();
    while (!host.stops) {
      poll(&poll_fd, 1, mw_server_timeout(host.server));
      mw_server_step(host.server);
    }
    uint64_t took_ms = host_now_ms() - begun_ms;
    if (took_ms < fastest_ms) fastest_ms = took_ms;
  }
  assert_true(fastest_ms < 40);
}

/* Nor if the last connection closes in the course of the stop. */
static void a_foreign_loop_sees_the_last_connection_go(void **state) {
  (void)state;
  begin_one();
  struct pollfd poll_fd = {.fd = mw_server_fd(host.server), .events = POLLIN};
  peer_connect(&peers[0], &host);
  peer_get(&peers[0], "/health", "");
  host_until(&host, peer_has(&peers[0], "HTTP/1.1 200 OK\r\n"));
  host_settle(&host);
  host_stop(&host);
  while (!host.stops && (mw_server_timeout(host.server) == 0 || poll(&poll_fd, 1, 0) > 0)) mw_server_step(host.server);
  assert_int_equal(host.stops, 1);
  peer_close(&peers[0]);
}

static void on_nothing(void *context) { (void)context; }

/* A loop that asks for the time after each step alone learns of what is set between two steps. */
static void a_foreign_loop_sees_what_it_sets_itself(void **state) {
  (void)state;
  struct pollfd poll_fd = {.fd = mw_server_fd(host.server), .events = POLLIN};
  for (int i = 0; i < 3; i++) {
    while (mw_server_timeout(host.server) == 0 || poll(&poll_fd, 1, 0) > 0) mw_server_step(host.server);
    struct mw_timer *timer = NULL;
    if (i == 0) assert_int_equal(mw_timer_new(&timer, host.server, 1, 0, on_nothing, NULL), 0);
    if (i == 1) assert_int_equal(mw_server_listen(host.server, "127.0.0.1:0", NULL, NULL), 0);
    if (i == 2) mw_server_stop(host.server, NULL, NULL);
    assert_int_equal(poll(&poll_fd, 1, 0), 1);
    mw_server_step(host.server);
    mw_timer_free(timer);
  }
}

static void lives_on_the_loop_of_a_host(void **state) {
  (void)state;
  uv_loop_t loop;
  struct peer peer;
  host_end(&host);
  assert_int_equal(uv_loop_init(&loop), 0);
  assert_int_equal(host_begin(&host, &(struct host_options){.define = define, .loop = &loop}), 0);
  peer_connect(&peer, &host);
  peer_get(&peer, "/sse?channel=hooked:a", "");
  while (!peer_has(&peer, "retry")) uv_run(&loop, UV_RUN_NOWAIT);
  host_stop(&host);
  while (!host.stops) uv_run(&loop, UV_RUN_NOWAIT);
  assert_true(peer_ended(&peer));
  peer_close(&peer);
  host_end(&host);
  uv_run(&loop, UV_RUN_DEFAULT); /* ends, because nothing of the server is left in it */
  assert_int_equal(mw_live("memory"), 0);
  assert_int_equal(uv_loop_close(&loop), 0);
}

static bool start_on_host(void *context) {
  int status = host_begin(&host, &(struct host_options){.define = define, .loop = context});
  assert_true(status == 0 || status == MW_ENOMEM);
  if (status == 0) host_end(&host);
  uv_run(context, UV_RUN_DEFAULT);
  return status == 0;
}

static void a_start_that_fails_leaves_nothing_on_it(void **state) {
  (void)state;
  uv_loop_t loop;
  host_end(&host);
  assert_int_equal(uv_loop_init(&loop), 0);
  assert_true(support_fail_each(start_on_host, &loop) > 10);
  assert_int_equal(uv_loop_close(&loop), 0);
}

static bool start_and_stop(void *context) {
  (void)context;
  int status = host_begin(&host, &(struct host_options){.define = define});
  assert_true(status == 0 || status == MW_ENOMEM);
  if (status == 0) host_end(&host);
  return status == 0;
}

static void a_start_that_fails_leaves_nothing(void **state) {
  (void)state;
  host_end(&host);
  assert_true(support_fail_each(start_and_stop, NULL) > 10);
}

/* One peer is out of memory. That is its bad luck, and no one else's. */
static void who_finds_no_memory_holds_up_nobody(void **state) {
  (void)state;
  for (uint64_t n = 1; n <= 3; n++) {
    struct peer unlucky, next;
    memory_fail_after(n);
    peer_connect(&unlucky, &host);
    host_until(&host, peer_ended(&unlucky) || mw_live("conn") == 1);
    memory_fail_after(0);
    peer_connect(&next, &host);
    peer_get(&next, "/health", "");
    host_until(&host, peer_has(&next, "HTTP/1.1 200 "));
    peer_close(&unlucky);
    peer_close(&next);
    host_until(&host, mw_live("conn") == 0);
  }
}

static struct mw_timer *timer;
static unsigned rung;
static void on_timer(void *context) {
  (void)context;
  if (++rung == 3) {
    mw_timer_free(timer);
    timer = NULL;
  }
}

static void has_timers(void **state) {
  (void)state;
  struct mw_timer *later;
  rung = 0;
  assert_int_equal(mw_timer_new(&timer, host.server, 1, 1, on_timer, NULL), 0);
  assert_int_equal(mw_timer_new(&later, host.server, 600000, 0, on_timer, NULL), 0);
  host_until(&host, rung == 3);
  host_settle(&host);
  assert_int_equal(rung, 3);
  assert_null(timer);
  host_stop(&host); /* the other one goes with the server */
  host_until(&host, host.stops);
  assert_int_equal(mw_timer_new(&timer, host.server, 1, 1, on_timer, NULL), MW_ECLOSED);
}

static int first_caught, second_caught;
static void on_first(void *context, int signum) {
  (void)context;
  first_caught = signum;
}
static void on_second_watch(void *context, int signum) {
  (void)context;
  second_caught = signum;
}

static void watches_signals(void **state) {
  (void)state;
  first_caught = second_caught = 0;
  assert_int_equal(mw_server_on_signal(host.server, SIGUSR1, on_first, NULL), 0);
  raise(SIGUSR1);
  host_until(&host, first_caught == SIGUSR1);
  first_caught = 0;
  assert_int_equal(mw_server_on_signal(host.server, SIGUSR1, on_second_watch, NULL), 0);
  raise(SIGUSR1);
  host_until(&host, second_caught == SIGUSR1);
  assert_int_equal(first_caught, 0);
  static const int others[] = {SIGUSR2, SIGHUP, SIGWINCH, SIGALRM, SIGIO, SIGURG, SIGCHLD};
  for (size_t i = 0; i < COUNT_OF(others); i++) assert_int_equal(mw_server_on_signal(host.server, others[i], on_first, NULL), 0);
  assert_int_equal(mw_server_on_signal(host.server, SIGCONT, on_first, NULL), MW_ELIMIT);
  assert_int_equal(mw_server_on_signal(host.server, SIGUSR2, on_second_watch, NULL), 0);
}

static void a_private_listener_takes_publish_away(void **state) {
  (void)state;
  static const char publish[] = "POST /publish HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer key\r\nContent-Length: 21\r\n\r\n"
                                "{\"channel\":\"plain:a\"} ";
  struct host operators = host;
  struct peer peer;
  assert_int_equal(mw_server_listen(host.server, "127.0.0.1:0", &(struct mw_listen_options){.is_private = true}, NULL), 0);
  snprintf(operators.address, sizeof operators.address, "%s", mw_server_address(host.server, 1));
  assert_null(mw_server_address(host.server, 2));
  peer_connect(&peer, &host);
  peer_send(&peer, publish);
  host_until(&host, peer_has(&peer, "HTTP/1.1 404 "));
  peer_close(&peer);
  peer_connect(&peer, &operators);
  peer_send(&peer, publish);
  host_until(&host, peer_has(&peer, "HTTP/1.1 200 "));
  peer_close(&peer);
}

#define LIFE_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
  mw_log_to(MW_LOG_ERROR + 1, NULL, NULL);
  const struct CMUnitTest tests[] = {
      LIFE_TEST(stops_when_all_is_said),
      LIFE_TEST(cancels_what_waits),
      LIFE_TEST(waits_for_no_app_longer_than_it_said),
      LIFE_TEST(may_be_freed_with_everything_in_flight),
      LIFE_TEST(may_be_stopped_in_a_callback),
      LIFE_TEST(has_so_many_connections),
      LIFE_TEST(a_foreign_loop_sees_the_stop_at_once),
      LIFE_TEST(a_foreign_loop_sees_the_last_connection_go),
      LIFE_TEST(a_foreign_loop_sees_what_it_sets_itself),
      LIFE_TEST(lives_on_the_loop_of_a_host),
      LIFE_TEST(a_start_that_fails_leaves_nothing_on_it),
      LIFE_TEST(a_start_that_fails_leaves_nothing),
      LIFE_TEST(who_finds_no_memory_holds_up_nobody),
      LIFE_TEST(has_timers),
      LIFE_TEST(watches_signals),
      LIFE_TEST(a_private_listener_takes_publish_away),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
