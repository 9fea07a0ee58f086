/* Clients that subscribe, unsubscribe, read, and renew their token too often. */
#include <stdio.h>
#include <string.h>

#include "test/support.h"
#include "test/support/memory_peer.h"

static struct mw_server *server;

struct verbs_given {
  struct mw_rate verbs;
  size_t client_channels; /* 0: the default */
  bool closes;
};

static void start(const struct verbs_given *given) {
  struct mw_config_options options;
  struct mw_config *config;
  struct mw_channel_options room = {.history_size = 5, .history_readable = true, .presence = MW_PRESENCE_COUNTS};
  mw_config_options_init(&options);
  options.limits.verb_rate = given->verbs;
  if (given->client_channels > 0) options.limits.client_channels = given->client_channels;
  options.rate_closes = given->closes;
  assert_int_equal(mw_config_new(&config, &options, NULL), 0);
  assert_int_equal(mw_config_channel(config, "room:{id}", &room, NULL), 0);
  assert_int_equal(mw_config_channel(config, "plain:{id}", &(struct mw_channel_options){0}, NULL), 1);
  assert_int_equal(mw_server_new(&server, &(struct mw_server_options){.config = config}, NULL), 0);
  mw_config_unref(config);
  mw_server_advance(server, 1); /* only the test moves time from now on */
}

/* Sends a verb. Returns everything that came after it, as text with the heads of frames. */
static const char *tell(struct memory_peer *peer, const char *verb) {
  memory_peer_take(peer);
  memory_peer_frame(peer, WS_OPCODE_TEXT, bytes_string(verb));
  struct bytes got = memory_peer_fetch(peer);
  static char text[4096];
  size_t len = got.len < sizeof text - 1 ? got.len : sizeof text - 1;
  for (size_t i = 0; i < len; i++) text[i] = got.ptr[i] ? got.ptr[i] : ' ';
  text[len] = '\0';
  return text;
}

static void open_peer(struct memory_peer *peer, const char *subprotocol) {
  memory_peer_open(peer, server);
  memory_peer_upgrade(peer, subprotocol);
  if (subprotocol) tell(peer, "{\"connect\":{}}");
}

static uint64_t count_refusals(void) {
  struct mw_stats stats;
  mw_server_stats(server, &stats);
  return stats.limits[MW_LIMIT_VERB_RATE];
}

static const char refusal[] =
    "{\"ref\":1,\"error\":{\"code\":\"rate_limited\",\"reason\":\"too many verbs: limits.verb_rate\",\"retry_after\":0.5}}";

static void each_verb_counts_for_one_bucket(void **state) {
  (void)state;
  static const char *const verbs[] = {"{\"subscribe\":\"plain:1\",\"ref\":1}", "{\"unsubscribe\":\"plain:1\",\"ref\":1}",
                                      "{\"history\":\"room:1\",\"ref\":1}", "{\"presence\":\"room:1\",\"ref\":1}",
                                      "{\"token\":\"x\",\"ref\":1}"};
  struct memory_peer peer, other;
  start(&(struct verbs_given){.verbs = {2, 2}});
  open_peer(&peer, "moonwire.1");
  open_peer(&other, "moonwire.1");
  tell(&peer, "{\"subscribe\":\"room:1\"}");
  for (size_t i = 0; i < COUNT_OF(verbs); i++) {
    mw_server_advance(server, i == 0 ? 0 : 500); /* for one verb */
    assert_null(strstr(tell(&peer, verbs[i]), "rate_limited"));
    assert_non_null(strstr(tell(&peer, verbs[i]), refusal));
  }
  assert_int_equal(count_refusals(), COUNT_OF(verbs));
  /* Each connection has its own, and pings are free. */
  for (int i = 0; i < 100; i++) assert_non_null(strstr(tell(&peer, "{\"ping\":true,\"ref\":1}"), "\"ok\":true"));
  assert_non_null(strstr(tell(&other, "{\"unsubscribe\":\"plain:1\",\"ref\":1}"), "\"ok\":true"));
  memory_peer_close(&other);
  memory_peer_close(&peer);
  server_finish(server);
}

