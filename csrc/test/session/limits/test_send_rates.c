/* Clients that send too often, over every way of sending. */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "test/support.h"
#include "test/support/memory_peer.h"

enum { RELAYED = 0, HANDLED = 1 };

static struct mw_server *server;

/* The user is the token; "": anonymous. */
static void on_request(void *context, struct mw_request *request) {
  (void)context;
  if (mw_request_type(request) != MW_REQUEST_AUTHENTICATE) {
    mw_request_accept(request, NULL, 0);
    return;
  }
  char user[64] = "";
  struct mw_bytes token = mw_request_http(request)->token;
  int len = token.len > 0 ? snprintf(user, sizeof user, "{\"id\":\"%.*s\"}", (int)token.len, token.ptr) : 0;
  mw_request_accept(request, user, (size_t)len);
}

struct rates_given {
  struct mw_rate app, channel, event, total;
  bool app_closes, channel_closes, authenticates;
};

static void start(const struct rates_given *given) {
  struct mw_config_options options;
  struct mw_config *config;
  const struct mw_event_rule events[] = {
      [RELAYED] = {.event = "move", .relay = true}, [HANDLED] = {.event = "say", .rate = given->event}};
  struct mw_channel_options room = {.events = events,
                                    .event_count = 2,
                                    .rate = given->channel,
                                    .total_rate = given->total,
                                    .rate_closes = given->channel_closes};
  mw_config_options_init(&options);
  options.on_request = on_request;
  options.authenticate = given->authenticates;
  options.limits.rate = given->app;
  options.rate_closes = given->app_closes;
  assert_int_equal(mw_config_new(&config, &options, NULL), 0);
  assert_int_equal(mw_config_channel(config, "room:{id}", &room, NULL), 0);
  assert_int_equal(mw_server_new(&server, &(struct mw_server_options){.config = config}, NULL), 0);
  mw_config_unref(config);
  mw_server_advance(server, 1); /* only the test moves time from now on */
}

static void open_peer(struct memory_peer *peer, const char *user) {
  char text[100];
  memory_peer_open(peer, server);
  memory_peer_upgrade(peer, "moonwire.1");
  snprintf(text, sizeof text, "{\"connect\":{\"token\":\"%s\"}}", user);
  memory_peer_ask(peer, text, NULL);
  memory_peer_ask(peer, "{\"subscribe\":\"room:1\"}", NULL);
  memory_peer_ask(peer, "{\"subscribe\":\"room:2\"}", NULL);
}

static uint64_t count_of(enum mw_limit limit) {
  struct mw_stats stats;
  mw_server_stats(server, &stats);
  return stats.limits[limit];
}

/* Sends `count` messages with a ref, in one write. Returns the number of successes. */
static size_t send_some(struct memory_peer *peer, const char *channel, const char *event, size_t count) {
  char text[100];
  size_t ok = 0;
  enum ws_opcode opcode;
  struct bytes got;
  struct buffer frames = {0};
  int len = snprintf(text, sizeof text, "{\"send\":\"%s\",\"event\":\"%s\",\"ref\":1}", channel, event);
  assert_in_range(len, 1, 99);
  for (size_t i = 0; i < count; i++) {
    const char head[6] = {(char)0x81, (char)(0x80 | len), 0, 0, 0, 0}; /* masked with zeros */
    buffer_append(&frames, bytes_of(head, sizeof head));
    buffer_append_string(&frames, text);
  }
  memory_peer_send(peer, buffer_bytes(&frames));
  buffer_deinit(&frames);
  while (memory_peer_next_frame(peer, &opcode, &got)) {
    bool is_ok = strcmp(got.ptr, "{\"ref\":1,\"ok\":true}") == 0;
    if (strncmp(got.ptr, "{\"ref\"", 6) != 0) continue; /* of another client */
    assert_true(is_ok || strstr(got.ptr, "\"code\":\"rate_limited\""));
    ok += is_ok;
    count--;
  }
  assert_int_equal(count, 0);
  return ok;
}

