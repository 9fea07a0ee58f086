/* Memory connections and the clock that is moved by hand; and, with them, everything that takes
 * time. */
#include <string.h>

#include "test/support.h"
#include "test/support/memory_peer.h"

struct app {
  struct mw_server *server;
  int asked[16]; /* by type of request */
};

static void on_request(void *context, struct mw_request *request) {
  struct app *app = context;
  app->asked[mw_request_type(request)]++;
  mw_request_accept(request, NULL, 0);
}

static void start(struct app *app, const struct mw_channel_options *channel) {
  struct mw_config_options options;
  struct mw_config *config;
  *app = (struct app){NULL};
  mw_config_options_init(&options);
  options.on_request = on_request;
  options.context = app;
  assert_int_equal(mw_config_new(&config, &options, NULL), 0);
  assert_int_equal(mw_config_channel(config, "room:{id}", channel, NULL), 0);
  assert_int_equal(mw_server_new(&app->server, &(struct mw_server_options){.config = config}, NULL), 0);
  mw_config_unref(config);
}

static void publish(struct app *app, const char *data) {
  struct mw_publish message = {.channel = {"room:1", 6}, .data = {data, strlen(data)}};
  assert_int_equal(mw_publish(app->server, &message, NULL, NULL), 0);
  server_settle(app->server);
}

static void subscribe_sse(struct memory_peer *peer, struct app *app) {
  memory_peer_open(peer, app->server);
  memory_peer_send_text(peer, "GET /sse?channel=room:1 HTTP/1.1\r\nHost: test\r\n\r\n");
  assert_memory_equal(memory_peer_take(peer), "HTTP/1.1 200 ", 13);
}

static uint64_t connections(struct app *app) {
  struct mw_stats stats;
  mw_server_stats(app->server, &stats);
  return stats.connections;
}

/* ---- Memory ---------------------------------------------------------------------------------- */

