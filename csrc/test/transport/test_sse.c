#include <stdlib.h>
#include <sys/socket.h>

#include "server/server.h"
#include "test/support.h"
#include "test/support/host.h"

static struct host host;

static int define(struct mw_config *config) {
  static const struct {
    const char *pattern;
    struct mw_channel_options options;
  } kinds[] = {
      {"keep:{x}", {.history_size = 100}},
      {"three:{x}", {.history_size = 3, .history_replay = 2}},
      {"none:{x}", {.history_size = 0}},
      {"old:{x}", {.history_size = 100, .history_ttl_ms = 2000}},
  };
  for (size_t i = 0; i < COUNT_OF(kinds); i++) {
    int status = mw_config_channel(config, kinds[i].pattern, &kinds[i].options, NULL);
    if (status < 0) return status;
  }
  return 0;
}

static int begin(void **state) {
  int status = support_setup(state);
  assert_int_equal(host_begin(&host, &(struct host_options){.define = define}), 0);
  return status;
}

static int end(void **state) {
  host_end(&host);
  return support_teardown(state);
}

/* Subscribes and waits for the first block. */
static void subscribe(struct peer *peer, const char *query, const char *last_id) {
  char target[512], field[128] = "";
  snprintf(target, sizeof target, "/sse?%s", query);
  if (last_id) snprintf(field, sizeof field, "Last-Event-ID: %s\r\n", last_id);
  peer_connect(peer, &host);
  peer_get(peer, target, field);
  host_until(&host, peer_stream(peer) && strstr(peer_stream(peer), "\n\n"));
}

static void publish_numbers(const char *channel, unsigned from, unsigned to) {
  char number[16];
  for (unsigned n = from; n <= to; n++) {
    snprintf(number, sizeof number, "%u", n);
    assert_int_equal(host_publish(&host, channel, number), 0);
  }
}

/* Everything that is on its way has come when a last message has. */
static const char *events_until(struct peer *peer, const char *channel) {
  host_publish(&host, channel, "\"end\"");
  host_until(&host, strstr(peer_events(peer), "\"end\""));
  return peer_events(peer);
}

static void begins_with_its_head_retry_and_cursor(void **state) {
  (void)state;
  struct peer peer;
  subscribe(&peer, "channel=keep:a", NULL);
  assert_non_null(strstr(peer.in, "\r\nContent-Type: text/event-stream\r\n"));
  assert_non_null(strstr(peer.in, "\r\nCache-Control: no-cache, no-transform\r\n"));
  assert_non_null(strstr(peer.in, "\r\nX-Accel-Buffering: no\r\n"));
  assert_null(strstr(peer.in, "Content-Length"));
  unsigned retry;
  char id[64];
  assert_int_equal(sscanf(peer_stream(&peer), "retry: %u\nid: %63s\n\n", &retry, id), 2);
  assert_in_range(retry, 1000, 3000);
  assert_string_equal(peer_last_id(&peer), id);
  publish_numbers("keep:a", 1, 3);
  assert_string_equal(events_until(&peer, "keep:a"), "1 2 3 \"end\" ");
  peer_close(&peer);
}

static void http_1_0_has_no_chunks(void **state) {
  (void)state;
  struct peer peer;
  peer_connect(&peer, &host);
  peer_send(&peer, "GET /sse?channel=keep:a HTTP/1.0\r\n\r\n");
  host_until(&host, peer_has(&peer, "retry:"));
  assert_null(strstr(peer.in, "Transfer-Encoding"));
  assert_non_null(strstr(peer.in, "\r\nConnection: close\r\n"));
  publish_numbers("keep:a", 1, 2);
  assert_string_equal(events_until(&peer, "keep:a"), "1 2 \"end\" ");
  host_stop(&host);
  host_until(&host, peer_ended(&peer) && host.stops);
  assert_false(peer.reset);
  peer_close(&peer);
}

