/* Channels that restart after their last message, while someone who saw the end still listens to
 * other channels. A client that reconnects with the newest id of a stream must have lost nothing
 * that came before it. */
#include <string.h>

#include "test/support.h"
#include "test/support/memory_peer.h"
#include "test/support/told.h"

enum { BIG = 20000, ALL_HOOKS = MW_HOOK_OPEN | MW_HOOK_JOIN | MW_HOOK_LEAVE | MW_HOOK_CLOSE };

static struct mw_server *server;
static char asked[512]; /* "open job:1; join job:1; " */
static struct memory_peer peer;
static struct told_peer told;

static void on_request(void *context, struct mw_request *request) {
  static const char *const words[] = {
      [MW_REQUEST_OPEN] = "open", [MW_REQUEST_JOIN] = "join", [MW_REQUEST_LEAVE] = "leave", [MW_REQUEST_CLOSE] = "close"};
  (void)context;
  struct mw_bytes channel = mw_request_channel(request);
  size_t len = strlen(asked);
  snprintf(asked + len, sizeof asked - len, "%s %.*s; ", words[mw_request_type(request)], (int)channel.len, channel.ptr);
  mw_request_accept(request, NULL, 0);
}

static int define(struct mw_config *config) {
  static const struct mw_channel_options kept = {.history_size = 100},
                                         hooked = {.history_size = 100, .hooks = ALL_HOOKS, .presence = MW_PRESENCE_FULL},
                                         bare = {.slow = MW_SLOW_CLOSE}, drop = {.slow = MW_SLOW_DROP}, few = {.history_size = 2};
  int status = mw_config_channel(config, "kept:{x}", &kept, NULL);
  if (status >= 0) status = mw_config_channel(config, "job:{x}", &hooked, NULL);
  if (status >= 0) status = mw_config_channel(config, "bare:{x}", &bare, NULL);
  if (status >= 0) status = mw_config_channel(config, "drop:{x}", &drop, NULL);
  if (status >= 0) status = mw_config_channel(config, "few:{x}", &few, NULL);
  return status < 0 ? status : 0;
}

static int begin(void **state) {
  int status = support_setup(state);
  struct mw_config_options options;
  struct mw_config *config;
  asked[0] = '\0';
  told = (struct told_peer){.id = ""};
  mw_config_options_init(&options);
  options.on_request = on_request;
  options.limits.outbox = 50000;
  options.limits.ping_ms = options.limits.progress_ms = UINT32_MAX;
  assert_int_equal(mw_config_new(&config, &options, NULL), 0);
  assert_int_equal(define(config), 0);
  assert_int_equal(mw_server_new(&server, &(struct mw_server_options){.config = config}, NULL), 0);
  mw_config_unref(config);
  mw_server_advance(server, 1);
  return status;
}

static int end(void **state) {
  server_finish(server);
  return support_teardown(state);
}

static void publish(const char *channel, const char *data) { told_publish(server, channel, data, 0, (struct mw_publish){0}); }
static void finish(const char *channel, const char *data) {
  told_publish(server, channel, data, 0, (struct mw_publish){.is_final = true});
}

static void open_target(struct memory_peer *one, const char *query) {
  char text[400];
  snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: t\r\n\r\n", query);
  memory_peer_open(one, server);
  memory_peer_send_text(one, text);
}

/* Returns with the last id, to the same channels. */
static void open_again(const char *query) {
  char target[300];
  memory_peer_close(&peer);
  snprintf(target, sizeof target, "%s&since=%s", query, told.id);
  open_target(&peer, target);
}

#define assert_told(text) assert_string_equal(told_fetch(&told, &peer), (text))

static const char *const streams[] = {"/sse?channel=kept:1&channel=kept:2", "/sse?channel=kept:1&channel=kept:2&envelope=1"};
static const char *opened(size_t i) { return i == 1 ? "open " : ""; }

static void assert_told_after_opening(size_t i, const char *text) {
  char expected[400];
  snprintf(expected, sizeof expected, "%s%s", opened(i), text);
  assert_told(expected);
}

/* ---- Streams of several channels ------------------------------------------------------------- */

static void comes_over_the_stream_that_saw_the_end(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(streams); i++) {
    open_target(&peer, streams[i]);
    finish("kept:1", "a1");
    publish("kept:1", "a2");
    publish("kept:2", "b3");
    assert_told_after_opening(i, "a1 end a2 b3 ");
    publish("kept:1", "a4");
    open_again(streams[i]);
    assert_told_after_opening(i, "a4 ");
    memory_peer_close(&peer);
  }
}