static void answers_requests(void **state) {
  (void)state;
  struct app app;
  struct memory_peer peer;
  start(&app, &(struct mw_channel_options){0});
  memory_peer_open(&peer, app.server);
  memory_peer_send_text(&peer, "GET /health HTTP/1.1\r\nHost: test\r\n\r\nGET /he");
  assert_memory_equal(memory_peer_take(&peer), "HTTP/1.1 200 ", 13);
  assert_string_equal(memory_peer_take(&peer), "");
  memory_peer_send_text(&peer, "alth HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
  assert_false(mw_memory_ended(peer.memory));
  assert_memory_equal(memory_peer_take(&peer), "HTTP/1.1 200 ", 13);
  assert_true(memory_peer_ended(&peer));
  assert_int_equal(mw_memory_write(peer.memory, "x", 1), MW_ECLOSED);
  assert_int_equal(connections(&app), 0);
  memory_peer_close(&peer);
  server_finish(app.server);
}

static void notices_a_peer_that_goes(void **state) {
  (void)state;
  struct app app;
  struct memory_peer closed, finished;
  start(&app, &(struct mw_channel_options){.hooks = MW_HOOK_LEAVE});
  subscribe_sse(&closed, &app);
  subscribe_sse(&finished, &app);
  assert_int_equal(connections(&app), 2);
  memory_peer_close(&closed);
  server_settle(app.server);
  assert_int_equal(connections(&app), 1);
  mw_memory_finish(finished.memory);
  server_settle(app.server);
  assert_int_equal(connections(&app), 0);
  assert_int_equal(app.asked[MW_REQUEST_LEAVE], 2);
  assert_true(memory_peer_ended(&finished));
  memory_peer_close(&finished);
  server_finish(app.server);
}

static void outlives_the_server(void **state) {
  (void)state;
  struct app app;
  struct memory_peer peer;
  start(&app, &(struct mw_channel_options){0});
  subscribe_sse(&peer, &app);
  mw_server_free(app.server);
  assert_true(mw_memory_ended(peer.memory));
  assert_int_equal(mw_memory_write(peer.memory, "x", 1), MW_ECLOSED);
  memory_peer_close(&peer);
}

/* More than the connection holds waits at the server, and comes complete and in order. */
static void waits_for_a_slow_peer(void **state) {
  (void)state;
  enum { MESSAGES = 100, SIZE = 4000 };
  struct app app;
  struct memory_peer peer;
  char data[SIZE + 1];
  start(&app, &(struct mw_channel_options){0});
  subscribe_sse(&peer, &app);
  for (int i = 0; i < MESSAGES; i++) {
    memset(data, ' ', SIZE);
    data[SIZE] = '\0';
    int len = snprintf(data, SIZE, "{\"n\":%d", i);
    data[len] = ' ';
    data[SIZE - 1] = '}';
    publish(&app, data);
  }
  const char *text = memory_peer_take(&peer);
  for (int i = 0; i < MESSAGES; i++) {
    char want[32];
    snprintf(want, sizeof want, "{\"n\":%d ", i);
    text = strstr(text, want);
    assert_non_null(text);
  }
  assert_int_equal(connections(&app), 1);
  memory_peer_close(&peer);
  server_finish(app.server);
}

/* ---- Time ------------------------------------------------------------------------------------ */

static void closes_a_peer_that_takes_nothing(void **state) {
  (void)state;
  struct app app;
  struct memory_peer peer;
  char data[65000];
  start(&app, &(struct mw_channel_options){0});
  mw_server_advance(app.server, 1);
  subscribe_sse(&peer, &app);
  memset(data, '1', sizeof data - 1);
  data[sizeof data - 1] = '\0';
  for (int i = 0; i < 4; i++) publish(&app, data);
  mw_server_advance(app.server, 29000);
  server_settle(app.server);
  assert_int_equal(connections(&app), 1);
  mw_server_advance(app.server, 2000);
  server_settle(app.server);
  assert_int_equal(connections(&app), 0);
  assert_true(mw_memory_ended(peer.memory));
  memory_peer_close(&peer);
  server_finish(app.server);
}

static void beats(void **state) {
  (void)state;
  struct app app;
  struct memory_peer peer;
  start(&app, &(struct mw_channel_options){0});
  mw_server_advance(app.server, 1);
  subscribe_sse(&peer, &app);
  mw_server_advance(app.server, 13000);
  assert_string_equal(memory_peer_take(&peer), "");
  mw_server_advance(app.server, 3000);
  const char *first = strchr(memory_peer_take(&peer), ':');
  assert_non_null(first);
  /* In a long leap as many as in many short ones. */
  mw_server_advance(app.server, 60000);
  size_t beats = 0;
  for (const char *at = memory_peer_take(&peer); (at = strchr(at, ':')); at++) beats++;
  assert_int_equal(beats, 4);
  memory_peer_close(&peer);
  server_finish(app.server);
}

static void pings(void **state) {
  (void)state;
  struct app app;
  struct memory_peer plain, native;
  enum ws_opcode opcode;
  struct bytes payload;
  start(&app, &(struct mw_channel_options){0});
  mw_server_advance(app.server, 1);
  memory_peer_open(&plain, app.server);
  memory_peer_upgrade(&plain, NULL);
  memory_peer_open(&native, app.server);
  memory_peer_upgrade(&native, "moonwire.1");
  memory_peer_frame(&native, WS_OPCODE_TEXT, BYTES("{\"connect\":{}}"));
  mw_server_advance(app.server, 24000);
  memory_peer_expect(&plain, NULL);
  mw_server_advance(app.server, 2000);
  assert_true(memory_peer_next_frame(&plain, &opcode, &payload));
  assert_int_equal(opcode, WS_OPCODE_PING);
  memory_peer_expect(&native, "{\"ping\":true}");
  /* A sign of life is enough, of any kind. */
  memory_peer_frame(&plain, WS_OPCODE_PONG, BYTES(""));
  memory_peer_ask(&native, "{\"ping\":true,\"ref\":1}", "{\"ref\":1,\"ok\":true}");
  mw_server_advance(app.server, 20000);
  server_settle(app.server);
  assert_int_equal(connections(&app), 2);
  mw_server_advance(app.server, 20000);
  server_settle(app.server);
  assert_int_equal(connections(&app), 0);
  assert_true(mw_memory_ended(plain.memory));
  memory_peer_close(&plain);
  memory_peer_close(&native);
  server_finish(app.server);
}

static void wants_a_connect(void **state) {
  (void)state;
  struct app app;
  struct memory_peer peer;
  start(&app, &(struct mw_channel_options){0});
  mw_server_advance(app.server, 1);
  memory_peer_open(&peer, app.server);
  memory_peer_upgrade(&peer, "moonwire.1");
  memory_peer_ask(&peer, "{\"subscribe\":\"room:1\",\"ref\":1}",
                  "{\"ref\":1,\"error\":{\"code\":\"unauthorized\",\"reason\":\"connect first\"}}");
  mw_server_advance(app.server, 9000);
  memory_peer_expect(&peer, NULL);
  mw_server_advance(app.server, 2000);
  memory_peer_expect_close(&peer, 4408);
  /* Its close frame is awaited, but not indefinitely. */
  assert_false(memory_peer_ended(&peer));
  mw_server_advance(app.server, 7000);
  assert_true(memory_peer_ended(&peer));
  memory_peer_close(&peer);
  server_finish(app.server);
}

static size_t count_replay(struct app *app) {
  struct memory_peer peer;
  size_t count = 0;
  memory_peer_open(&peer, app->server);
  memory_peer_send_text(&peer, "GET /sse?channel=room:1 HTTP/1.1\r\nHost: test\r\n\r\n");
  for (const char *at = memory_peer_take(&peer); (at = strstr(at, "data:")); at++) count++;
  memory_peer_close(&peer);
  server_settle(app->server);
  return count;
}

static void forgets_history(void **state) {
  (void)state;
  struct app app;
  start(&app, &(struct mw_channel_options){.history_size = 10, .history_ttl_ms = 60000, .history_replay = 10});
  mw_server_advance(app.server, 1);
  publish(&app, "1");
  mw_server_advance(app.server, 40000);
  publish(&app, "2");
  assert_int_equal(count_replay(&app), 2);
  mw_server_advance(app.server, 25000);
  assert_int_equal(count_replay(&app), 1);
  mw_server_advance(app.server, 40000);
  assert_int_equal(count_replay(&app), 0);
  server_finish(app.server);
}

static void lingers(void **state) {
  (void)state;
  struct app app;
  struct memory_peer peer;
  start(&app, &(struct mw_channel_options){.hooks = MW_HOOK_OPEN | MW_HOOK_CLOSE, .linger_ms = 30000});
  mw_server_advance(app.server, 1);
  subscribe_sse(&peer, &app);
  memory_peer_close(&peer);
  server_settle(app.server);
  mw_server_advance(app.server, 29999);
  assert_int_equal(app.asked[MW_REQUEST_CLOSE], 0);
  subscribe_sse(&peer, &app);
  memory_peer_close(&peer);
  server_settle(app.server);
  mw_server_advance(app.server, 29999);
  assert_int_equal(app.asked[MW_REQUEST_CLOSE], 0);
  mw_server_advance(app.server, 1);
  assert_int_equal(app.asked[MW_REQUEST_OPEN], 1);
  assert_int_equal(app.asked[MW_REQUEST_CLOSE], 1);
  server_finish(app.server);
}

/* ---- Timers ---------------------------------------------------------------------------------- */

struct ticking {
  struct mw_server *server;
  struct mw_timer *timer;
  uint64_t start, times[8];
  size_t count, stop_at;
};

static void on_tick(void *context) {
  struct ticking *ticking = context;
  ticking->times[ticking->count++ % 8] = mw_server_time(ticking->server) - ticking->start;
  if (ticking->count != ticking->stop_at) return;
  mw_timer_free(ticking->timer);
  ticking->timer = NULL;
}

static void rings_at_its_moment(void **state) {
  (void)state;
  struct app app;
  start(&app, &(struct mw_channel_options){0});
  mw_server_advance(app.server, 1);
  struct ticking once = {.server = app.server, .start = mw_server_time(app.server)}, often = once, soon = once;
  often.stop_at = 3;
  assert_int_equal(mw_timer_new(&once.timer, app.server, 2500, 0, on_tick, &once), 0);
  assert_int_equal(mw_timer_new(&often.timer, app.server, 100, 700, on_tick, &often), 0);
  assert_int_equal(mw_timer_new(&soon.timer, app.server, 0, 0, on_tick, &soon), 0);
  mw_server_step(app.server);
  assert_int_equal(soon.count, 1);
  mw_server_advance(app.server, 99);
  assert_int_equal(often.count, 0);
  mw_server_advance(app.server, 1);
  assert_int_equal(often.count, 1);
  mw_server_advance(app.server, 10000);
  assert_int_equal(often.count, 3);
  assert_int_equal(often.times[1], 800);
  assert_int_equal(often.times[2], 1500);
  assert_int_equal(once.count, 1);
  assert_int_equal(once.times[0], 2500);
  assert_int_equal(mw_server_time(app.server) - once.start, 10100);
  mw_timer_free(once.timer);
  mw_timer_free(soon.timer);
  server_finish(app.server);
}

static void on_again(void *context) {
  struct ticking *ticking = context;
  mw_timer_free(ticking->timer);
  ticking->timer = NULL;
  if (++ticking->count < ticking->stop_at)
    assert_int_equal(mw_timer_new(&ticking->timer, ticking->server, 0, 0, on_again, ticking), 0);
}

/* What follows at once happens before time moves, and what never ends is noticed. */
static void comes_to_rest(void **state) {
  (void)state;
  struct app app;
  start(&app, &(struct mw_channel_options){0});
  mw_server_advance(app.server, 0);
  assert_true(mw_server_settle(app.server));
  struct ticking chain = {.server = app.server, .stop_at = 100};
  assert_int_equal(mw_timer_new(&chain.timer, app.server, 0, 0, on_again, &chain), 0);
  assert_int_equal(mw_server_timeout(app.server), 0);
  assert_true(mw_server_settle(app.server));
  assert_int_equal(chain.count, 100);
  /* of the coarse timers: some of it passed before time stood still */
  int tick_ms = mw_server_timeout(app.server);
  assert_true(tick_ms > 100 && tick_ms <= 1000);
  struct mw_timer *later;
  assert_int_equal(mw_timer_new(&later, app.server, 70, 0, on_tick, &chain), 0);
  assert_int_equal(mw_server_timeout(app.server), 70);
  mw_server_advance(app.server, 60);
  assert_int_equal(mw_server_timeout(app.server), 10);
  mw_timer_free(later);
  assert_int_equal(mw_server_timeout(app.server), tick_ms - 60);
  chain.stop_at = SIZE_MAX;
  assert_int_equal(mw_timer_new(&chain.timer, app.server, 0, 0, on_again, &chain), 0);
  assert_false(mw_server_settle(app.server));
  chain.stop_at = 0;
  assert_true(mw_server_settle(app.server));
  mw_server_stop(app.server, NULL, NULL);
  assert_true(mw_server_settle(app.server));
  assert_false(mw_server_step(app.server));
  mw_server_free(app.server);
}

/* Those that were set before time is moved by hand leave the system's time. */
static void takes_timers_over(void **state) {
  (void)state;
  struct app app;
  start(&app, &(struct mw_channel_options){0});
  struct ticking hour = {.server = app.server}, daily = hour;
  assert_int_equal(mw_timer_new(&hour.timer, app.server, 3600000, 0, on_tick, &hour), 0);
  assert_int_equal(mw_timer_new(&daily.timer, app.server, 3600000, 86400000, on_tick, &daily), 0);
  mw_server_advance(app.server, 3590000);
  assert_int_equal(hour.count, 0);
  mw_server_advance(app.server, 10000);
  assert_int_equal(hour.count, 1);
  mw_server_advance(app.server, 2 * 86400000);
  assert_int_equal(hour.count, 1);
  assert_int_equal(daily.count, 3);
  mw_timer_free(hour.timer);
  mw_timer_free(daily.timer);
  server_finish(app.server);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(answers_requests),
      TEST(notices_a_peer_that_goes),
      TEST(outlives_the_server),
      TEST(waits_for_a_slow_peer),
      TEST(closes_a_peer_that_takes_nothing),
      TEST(beats),
      TEST(pings),
      TEST(wants_a_connect),
      TEST(forgets_history),
      TEST(lingers),
      TEST(rings_at_its_moment),
      TEST(takes_timers_over),
      TEST(comes_to_rest),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