static void a_return_misses_nothing(void **state) {
  (void)state;
  struct peer peer;
  char id[64];
  subscribe(&peer, "channel=keep:a", NULL);
  snprintf(id, sizeof id, "%s", peer_last_id(&peer));
  peer_close(&peer); /* before its first event: the cursor it got is worth as much as an id */
  publish_numbers("keep:a", 1, 3);
  subscribe(&peer, "channel=keep:a", id);
  publish_numbers("keep:a", 4, 4);
  assert_string_equal(events_until(&peer, "keep:a"), "1 2 3 4 \"end\" ");
  snprintf(id, sizeof id, "%s", peer_last_id(&peer));
  peer_close(&peer);
  subscribe(&peer, "channel=keep:a", id);
  assert_string_equal(events_until(&peer, "keep:a"), "\"end\" ");
  peer_close(&peer);
}

static void the_field_wins_over_the_query(void **state) {
  (void)state;
  struct peer peer;
  char id[64], query[128];
  subscribe(&peer, "channel=keep:a", NULL);
  snprintf(query, sizeof query, "channel=keep:a&since=%s", peer_last_id(&peer));
  publish_numbers("keep:a", 1, 2);
  host_until(&host, strstr(peer_events(&peer), "2"));
  snprintf(id, sizeof id, "%s", peer_last_id(&peer));
  publish_numbers("keep:a", 3, 3);
  peer_close(&peer);
  subscribe(&peer, query, id); /* browsers repeat the query on every return */
  assert_string_equal(events_until(&peer, "keep:a"), "3 \"end\" ");
  peer_close(&peer);
  subscribe(&peer, query, NULL);
  host_until(&host, strcmp(peer_events(&peer), "1 2 3 \"end\" ") == 0);
  peer_close(&peer);
}

static void what_is_not_kept_is_a_gap(void **state) {
  (void)state;
  static const char *const strange[] = {"zzzzzzzz-0000000000000001", "rubbish", "1", "\xff", "-"};
  struct peer peer;
  char id[64], future[64];
  subscribe(&peer, "channel=three:a", NULL);
  snprintf(id, sizeof id, "%s", peer_last_id(&peer));
  peer_close(&peer);
  publish_numbers("three:a", 1, 3);
  subscribe(&peer, "channel=three:a", id);
  host_until(&host, strcmp(peer_events(&peer), "1 2 3 ") == 0);
  peer_close(&peer);
  publish_numbers("three:a", 4, 4);
  subscribe(&peer, "channel=three:a", id);
  host_until(&host, strcmp(peer_events(&peer), "gap(three:a) 2 3 4 ") == 0);
  peer_close(&peer);
  snprintf(future, sizeof future, "%.9s9999999999999999", id);
  subscribe(&peer, "channel=three:a", future);
  host_until(&host, strcmp(peer_events(&peer), "gap(three:a) 2 3 4 ") == 0);
  peer_close(&peer);
  for (size_t i = 0; i < COUNT_OF(strange); i++) {
    subscribe(&peer, "channel=three:a", strange[i]);
    host_until(&host, strcmp(peer_events(&peer), "gap(three:a) 2 3 4 ") == 0);
    peer_close(&peer);
  }
  subscribe(&peer, "channel=three:a&since=0", NULL); /* all that is kept, and no gap */
  host_until(&host, strcmp(peer_events(&peer), "2 3 4 ") == 0);
  peer_close(&peer);
  subscribe(&peer, "channel=three:a", NULL); /* a new subscriber: the newest two */
  host_until(&host, strcmp(peer_events(&peer), "3 4 ") == 0);
  peer_close(&peer);
}

/* The first block is a cursor from which all that follows it comes again: a stream may be cut right
 * behind it. */
