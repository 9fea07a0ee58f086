/* Volatile messages of a channel that is still being replayed: in their place, or dropped, but
 * never before what is older. */
#define _GNU_SOURCE
#include <string.h>

#include "test/support.h"
#include "test/support/memory_peer.h"
#include "test/support/told.h"

enum { BIG = 20000, OUTBOX = 50000 };

static struct mw_server *server;
static struct memory_peer peer;
static struct told_peer told;

static int define(struct mw_config *config) {
  static const struct mw_event_rule events[] = {{.event = "typing", .relay = true}};
  static const struct {
    const char *pattern;
    struct mw_channel_options options;
  } kinds[] = {{"kept:{x}", {.history_size = 100, .events = events, .event_count = 1}},
               {"few:{x}", {.history_size = 2}},
               {"close:{x}", {.history_size = 100, .slow = MW_SLOW_CLOSE}},
               {"drop:{x}", {.history_size = 100, .slow = MW_SLOW_DROP}},
               {"latest:{x}", {.history_size = 100, .slow = MW_SLOW_LATEST}},
               {"held:{x}", {.slow = MW_SLOW_DROP}},
               {"bare:{x}", {.slow = MW_SLOW_CLOSE}},
               {"room:{x}", {.history_size = 100, .presence = MW_PRESENCE_FULL}}};
  int status = 0;
  for (size_t i = 0; status >= 0 && i < COUNT_OF(kinds); i++)
    status = mw_config_channel(config, kinds[i].pattern, &kinds[i].options, NULL);
  return status < 0 ? status : 0;
}