static void the_answer_has_the_limit_and_the_wait(void **state) {
  (void)state;
  struct memory_peer peer;
  start(&(struct rates_given){.app = {4, 2}, .channel = {2, 1}, .event = {0.5, 1}});
  open_peer(&peer, "");
  memory_peer_ask(&peer, "{\"send\":\"room:1\",\"event\":\"say\",\"ref\":1}", "{\"ref\":1,\"ok\":true}");
  memory_peer_ask(&peer, "{\"send\":\"room:1\",\"event\":\"say\",\"ref\":1}",
                  "{\"ref\":1,\"error\":{\"code\":\"rate_limited\",\"reason\":\"too many of these events to this channel: "
                  "limits.events of the channel\",\"retry_after\":2}}");
  /* The event with a rate of its own does not count for that of the channel. */
  memory_peer_ask(&peer, "{\"send\":\"room:1\",\"event\":\"move\",\"ref\":1}", "{\"ref\":1,\"ok\":true}");
  memory_peer_ask(&peer, "{\"send\":\"room:1\",\"event\":\"move\"}",
                  "{\"channel\":\"room:1\",\"error\":{\"code\":\"rate_limited\",\"reason\":\"too many messages to this channel: "
                  "limits.rate of the channel\",\"retry_after\":0.5}}");
  memory_peer_ask(&peer, "{\"send\":\"room:2\",\"event\":\"move\",\"ref\":1}",
                  "{\"ref\":1,\"error\":{\"code\":\"rate_limited\",\"reason\":\"too many messages: limits.rate\","
                  "\"retry_after\":0.25}}");
  assert_int_equal(count_of(MW_LIMIT_CHANNEL_EVENT_RATE), 1);
  assert_int_equal(count_of(MW_LIMIT_CHANNEL_RATE), 1);
  assert_int_equal(count_of(MW_LIMIT_RATE), 1);
  /* Nothing was taken by what was refused. */
  mw_server_advance(server, 250);
  memory_peer_ask(&peer, "{\"send\":\"room:2\",\"event\":\"move\",\"ref\":1}", "{\"ref\":1,\"ok\":true}");
  /* Other verbs do not count. */
  for (int i = 0; i < 100; i++) memory_peer_ask(&peer, "{\"ping\":true,\"ref\":1}", "{\"ref\":1,\"ok\":true}");
  memory_peer_close(&peer);
  server_finish(server);
}

static void a_rate_is_exact_over_ten_thousand_messages(void **state) {
  (void)state;
  struct memory_peer peer;
  start(&(struct rates_given){.app = {100, 200}});
  open_peer(&peer, "");
  size_t ok = 0;
  /* 101 tries in each second: of 10,100, all but those that no token is left for succeed. */
  for (int second = 0; second < 100; second++) {
    ok += send_some(&peer, "room:1", second % 2 ? "move" : "say", 110);
    if (second < 99) mw_server_advance(server, 1000);
  }
  assert_in_range(ok, 200 + 99 * 100 - 1, 200 + 99 * 100 + 1);
  memory_peer_close(&peer);
  server_finish(server);
}

static void relayed_events_reach_others_only_within_the_rate(void **state) {
  (void)state;
  struct memory_peer peer, other;
  start(&(struct rates_given){.app = {100, 200}});
  open_peer(&peer, "");
  open_peer(&other, "");

  memory_peer_frame(&peer, WS_OPCODE_TEXT, BYTES("{\"send\":\"room:1\",\"event\":\"move\"}"));
  assert_int_equal(send_some(&peer, "room:1", "move", 1000), 199);
  size_t got = 0;
  enum ws_opcode opcode;
  struct bytes text;
  while (memory_peer_next_frame(&other, &opcode, &text)) got++;
  assert_int_equal(got, 200);
  memory_peer_close(&other);
  memory_peer_close(&peer);
  server_finish(server);
}

static void a_user_is_one_client_over_all_connections(void **state) {
  (void)state;
  struct memory_peer ann, ann_again, bob, no_one, another;
  start(&(struct rates_given){.app = {10, 20}, .authenticates = true});
  open_peer(&ann, "ann");
  open_peer(&ann_again, "ann");
  open_peer(&bob, "bob");
  open_peer(&no_one, "");
  open_peer(&another, "");
  assert_int_equal(send_some(&ann, "room:1", "say", 15), 15);
  assert_int_equal(send_some(&ann_again, "room:2", "say", 15), 5);
  assert_int_equal(send_some(&bob, "room:1", "say", 30), 20);
  assert_int_equal(send_some(&no_one, "room:1", "say", 30), 20);
  assert_int_equal(send_some(&another, "room:1", "say", 30), 20);
  struct memory_peer *all[] = {&ann, &ann_again, &bob, &no_one, &another};
  for (size_t i = 0; i < COUNT_OF(all); i++) memory_peer_close(all[i]);
  server_finish(server);
}

static void a_channel_has_a_rate_of_its_own(void **state) {
  (void)state;
  struct memory_peer one, two;
  start(&(struct rates_given){.app = {1000, 1000}, .total = {5, 10}, .channel_closes = true});
  open_peer(&one, "");
  open_peer(&two, "");
  assert_int_equal(send_some(&one, "room:1", "say", 7), 7);
  assert_int_equal(send_some(&two, "room:1", "say", 7), 3);
  assert_int_equal(send_some(&two, "room:2", "say", 10), 10);
  assert_true(count_of(MW_LIMIT_CHANNEL_TOTAL_RATE) > 0);
  /* Neither was closed, since others may have sent too much. */
  memory_peer_ask(&two, "{\"ping\":true,\"ref\":1}", "{\"ref\":1,\"ok\":true}");
  memory_peer_close(&two);
  memory_peer_close(&one);
  server_finish(server);
}