static void is_told_of_each_end(void **state) {
  (void)state;
  open_target(&peer, streams[0]);
  finish("kept:1", "a1");
  finish("kept:1", "a2");
  publish("kept:1", "a3");
  finish("kept:1", "a4");
  publish("kept:2", "b5");
  assert_told("a1 end a2 end a3 a4 end b5 ");
  memory_peer_close(&peer);
}

static void the_stream_ends_with_the_last_that_has_not_restarted(void **state) {
  (void)state;
  open_target(&peer, streams[0]);
  finish("kept:1", "a1");
  publish("kept:1", "a2");
  finish("kept:2", "b3");
  assert_told("a1 end a2 b3 end ");
  publish("kept:2", "b4");
  finish("kept:2", "b5");
  assert_told("b4 b5 end ");
  finish("kept:1", "a6");
  assert_told("a6 end ");
  assert_true(memory_peer_ended(&peer) || strstr(peer.in.data, "\r\n0\r\n"));
  open_again(streams[0]);
  assert_memory_equal(memory_peer_take(&peer), "HTTP/1.1 204 ", 13);
  memory_peer_close(&peer);
}

static void restarts_in_the_turn_of_its_end(void **state) {
  (void)state;
  open_target(&peer, streams[0]);
  struct mw_publish last = {.channel = {"kept:1", 6}, .data = {"\"a1\"", 4}, .is_final = true};
  struct mw_publish next = {.channel = {"kept:1", 6}, .data = {"\"a2\"", 4}};
  assert_int_equal(mw_publish(server, &last, NULL, NULL), 0);
  assert_int_equal(mw_publish(server, &next, NULL, NULL), 0);
  publish("kept:2", "b3");
  publish("kept:1", "a4");
  assert_told("a1 a2 b3 a4 ");
  memory_peer_close(&peer);
}

static void whoever_returns_after_the_end_hears_of_the_restart(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(streams); i++) {
    open_target(&peer, streams[i]);
    finish("kept:1", "a1");
    publish("kept:2", "b2");
    told_fetch(&told, &peer);
    open_again(streams[i]);
    assert_told_after_opening(i, "end ");
    publish("kept:1", "a3");
    publish("kept:2", "b4");
    assert_told("a3 b4 ");
    memory_peer_close(&peer);
  }
}

static void restarts_while_nobody_was_there(void **state) {
  (void)state;
  open_target(&peer, "/sse?channel=few:1&channel=kept:2");
  finish("few:1", "a1");
  publish("kept:2", "b2");
  assert_told("a1 end b2 ");
  memory_peer_close(&peer);
  for (char data[4] = "a3"; data[1] <= '5'; data[1]++) publish("few:1", data);
  open_target(&peer, "/sse?channel=few:1&channel=kept:2&since=0");
  assert_told("b2 a4 a5 ");
  memory_peer_close(&peer);
}

static void restarts_on_a_channel_without_history(void **state) {
  (void)state;
  open_target(&peer, "/sse?channel=bare:1&channel=kept:2");
  finish("bare:1", "a1");
  publish("bare:1", "a2");
  publish("kept:2", "b3");
  assert_told("a1 end a2 b3 ");
  publish("bare:1", "a4");
  memory_peer_fetch(&peer);
  open_again("/sse?channel=bare:1&channel=kept:2");
  assert_told("gap ");
  memory_peer_close(&peer);
}

/* ---- While it is behind ---------------------------------------------------------------------- */

static void publish_big(const char *channel, char letter, unsigned first, unsigned last) {
  for (unsigned n = first; n <= last; n++) {
    char data[8];
    snprintf(data, sizeof data, "%c%u", letter, n);
    told_publish(server, channel, data, BIG, (struct mw_publish){0});
  }
}

static void ends_and_restarts_while_a_replay_goes_on(void **state) {
  (void)state;
  publish_big("kept:1", 'a', 1, 9);
  open_target(&peer, "/sse?channel=kept:1&channel=kept:2&since=0");
  finish("kept:1", "a10");
  publish("kept:1", "a11");
  publish("kept:2", "b12");
  finish("kept:1", "a13");
  assert_told("a1 a2 a3 a4 a5 a6 a7 a8 a9 a10 a11 b12 a13 end ");
  publish("kept:1", "a14");
  assert_told("a14 ");
  memory_peer_close(&peer);
}