static void the_first_cursor_is_before_the_replay(void **state) {
  (void)state;
  static const struct {
    const char *query, *last_id, *again;
  } cases[] = {
      {"channel=three:a", NULL, "4 5 "},
      {"channel=three:a&since=0", NULL, "3 4 5 "},
      {"channel=three:a", "rubbish", "3 4 5 "},
      {"channel=three:a&channel=three:b", NULL, "4 6 5 7 "},
  };
  publish_numbers("three:a", 1, 4);
  publish_numbers("three:b", 6, 6);
  publish_numbers("three:a", 5, 5);
  publish_numbers("three:b", 7, 7);
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    struct peer peer;
    char id[64];
    subscribe(&peer, cases[i].query, cases[i].last_id);
    host_until(&host, peer_stream(&peer) && strstr(peer_stream(&peer), "\nid: "));
    const char *stream = peer_stream(&peer);
    /* Behind a gap the cursor comes last: who is cut in between returns with the old id, and is
     * told again. */
    const char *gap = strstr(stream, "event: moonwire:gap\n"), *cursor = strstr(stream, "\nid: ");
    assert_int_equal(gap != NULL, cases[i].last_id != NULL);
    assert_true(cursor && (!gap || gap < cursor));
    assert_int_equal(sscanf(cursor, "\nid: %63s\n\n", id), 1);
    peer_close(&peer);
    subscribe(&peer, strncmp(cases[i].query, "channel=three:a&channel", 23) ? "channel=three:a" : cases[i].query, id);
    host_until(&host, strcmp(peer_events(&peer), cases[i].again) == 0);
    peer_close(&peer);
  }
}

static void a_swept_or_expired_channel_is_a_gap(void **state) {
  (void)state;
  struct peer peer;
  char id[64];
  host_pass(&host, 1);
  subscribe(&peer, "channel=none:a&channel=old:a", NULL);
  snprintf(id, sizeof id, "%s", peer_last_id(&peer));
  peer_close(&peer);
  publish_numbers("none:a", 1, 1);
  publish_numbers("old:a", 2, 2);
  host_settle(&host);
  host_pass(&host, 10000);
  assert_null(hub_find(&host.server->workers[0].hub, BYTES("none:a")));
  subscribe(&peer, "channel=none:a", id);
  host_until(&host, strcmp(peer_events(&peer), "gap(none:a) ") == 0);
  peer_close(&peer);
  subscribe(&peer, "channel=old:a", id);
  host_until(&host, strcmp(peer_events(&peer), "gap(old:a) ") == 0);
  peer_close(&peer);
}

/* Positions on the stream only rise, over all its channels, in replays as well as live. */
static void assert_ids_rise(struct peer *peer) {
  uint64_t last = 0;
  bool is_first = true;
  for (const char *at = peer_stream(peer); (at = strstr(at, "id: ")); at += 4) {
    uint64_t position = strtoull(strchr(at, '-') + 1, NULL, 10);
    assert_true(is_first || position > last);
    is_first = false;
    last = position;
  }
}

static void several_channels_are_in_one_order(void **state) {
  (void)state;
  static const char *const channels[] = {"keep:a", "keep:b", "keep:c"};
  struct peer peer;
  char id[64], number[16], expected[1024] = "";
  subscribe(&peer, "channel=keep:a&channel=keep:b&channel=keep:c", NULL);
  snprintf(id, sizeof id, "%s", peer_last_id(&peer));
  for (unsigned n = 1; n <= 60; n++) {
    snprintf(number, sizeof number, "%u", n);
    assert_int_equal(host_publish(&host, channels[n * 7 / 4 % 3], number), 0);
    snprintf(expected + strlen(expected), sizeof expected - strlen(expected), "%u ", n);
    if (n % 13 == 0) host_settle(&host); /* some of them in one turn, some in several */
  }
  host_until(&host, strcmp(peer_events(&peer), expected) == 0);
  assert_ids_rise(&peer);
  peer_close(&peer);
  subscribe(&peer, "channel=keep:c&channel=keep:a&channel=keep:b", id);
  host_until(&host, strcmp(peer_events(&peer), expected) == 0);
  assert_ids_rise(&peer);
  peer_close(&peer);
}

/* A turn brings more than one write's worth. */
static void many_messages_of_one_turn_arrive(void **state) {
  (void)state;
  enum { COUNT = 400 };
  struct peer one, two;
  char expected[4096] = "";
  subscribe(&one, "channel=none:a", NULL);
  subscribe(&two, "channel=none:a&channel=none:b", NULL);
  for (unsigned n = 1; n <= COUNT; n++) snprintf(expected + strlen(expected), sizeof expected - strlen(expected), "%u ", n);
  publish_numbers("none:a", 1, COUNT);
  host_until(&host, strcmp(peer_events(&one), expected) == 0);
  host_until(&host, strcmp(peer_events(&two), expected) == 0);
  assert_ids_rise(&one);
  peer_close(&one);
  peer_close(&two);
}