static void a_client_over_its_rate_may_be_closed(void **state) {
  (void)state;
  for (int is_channel = 0; is_channel < 2; is_channel++) {
    struct memory_peer peer;
    struct mw_rate rate = {1, 3}, none = {0, 0};
    start(&(struct rates_given){.app = is_channel ? none : rate,
                                .channel = is_channel ? rate : none,
                                .app_closes = !is_channel,
                                .channel_closes = is_channel});
    open_peer(&peer, "");
    assert_int_equal(send_some(&peer, "room:1", "say", 3), 3);
    memory_peer_frame(&peer, WS_OPCODE_TEXT, BYTES("{\"send\":\"room:1\",\"event\":\"say\",\"ref\":1}"));
    enum ws_opcode opcode;
    struct bytes got;
    assert_true(memory_peer_next_frame(&peer, &opcode, &got));
    assert_non_null(strstr(got.ptr, "rate_limited"));
    memory_peer_expect_close(&peer, WS_CLOSE_POLICY);
    memory_peer_close(&peer);
    server_finish(server);
  }
}

static void a_post_is_answered_429(void **state) {
  (void)state;
  struct memory_peer peer;
  const char *answer;
  start(&(struct rates_given){.app = {0.1, 2}, .authenticates = true});
  struct bytes body = BYTES("{\"send\":\"room:1\",\"event\":\"say\",\"ref\":7}");
  static const char *const users[] = {"Authorization: Bearer ann\r\n", "Authorization: Bearer bob\r\n", ""};
  memory_peer_open(&peer, server);
  for (size_t i = 0; i < COUNT_OF(users); i++) {
    assert_int_equal(memory_peer_post(&peer, "/send", users[i], body, &answer), 200);
    assert_int_equal(memory_peer_post(&peer, "/send", users[i], body, &answer), 200);
    assert_int_equal(memory_peer_post(&peer, "/send", users[i], body, &answer), 429);
    assert_string_equal(answer, "{\"ref\":7,\"error\":{\"code\":\"rate_limited\",\"reason\":\"too many messages: limits.rate\","
                                "\"retry_after\":10}}\n");
  }
  body = BYTES("{\"send\":\"room:1\",\"event\":\"move\",\"ref\":7}");
  assert_int_equal(memory_peer_post(&peer, "/send", users[0], body, &answer), 429);
  memory_peer_send_text(&peer,
                        "POST /send HTTP/1.1\r\nHost: a\r\nContent-Length: 33\r\n\r\n{\"send\":\"room:1\",\"event\":\"move\"}  ");
  assert_non_null(strstr(memory_peer_take(&peer), "\r\nRetry-After: 10\r\n"));
  memory_peer_close(&peer);
  server_finish(server);
}

static void clients_at_their_limit_cost_no_more_than_quiet_ones(void **state) {
  (void)state;
  enum { CLIENTS = 500 };
  static struct memory_peer peers[CLIENTS];
  start(&(struct rates_given){.app = {1, 5}});
  for (size_t i = 0; i < CLIENTS; i++) {
    open_peer(&peers[i], "");
    memory_peer_ask(&peers[i], "{\"unsubscribe\":\"room:2\"}", NULL);
    memory_peer_ask(
        &peers[i], "{\"send\":\"room:3\",\"event\":\"say\",\"data\":1}",
        "{\"channel\":\"room:3\",\"error\":{\"code\":\"not_subscribed\",\"reason\":\"subscribe to the channel first\"}}");
  }
  int64_t quiet = mw_live("memory");
  for (size_t i = 0; i < CLIENTS; i++) assert_int_equal(send_some(&peers[i], "room:1", "say", 20), 5);
  /* One table for all of them, and what the app has made for its first messages. */
  assert_in_range(mw_live("memory"), 1, quiet + 10);
  for (size_t i = 0; i < CLIENTS; i++) memory_peer_close(&peers[i]);
  server_finish(server);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(the_answer_has_the_limit_and_the_wait),
      TEST(a_rate_is_exact_over_ten_thousand_messages),
      TEST(relayed_events_reach_others_only_within_the_rate),
      TEST(a_user_is_one_client_over_all_connections),
      TEST(a_channel_has_a_rate_of_its_own),
      TEST(a_client_over_its_rate_may_be_closed),
      TEST(a_post_is_answered_429),
      TEST(clients_at_their_limit_cost_no_more_than_quiet_ones),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