static void ends_and_restarts_for_one_that_reads_slowly(void **state) {
  (void)state;
  open_target(&peer, streams[0]);
  publish_big("kept:2", 'b', 1, 9);
  finish("kept:1", "a10");
  publish("kept:1", "a11");
  publish("kept:2", "b12");
  assert_told("b1 b2 b3 b4 b5 b6 b7 b8 b9 a10 a11 b12 ");
  memory_peer_close(&peer);
}

static void a_last_message_that_was_dropped_leaves_the_end_and_the_restart(void **state) {
  (void)state;
  open_target(&peer, "/sse?channel=drop:1&channel=kept:2");
  publish_big("kept:2", 'b', 1, 9);
  finish("drop:1", "a10");
  const char *text = told_fetch(&told, &peer);
  assert_non_null(strstr(text, "gap "));
  assert_non_null(strstr(text, "end "));
  assert_null(strstr(text, "a10 "));
  publish("drop:1", "a11");
  publish("kept:2", "b12");
  assert_told("a11 b12 ");
  memory_peer_close(&peer);
}

/* ---- What the app is told -------------------------------------------------------------------- */

static size_t count_of(const char *channel) {
  bool exists;
  return mw_channel_count(server, channel, strlen(channel), &exists);
}

static size_t present_in(const char *channel) {
  return mw_channel_presence(server, channel, strlen(channel), NULL, NULL, NULL, NULL);
}

static void a_stream_is_left_when_it_ends_and_not_before(void **state) {
  (void)state;
  open_target(&peer, "/sse?channel=job:1&channel=job:2&envelope=1");
  assert_string_equal(asked, "open job:1; join job:1; open job:2; join job:2; ");
  asked[0] = '\0';
  finish("job:1", "a1");
  assert_string_equal(asked, "");
  assert_int_equal(count_of("job:1"), 1);
  assert_int_equal(present_in("job:1"), 1);
  publish("job:1", "a2");
  finish("job:1", "a3");
  finish("job:2", "b4");
  assert_string_equal(asked, "leave job:1; close job:1; leave job:2; close job:2; ");
  assert_int_equal(count_of("job:1"), 0);
  memory_peer_close(&peer);
}

static void one_that_was_unsubscribed_hears_of_no_restart(void **state) {
  (void)state;
  open_target(&peer, "/sse?channel=job:1&channel=job:2&envelope=1");
  finish("job:1", "a1");
  struct mw_client *client = mw_client_next(server, NULL);
  assert_int_equal(mw_client_unsubscribe(server, client, "job:1", 5, NULL, NULL), 0);
  mw_client_unref(client);
  server_settle(server);
  assert_non_null(strstr(asked, "leave job:1; "));
  publish("job:1", "a2");
  publish("job:2", "b3");
  assert_told("open a1 end unsubscribed b3 ");
  memory_peer_close(&peer);
}

static void a_channel_that_was_asked_for_by_send_restarts_too(void **state) {
  (void)state;
  struct memory_peer sender;
  const char *answer;
  char field[80];
  open_target(&peer, "/sse?channel=kept:1&channel=kept:2&envelope=1");
  finish("kept:3", "c1");
  struct mw_client *client = mw_client_next(server, NULL);
  struct mw_bytes id = mw_client_id(client);
  snprintf(field, sizeof field, "X-Moonwire-Client: %.*s\r\n", (int)id.len, id.ptr);
  mw_client_unref(client);
  memory_peer_open(&sender, server);
  assert_int_equal(memory_peer_post(&sender, "/send", field, BYTES("{\"subscribe\":\"kept:3\",\"ref\":1}"), &answer), 200);
  assert_told("open end ");
  publish("kept:3", "c2");
  publish("kept:1", "a3");
  assert_told("c2 a3 ");
  memory_peer_close(&sender);
  memory_peer_close(&peer);
}

/* ---- Others ---------------------------------------------------------------------------------- */

static void say(struct memory_peer *one, const char *text) { memory_peer_frame(one, WS_OPCODE_TEXT, bytes_string(text)); }