static void volatile_messages_have_no_id_and_are_not_kept(void **state) {
  (void)state;
  struct peer peer;
  char id[MW_ID_MAX], before[64];
  struct mw_publish publish = {.channel = {"keep:a", 6}, .event = {"tick", 4}, .data = {"7", 1}, .is_volatile = true};
  subscribe(&peer, "channel=keep:a", NULL);
  snprintf(before, sizeof before, "%s", peer_last_id(&peer));
  assert_int_equal(mw_publish(host.server, &publish, id, NULL), 0);
  assert_string_equal(id, "");
  host_until(&host, strstr(peer_stream(&peer), "event: tick\ndata: 7\n\n"));
  assert_string_equal(peer_last_id(&peer), before);
  peer_close(&peer);
  subscribe(&peer, "channel=keep:a&since=0", NULL);
  assert_string_equal(events_until(&peer, "keep:a"), "\"end\" ");
  peer_close(&peer);
}

static void envelopes_open_first_and_name_the_channel(void **state) {
  (void)state;
  struct peer peer;
  char id[64], object[256];
  subscribe(&peer, "channel=keep:a&channel=none:b&envelope=1", NULL);
  host_until(&host, strstr(peer_stream(&peer), "moonwire:open"));
  assert_non_null(strstr(peer_stream(&peer), "\"channels\":{\"keep:a\":{},\"none:b\":{}}"));
  assert_null(strstr(peer_stream(&peer), "recovered"));
  publish_numbers("keep:a", 5, 5);
  host_until(&host, strstr(peer_stream(&peer), "\"data\":5"));
  snprintf(id, sizeof id, "%s", peer_last_id(&peer));
  snprintf(object, sizeof object, "data: {\"channel\":\"keep:a\",\"event\":\"message\",\"id\":\"%s\",\"data\":5}\nid: %s\n\n", id,
           id);
  assert_non_null(strstr(peer_stream(&peer), object));
  assert_null(strstr(peer_stream(&peer), "event: "));
  peer_close(&peer);
  subscribe(&peer, "channel=keep:a&envelope=1", id);
  host_until(&host, strstr(peer_stream(&peer), "\"recovered\":true"));
  peer_close(&peer);
}

static void refuses_before_the_first_byte(void **state) {
  (void)state;
  static const struct {
    const char *target, *fields, *status;
  } cases[] = {
      {"/sse", "", "400"},
      {"/sse?channel=", "", "400"},
      {"/sse?channel=keep:a&channel=nothing", "", "404"},
      {"/sse?channel=keep%3aa%00", "", "400"},
      {"/sse?channel=keep:a", "Origin: https://evil.example\r\n", "403"},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    struct peer peer;
    char line[32];
    peer_connect(&peer, &host);
    peer_get(&peer, cases[i].target, cases[i].fields);
    snprintf(line, sizeof line, "HTTP/1.1 %s ", cases[i].status);
    host_until(&host, peer_has(&peer, "\r\n\r\n"));
    if (strncmp(peer.in, line, strlen(line)) != 0) print_error("%s: %.20s\n", cases[i].target, peer.in);
    assert_memory_equal(peer.in, line, strlen(line));
    peer_close(&peer);
  }
  host_settle(&host);
  struct mw_stats stats;
  mw_server_stats(host.server, &stats);
  assert_int_equal(stats.subscriptions, 0);
}

#define SSE_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
  const struct CMUnitTest tests[] = {
      SSE_TEST(begins_with_its_head_retry_and_cursor),
      SSE_TEST(http_1_0_has_no_chunks),
      SSE_TEST(a_return_misses_nothing),
      SSE_TEST(the_field_wins_over_the_query),
      SSE_TEST(what_is_not_kept_is_a_gap),
      SSE_TEST(the_first_cursor_is_before_the_replay),
      SSE_TEST(a_swept_or_expired_channel_is_a_gap),
      SSE_TEST(several_channels_are_in_one_order),
      SSE_TEST(many_messages_of_one_turn_arrive),
      SSE_TEST(volatile_messages_have_no_id_and_are_not_kept),
      SSE_TEST(envelopes_open_first_and_name_the_channel),
      SSE_TEST(refuses_before_the_first_byte),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