static int begin(void **state) {
  int status = support_setup(state);
  struct mw_config_options options;
  struct mw_config *config;
  told = (struct told_peer){.id = ""};
  mw_config_options_init(&options);
  options.limits.outbox = OUTBOX;
  options.limits.ping_ms = options.limits.progress_ms = options.limits.heartbeat_ms = UINT32_MAX;
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
static void publish_volatile(const char *channel, const char *data, size_t padding) {
  told_publish(server, channel, data, padding, (struct mw_publish){.is_volatile = true});
}

/* a1 to a9, more than a peer that does not read takes. */
static void fill(const char *channel) {
  for (char data[3] = "a1"; data[1] <= '9'; data[1]++) told_publish(server, channel, data, BIG, (struct mw_publish){0});
}

enum transport { PLAIN, ENVELOPE, SOCKET, TRANSPORTS };

static void say(const char *text) { memory_peer_frame(&peer, WS_OPCODE_TEXT, bytes_string(text)); }

/* Subscribes to all that is kept. */
static void replay(enum transport transport, const char *channel, const char *other) {
  char text[300];
  memory_peer_open(&peer, server);
  if (transport == SOCKET) {
    memory_peer_upgrade(&peer, NULL);
    for (int i = 0; i < 2; i++) {
      snprintf(text, sizeof text, "{\"subscribe\":\"%s\",\"since\":\"0\"}", i == 0 ? channel : other);
      if (i == 0 || other) say(text);
    }
    return;
  }
  snprintf(text, sizeof text, "GET /sse?channel=%s%s%s&since=0%s HTTP/1.1\r\nHost: t\r\n\r\n", channel, other ? "&channel=" : "",
           other ? other : "", transport == ENVELOPE ? "&envelope=1" : "");
  memory_peer_send_text(&peer, text);
}

/* Fetches, without what an envelope stream says first. */
static void assert_told_at(const char *expected, int line) {
  const char *text = told_fetch(&told, &peer);
  if (strncmp(text, "open ", 5) == 0) text += 5;
  if (strcmp(text, expected) == 0) return;
  print_error("expected: %s\n     got: %s\n", expected, text);
  _fail(__FILE__, line);
}
#define assert_told(expected) assert_told_at((expected), __LINE__)

static struct mw_stats stats_now(void) {
  struct mw_stats stats;
  mw_server_stats(server, &stats);
  return stats;
}

/* ---- In its place ---------------------------------------------------------------------------- */

static void waits_for_the_replay_of_its_channel(void **state) {
  (void)state;
  static const char *const channels[] = {"kept:1", "close:1", "drop:1", "latest:1"};
  for (size_t i = 0; i < COUNT_OF(channels) * TRANSPORTS; i++) {
    const char *channel = channels[i / TRANSPORTS];
    fill(channel);
    replay((enum transport)(i % TRANSPORTS), channel, NULL);
    publish_volatile(channel, "v1", 0);
    assert_told("a1 a2 a3 a4 a5 a6 a7 a8 a9 v1 ");
    memory_peer_close(&peer);
    end(NULL);
    begin(NULL);
  }
}

static void stands_between_what_was_published_before_and_after(void **state) {
  (void)state;
  for (enum transport transport = 0; transport < TRANSPORTS; transport++) {
    char channel[] = "kept:1";
    channel[5] = (char)('1' + transport);
    fill(channel);
    replay(transport, channel, NULL);
    publish_volatile(channel, "v1", 0);
    publish(channel, "b1");
    publish_volatile(channel, "v2", 0);
    publish_volatile(channel, "v3", 0);
    publish(channel, "b2");
    assert_told("a1 a2 a3 a4 a5 a6 a7 a8 a9 v1 b1 v2 v3 b2 ");
    publish_volatile(channel, "v4", 0);
    assert_told("v4 ");
    memory_peer_close(&peer);
  }
}

/* In the turn in which the replay begins the list of that turn has it, and what is published before
 * and after it. */
static void keeps_its_place_in_one_turn(void **state) {
  (void)state;
  fill("kept:1");
  replay(PLAIN, "kept:1", NULL);
  for (int i = 0; i < 6; i++) {
    char data[] = "\"c1\"";
    data[2] = (char)('1' + i);
    struct mw_publish message = {.channel = {"kept:1", 6}, .data = {data, 4}, .is_volatile = i % 2 == 1};
    assert_int_equal(mw_publish(server, &message, NULL, NULL), 0);
  }
  server_settle(server);
  assert_told("a1 a2 a3 a4 a5 a6 a7 a8 a9 c1 c2 c3 c4 c5 c6 ");
  memory_peer_close(&peer);
}

static void comes_before_the_end(void **state) {
  (void)state;
  fill("kept:1");
  replay(PLAIN, "kept:1", NULL);
  publish_volatile("kept:1", "v1", 0);
  told_publish(server, "kept:1", "b1", 0, (struct mw_publish){.is_final = true});
  assert_told("a1 a2 a3 a4 a5 a6 a7 a8 a9 v1 b1 end ");
  memory_peer_close(&peer);
}

static void follows_a_gap_and_what_is_left(void **state) {
  (void)state;
  for (char data[3] = "a1"; data[1] <= '9'; data[1]++) told_publish(server, "few:1", data, 60000, (struct mw_publish){0});
  replay(ENVELOPE, "few:1", NULL);
  publish_volatile("few:1", "v1", 0);
  told_publish(server, "few:1", "b1", 60000, (struct mw_publish){0});
  told_publish(server, "few:1", "b2", 60000, (struct mw_publish){0});
  told_publish(server, "few:1", "b3", 60000, (struct mw_publish){0});
  publish_volatile("few:1", "v2", 0);
  const char *text = told_fetch(&told, &peer);
  const char *gap = strstr(text, "gap "), *last = strstr(text, "b3 "), *second = strstr(text, "v2 ");
  assert_non_null(gap);
  assert_true(last && second && gap < last && last < second);
  memory_peer_close(&peer);
}

static void of_two_channels_each_keeps_its_order(void **state) {
  (void)state;
  for (enum transport transport = 0; transport < TRANSPORTS; transport++) {
    char channel[] = "kept:1", other[] = "kept:a";
    channel[5] = (char)('1' + transport);
    other[5] = (char)('a' + transport);
    fill(channel);
    replay(transport, channel, other);
    publish_volatile(other, "w1", 0);
    publish_volatile(channel, "v1", 0);
    publish(other, "b1");
    const char *text = told_fetch(&told, &peer);
    const char *w1 = strstr(text, "w1 "), *b1 = strstr(text, "b1 "), *a9 = strstr(text, "a9 "), *v1 = strstr(text, "v1 ");
    assert_true(w1 && b1 && a9 && v1 && w1 < b1 && a9 < v1);
    memory_peer_close(&peer);
  }
}

static void a_relayed_event_waits_likewise(void **state) {
  (void)state;
  struct memory_peer other;
  fill("kept:1");
  replay(SOCKET, "kept:1", NULL);
  memory_peer_open(&other, server);
  memory_peer_upgrade(&other, NULL);
  memory_peer_ask(&other, "{\"subscribe\":\"kept:1\"}", NULL);
  memory_peer_ask(&other, "{\"send\":\"kept:1\",\"event\":\"typing\",\"data\":\"v1\"}", NULL);
  assert_told("a1 a2 a3 a4 a5 a6 a7 a8 a9 v1 ");
  memory_peer_close(&other);
  memory_peer_close(&peer);
}

static void nothing_of_it_follows_an_unsubscribe(void **state) {
  (void)state;
  fill("kept:1");
  replay(SOCKET, "kept:1", NULL);
  publish_volatile("kept:1", "v1", 0);
  say("{\"unsubscribe\":\"kept:1\",\"ref\":1}");
  assert_null(strstr(told_fetch(&told, &peer), "v1 "));
  memory_peer_close(&peer);
}

static void a_client_that_polls_has_it_in_its_place(void **state) {
  (void)state;
  char target[200], id[64];
  memory_peer_open(&peer, server);
  memory_peer_send_text(&peer, "GET /poll?channel=kept:1&client= HTTP/1.1\r\nHost: t\r\n\r\n");
  struct bytes in = memory_peer_fetch(&peer);
  const char *at = memmem(in.ptr, in.len, "\"client\":\"", 10);
  assert_non_null(at);
  snprintf(id, sizeof id, "%.*s", (int)strcspn(at + 10, "\""), at + 10);
  assert_told("");
  publish("kept:1", "a1");
  publish_volatile("kept:1", "v1", 0);
  publish("kept:1", "a2");
  publish_volatile("kept:1", "v2", 0);
  snprintf(target, sizeof target, "GET /poll?channel=kept:1&client=%s&since=%s HTTP/1.1\r\nHost: t\r\n\r\n", id, told.id);
  memory_peer_send_text(&peer, target);
  assert_told("a1 v1 a2 v2 ");
  memory_peer_close(&peer);
}

/* ---- Or dropped ------------------------------------------------------------------------------ */

static void what_has_no_room_is_dropped_and_closes_nobody(void **state) {
  (void)state;
  static const char *const channels[] = {"kept:1", "close:1", "drop:1"};
  for (size_t i = 0; i < COUNT_OF(channels); i++) {
    uint64_t dropped = stats_now().slow_dropped;
    fill(channels[i]);
    replay(SOCKET, channels[i], NULL);
    publish_volatile(channels[i], "v1", BIG);
    publish_volatile(channels[i], "v2", BIG);
    publish_volatile(channels[i], "v3", BIG);
    publish_volatile(channels[i], "v4", 0);
    assert_told("a1 a2 a3 a4 a5 a6 a7 a8 a9 v1 v2 v4 ");
    assert_int_equal(stats_now().slow_dropped, dropped + 1);
    assert_int_equal(stats_now().slow, 0);
    assert_int_equal(stats_now().slow_closed, 0);
    memory_peer_close(&peer);
  }
}

/* A channel without history waits for the replay of others on an event stream. Beyond its limit it
 * drops what waits, and the gap stands before nothing that is older. */
static void a_gap_stands_before_nothing_older(void **state) {
  (void)state;
  fill("kept:1");
  replay(ENVELOPE, "kept:1", "held:1");
  for (char data[3] = "h1"; data[1] <= '4'; data[1]++) told_publish(server, "held:1", data, BIG, (struct mw_publish){0});
  const char *text = told_fetch(&told, &peer);
  const char *gap = strstr(text, "gap "), *last = strstr(text, "a9 h4 ");
  assert_true(gap && last && gap < last);
  assert_null(strstr(text, "h1 "));
  assert_null(strstr(text, "h2 "));
  assert_null(strstr(text, "h3 "));
  assert_int_equal(stats_now().slow_dropped, 3);
  memory_peer_close(&peer);
}

/* Of one that is too slow what is volatile is not kept, and nothing that is older comes behind what
 * is newer. */
static void of_a_slow_one_it_is_dropped(void **state) {
  (void)state;
  replay(SOCKET, "kept:1", NULL);
  fill("kept:1");
  assert_int_equal(stats_now().slow, 1);
  publish_volatile("kept:1", "v1", 0);
  publish("kept:1", "b1");
  assert_told("a1 a2 a3 a4 a5 a6 a7 a8 a9 b1 ");
  publish_volatile("kept:1", "v2", 0);
  assert_told("v2 ");
  memory_peer_close(&peer);
}

/* ---- What is not held back ------------------------------------------------------------------- */

static void another_channel_of_a_websocket_goes_on(void **state) {
  (void)state;
  fill("kept:1");
  replay(SOCKET, "kept:1", "bare:1");
  publish_volatile("bare:1", "w1", 0);
  const char *text = told_fetch(&told, &peer);
  const char *w1 = strstr(text, "w1 "), *a9 = strstr(text, "a9 ");
  assert_true(w1 && a9 && w1 < a9);
  memory_peer_close(&peer);
}

/* Changes continue the snapshot, which came before the replay, and must come before the next
 * snapshot that is requested. */
static void changes_of_presence_continue_the_snapshot(void **state) {
  (void)state;
  struct memory_peer other;
  fill("room:1");
  replay(SOCKET, "room:1", NULL);
  memory_peer_open(&other, server);
  memory_peer_upgrade(&other, NULL);
  memory_peer_ask(&other, "{\"subscribe\":\"room:1\"}", NULL);
  mw_server_advance(server, 2000);
  say("{\"presence\":\"room:1\",\"ref\":\"p7\"}");
  const char *text = told_fetch(&told, &peer);
  const char *change = strstr(text, "presence "), *asked = strstr(text, "p7 "), *a9 = strstr(text, "a9 ");
  assert_true(change && asked && a9 && change < asked && asked < a9);
  memory_peer_close(&other);
  memory_peer_close(&peer);
}

#define VOLATILE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
  mw_log_to(MW_LOG_ERROR + 1, NULL, NULL);
  const struct CMUnitTest tests[] = {
      VOLATILE(waits_for_the_replay_of_its_channel),
      VOLATILE(stands_between_what_was_published_before_and_after),
      VOLATILE(keeps_its_place_in_one_turn),
      VOLATILE(comes_before_the_end),
      VOLATILE(follows_a_gap_and_what_is_left),
      VOLATILE(of_two_channels_each_keeps_its_order),
      VOLATILE(a_relayed_event_waits_likewise),
      VOLATILE(nothing_of_it_follows_an_unsubscribe),
      VOLATILE(a_client_that_polls_has_it_in_its_place),
      VOLATILE(what_has_no_room_is_dropped_and_closes_nobody),
      VOLATILE(a_gap_stands_before_nothing_older),
      VOLATILE(of_a_slow_one_it_is_dropped),
      VOLATILE(another_channel_of_a_websocket_goes_on),
      VOLATILE(changes_of_presence_continue_the_snapshot),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