static void a_client_that_reconnects_can_do_all_it_must(void **state) {
  (void)state;
  enum { CHANNELS = 300 };
  struct memory_peer peer;
  char text[100];
  start(&(struct verbs_given){.verbs = {1, 0}, .client_channels = CHANNELS});
  open_peer(&peer, "moonwire.1");
  for (int i = 0; i < CHANNELS; i++) {
    static const char *const verbs[] = {"subscribe", "history", "presence"};
    for (size_t k = 0; k < COUNT_OF(verbs); k++) {
      snprintf(text, sizeof text, "{\"%s\":\"room:%d\"}", verbs[k], i);
      tell(&peer, text);
    }
  }
  assert_int_equal(count_refusals(), 0);
  for (int i = 0; i < CHANNELS; i++) {
    snprintf(text, sizeof text, "{\"unsubscribe\":\"room:%d\"}", i);
    memory_peer_frame(&peer, WS_OPCODE_TEXT, bytes_string(text));
  }
  assert_int_equal(count_refusals(), 0);
  assert_non_null(strstr(tell(&peer, "{\"unsubscribe\":\"room:1\",\"ref\":1}"), "\"retry_after\":1}}"));
  memory_peer_close(&peer);
  server_finish(server);
}

static void the_first_subscription_needs_no_session(void **state) {
  (void)state;
  struct memory_peer peer;
  start(&(struct verbs_given){.verbs = {2, 1}});
  open_peer(&peer, NULL);
  tell(&peer, "{\"subscribe\":\"plain:1\"}");
  assert_int_equal(mw_live("session"), 0);
  tell(&peer, "{\"subscribe\":\"plain:2\",\"ref\":1}");
  assert_non_null(strstr(tell(&peer, "{\"unsubscribe\":\"plain:2\",\"ref\":1}"), refusal));
  memory_peer_close(&peer);
  server_finish(server);
}

static void a_flood_of_subscriptions_is_refused(void **state) {
  (void)state;
  enum { TRIES = 10000 };
  struct memory_peer peer;
  start(&(struct verbs_given){.verbs = {100, 50}});
  open_peer(&peer, "moonwire.1");
  for (int i = 0; i < TRIES; i++) {
    bool begins = i % 2 == 0;
    tell(&peer, begins ? "{\"subscribe\":\"room:1\"}" : "{\"unsubscribe\":\"room:1\"}");
    if (i % 100 == 99) mw_server_advance(server, 100); /* for ten verbs */
  }
  /* 50 at first, and ten after each hundred but the last. */
  assert_in_range(count_refusals(), TRIES - 50 - 10 * 99 - 1, TRIES - 50 - 10 * 99 + 1);
  memory_peer_close(&peer);
  server_finish(server);
}

static void over_rate_closes_here_as_well(void **state) {
  (void)state;
  struct memory_peer peer;
  start(&(struct verbs_given){.verbs = {2, 1}, .closes = true});
  open_peer(&peer, "moonwire.1");
  tell(&peer, "{\"subscribe\":\"plain:1\"}");
  assert_non_null(strstr(tell(&peer, "{\"unsubscribe\":\"plain:1\",\"ref\":1}"), refusal));
  memory_peer_expect(&peer, refusal);
  memory_peer_expect_close(&peer, WS_CLOSE_POLICY);
  memory_peer_close(&peer);
  server_finish(server);
}

static void without_a_limit_everything_is_allowed(void **state) {
  (void)state;
  struct memory_peer peer;
  start(&(struct verbs_given){.verbs = {0, 0}});
  open_peer(&peer, "moonwire.1");
  for (int i = 0; i < 2000; i++) memory_peer_ask(&peer, "{\"unsubscribe\":\"room:1\",\"ref\":1}", "{\"ref\":1,\"ok\":true}");
  memory_peer_close(&peer);
  server_finish(server);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(each_verb_counts_for_one_bucket),         TEST(a_client_that_reconnects_can_do_all_it_must),
      TEST(the_first_subscription_needs_no_session), TEST(a_flood_of_subscriptions_is_refused),
      TEST(over_rate_closes_here_as_well),           TEST(without_a_limit_everything_is_allowed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