/* It has a cursor for each channel, and returns with that of the one which ended. */
static void a_websocket_subscribes_again(void **state) {
  (void)state;
  memory_peer_open(&peer, server);
  memory_peer_upgrade(&peer, NULL);
  say(&peer, "{\"subscribe\":\"kept:1\"}");
  say(&peer, "{\"subscribe\":\"kept:2\"}");
  finish("kept:1", "a1");
  assert_told("a1 end ");
  char text[120];
  snprintf(text, sizeof text, "{\"subscribe\":\"kept:1\",\"since\":\"%s\"}", told.id);
  publish("kept:1", "a2");
  publish("kept:2", "b3");
  assert_told("b3 ");
  say(&peer, text);
  publish("kept:1", "a4");
  assert_told("a2 a4 ");
  memory_peer_close(&peer);
}

static void poll(const char *query, const char *expected) {
  char target[300];
  snprintf(target, sizeof target, "%s&since=%s", query, told.id);
  memory_peer_open(&peer, server);
  struct buffer text = {0};
  buffer_append_format(&text, "GET %s HTTP/1.1\r\nHost: t\r\n\r\n", target);
  memory_peer_send(&peer, buffer_bytes(&text));
  buffer_deinit(&text);
  assert_told(expected);
  memory_peer_close(&peer);
}

static void polls_read_what_followed_the_end(void **state) {
  (void)state;
  static const char query[] = "/poll?channel=kept:1&channel=kept:2";
  publish("kept:2", "b1");
  poll(query, "");
  finish("kept:1", "a2");
  poll(query, "a2 end ");
  publish("kept:1", "a3");
  publish("kept:2", "b4");
  poll(query, "a3 b4 ");
}

static void a_poll_that_waits_gets_the_restart(void **state) {
  (void)state;
  finish("kept:1", "a1");
  publish("kept:2", "b2");
  poll("/poll?channel=kept:1&channel=kept:2", "end ");
  char target[200];
  snprintf(target, sizeof target, "/poll?channel=kept:1&channel=kept:2&since=%s", told.id);
  open_target(&peer, target);
  publish("kept:1", "a3");
  assert_told("a3 ");
  memory_peer_close(&peer);
}

static void all_kinds_at_once(void **state) {
  (void)state;
  struct memory_peer plain, envelope, socket;
  struct told_peer tolds[3] = {{.id = ""}};
  open_target(&plain, streams[0]);
  open_target(&envelope, streams[1]);
  memory_peer_open(&socket, server);
  memory_peer_upgrade(&socket, NULL);
  say(&socket, "{\"subscribe\":\"kept:1\"}");
  for (int round = 0; round < 3; round++) {
    finish("kept:1", "a1");
    publish("kept:1", "a2");
    publish("kept:2", "b3");
  }
  assert_string_equal(told_fetch(&tolds[0], &plain), "a1 end a2 b3 a1 end a2 b3 a1 end a2 b3 ");
  assert_string_equal(told_fetch(&tolds[1], &envelope), "open a1 end a2 b3 a1 end a2 b3 a1 end a2 b3 ");
  assert_string_equal(told_fetch(&tolds[2], &socket), "a1 end ");
  memory_peer_close(&plain);
  memory_peer_close(&envelope);
  memory_peer_close(&socket);
}

#define RESTART(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
  mw_log_to(MW_LOG_ERROR + 1, NULL, NULL);
  const struct CMUnitTest tests[] = {
      RESTART(comes_over_the_stream_that_saw_the_end),
      RESTART(is_told_of_each_end),
      RESTART(the_stream_ends_with_the_last_that_has_not_restarted),
      RESTART(restarts_in_the_turn_of_its_end),
      RESTART(whoever_returns_after_the_end_hears_of_the_restart),
      RESTART(restarts_while_nobody_was_there),
      RESTART(restarts_on_a_channel_without_history),
      RESTART(ends_and_restarts_while_a_replay_goes_on),
      RESTART(ends_and_restarts_for_one_that_reads_slowly),
      RESTART(a_last_message_that_was_dropped_leaves_the_end_and_the_restart),
      RESTART(a_stream_is_left_when_it_ends_and_not_before),
      RESTART(one_that_was_unsubscribed_hears_of_no_restart),
      RESTART(a_channel_that_was_asked_for_by_send_restarts_too),
      RESTART(a_websocket_subscribes_again),
      RESTART(polls_read_what_followed_the_end),
      RESTART(a_poll_that_waits_gets_the_restart),
      RESTART(all_kinds_at_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
