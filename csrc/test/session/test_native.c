/* What a client of the native protocol may do wrong. Each of it gets its answer, the connection
 * lives on, the app is not asked, and no one else notices. */
#include <string.h>

#include "dialect/native.h"
#include "session/reply.h"
#include "test/server/life/malformed.h"
#include "test/support.h"
#include "test/support/memory_peer.h"

struct fixture {
  struct mw_server *server;
  struct memory_peer peer, other;
  int asked;
};

static void on_request(void *context, struct mw_request *request) {
  struct fixture *fixture = context;
  fixture->asked++;
  struct mw_bytes channel = mw_request_channel(request);
  if (mw_request_type(request) == MW_REQUEST_AUTHORIZE && channel.ptr[0] == 'c') {
    mw_request_refuse(request, 403, "forbidden", "it is closed");
  } else {
    mw_request_accept(request, NULL, 0);
  }
}

static void start(struct fixture *fixture) {
  struct mw_config_options options;
  struct mw_config *config;
  static const struct mw_event_rule events[] = {{.event = "say"}, {.event = "typing", .relay = true}};
  struct mw_channel_options room = {.events = events, .event_count = 2, .history_size = 10};
  struct mw_channel_options closed = {.hooks = MW_HOOK_AUTHORIZE};
  *fixture = (struct fixture){NULL};
  mw_config_options_init(&options);
  options.on_request = on_request;
  options.context = fixture;
  options.limits.message_size = 200;
  assert_int_equal(mw_config_new(&config, &options, NULL), 0);
  assert_int_equal(mw_config_channel(config, "room:{id}", &room, NULL), 0);
  assert_int_equal(mw_config_channel(config, "closed:{id}", &closed, NULL), 1);
  assert_int_equal(mw_server_new(&fixture->server, &(struct mw_server_options){.config = config}, NULL), 0);
  mw_config_unref(config);
  struct memory_peer *peers[] = {&fixture->peer, &fixture->other};
  for (size_t i = 0; i < COUNT_OF(peers); i++) {
    memory_peer_open(peers[i], fixture->server);
    memory_peer_upgrade(peers[i], i == 0 ? "moonwire.1" : NULL);
    if (i == 0) memory_peer_frame(peers[i], WS_OPCODE_TEXT, BYTES("{\"connect\":{}}"));
    memory_peer_frame(peers[i], WS_OPCODE_TEXT, BYTES("{\"subscribe\":\"room:1\"}"));
    memory_peer_expect(peers[i], NULL);
  }
}

static void finish(struct fixture *fixture) {
  memory_peer_close(&fixture->peer);
  memory_peer_close(&fixture->other);
  server_finish(fixture->server);
}

/* The other one is still there, and has heard nothing but this. */
static void expect_undisturbed(struct fixture *fixture) {
  memory_peer_ask(&fixture->other, "{\"ping\":true,\"ref\":\"other\"}", "{\"ref\":\"other\",\"ok\":true}");
  memory_peer_expect(&fixture->other, NULL);
  struct mw_publish message = {.channel = {"room:1", 6}, .event = {"news", 4}, .data = {"1", 1}, .is_volatile = true};
  assert_int_equal(mw_publish(fixture->server, &message, NULL, NULL), 0);
  server_settle(fixture->server);
  memory_peer_expect(&fixture->other, "{\"channel\":\"room:1\",\"event\":\"news\",\"data\":1}");
}

static void answers_what_is_malformed(void **state) {
  (void)state;
  struct fixture fixture;
  start(&fixture);
  size_t wrong = 0;
  assert_true(COUNT_OF(malformed) >= 200);
  for (size_t i = 0; i < COUNT_OF(malformed); i++) {
    const struct malformed *row = &malformed[i];
    enum ws_opcode opcode;
    struct bytes got;
    memory_peer_frame(&fixture.peer, row->is_binary ? WS_OPCODE_BINARY : WS_OPCODE_TEXT, bytes_of(row->text, row->len));
    assert_true(memory_peer_next_frame(&fixture.peer, &opcode, &got));
    if (opcode != WS_OPCODE_TEXT || strcmp(got.ptr, row->answer) != 0) {
      print_error("sent: %s\nexpected: %s\n     got: %s\n", row->text, row->answer, got.ptr);
      wrong++;
    }
    memory_peer_ask(&fixture.peer, "{\"ping\":true,\"ref\":\"alive\"}", "{\"ref\":\"alive\",\"ok\":true}");
  }
  assert_int_equal(wrong, 0);
  memory_peer_expect(&fixture.peer, NULL);
  /* Only those who wanted into the closed channel were asked about. */
  assert_int_equal(fixture.asked, 2);
  expect_undisturbed(&fixture);
  finish(&fixture);
}

/* The same in another order and in one piece, so that nothing depends on what came before, or on
 * when it came. */
static void answers_it_in_any_order(void **state) {
  (void)state;
  struct fixture fixture;
  start(&fixture);
  for (size_t n = 0; n < COUNT_OF(malformed); n++) {
    const struct malformed *row = &malformed[(n * 97) % COUNT_OF(malformed)];
    enum ws_opcode opcode;
    struct bytes got;
    memory_peer_frame(&fixture.peer, row->is_binary ? WS_OPCODE_BINARY : WS_OPCODE_TEXT, bytes_of(row->text, row->len));
    assert_true(memory_peer_next_frame(&fixture.peer, &opcode, &got));
    assert_string_equal(got.ptr, row->answer);
  }
  expect_undisturbed(&fixture);
  finish(&fixture);
}

/* RFC 6455 section 8.1: a text message that is no UTF-8 is no message, and ends the connection of
 * its sender. */
static void closes_for_text_that_is_none(void **state) {
  (void)state;
  static const char *const texts[] = {"\xff", "{\"ping\":true,\"ref\":\"\xc3\"}", "{\"subscribe\":\"room:\xed\xa0\x80\"}",
                                      "{}\xe2\x82"};
  for (size_t i = 0; i < COUNT_OF(texts); i++) {
    struct fixture fixture;
    start(&fixture);
    memory_peer_frame(&fixture.peer, WS_OPCODE_TEXT, bytes_string(texts[i]));
    memory_peer_expect_close(&fixture.peer, WS_CLOSE_BAD_DATA);
    assert_true(memory_peer_ended(&fixture.peer));
    expect_undisturbed(&fixture);
    finish(&fixture);
  }
}

/* The edges of what is right. */
static void takes_what_is_right(void **state) {
  (void)state;
  struct fixture fixture;
  start(&fixture);
  static const struct {
    const char *text, *answer;
  } cases[] = {
      {"{\"ping\":true,\"ref\":9223372036854775807}", "{\"ref\":9223372036854775807,\"ok\":true}"},
      {"{\"ping\":true,\"ref\":-9223372036854775808}", "{\"ref\":-9223372036854775808,\"ok\":true}"},
      {"{\"ping\":true,\"ref\":\"\"}", "{\"ref\":\"\",\"ok\":true}"},
      {"{\"ping\":true,\"ref\":\"\\u0000\\\"\"}", "{\"ref\":\"\\u0000\\\"\",\"ok\":true}"},
      {"{\"ping\":true,\"ref\":\"" X64("r") "\"}", "{\"ref\":\"" X64("r") "\",\"ok\":true}"},
      {"\t{ \"ping\" :\r\n true , \"ref\" : 1 } \n", "{\"ref\":1,\"ok\":true}"},
      {"{\"\\u0070ing\":true,\"ref\":1}", "{\"ref\":1,\"ok\":true}"},
      {"{\"ping\":false,\"ping\":true,\"ref\":[],\"ref\":2}", "{\"ref\":2,\"ok\":true}"},
      {"{\"ping\":true,\"ref\":3,\"x\":{\"ping\":1,\"ref\":4},\"event\":7,\"data\":[],\"since\":{},\"\":null}",
       "{\"ref\":3,\"ok\":true}"},
      {"{\"unsubscribe\":\"room:2\",\"ref\":1}", "{\"ref\":1,\"ok\":true}"},
      {"{\"unsubscribe\":\"room:2\",\"ref\":1}", "{\"ref\":1,\"ok\":true}"},
      {"{\"ping\":true,\"x\":" X62("[") X62("]") ",\"ref\":1}", "{\"ref\":1,\"ok\":true}"},
      {"{\"send\":\"room:1\",\"event\":\"say\",\"ref\":1}", "{\"ref\":1,\"ok\":true}"},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) memory_peer_ask(&fixture.peer, cases[i].text, cases[i].answer);
  /* Without a ref there is nothing to say. */
  memory_peer_ask(&fixture.peer, "{\"ping\":true}", NULL);
  memory_peer_ask(&fixture.peer, "{\"send\":\"room:1\",\"event\":\"say\",\"data\":1}", NULL);
  assert_int_equal(fixture.asked, 2);
  expect_undisturbed(&fixture);
  finish(&fixture);
}

/* Nothing but "connect" is heard of a moonwire.1 client that has not said who it is. */
static void wants_a_connect_first(void **state) {
  (void)state;
  struct fixture fixture;
  struct memory_peer peer;
  start(&fixture);
  memory_peer_open(&peer, fixture.server);
  memory_peer_upgrade(&peer, "moonwire.1");
  static const char *const verbs[] = {"\"subscribe\":\"room:1\"",
                                      "\"unsubscribe\":\"room:1\"",
                                      "\"send\":\"room:1\"",
                                      "\"presence\":\"room:1\"",
                                      "\"history\":\"room:1\"",
                                      "\"token\":\"t\"",
                                      "\"ping\":true"};
  for (size_t i = 0; i < COUNT_OF(verbs); i++) {
    char text[128];
    snprintf(text, sizeof text, "{%s,\"ref\":1}", verbs[i]);
    memory_peer_ask(&peer, text, "{\"ref\":1,\"error\":{\"code\":\"unauthorized\",\"reason\":\"connect first\"}}");
  }
  memory_peer_ask(&peer, "{\"connect\":{\"token\":7},\"ref\":1}",
                  "{\"ref\":1,\"error\":{\"code\":\"bad_request\",\"reason\":\"the token must be a string\"}}");
  memory_peer_frame(&peer, WS_OPCODE_TEXT, BYTES("{\"connect\":{},\"ref\":1}"));
  assert_memory_equal(memory_peer_fetch(&peer).ptr + 2, "{\"ref\":1,\"ok\":{\"client\":\"", 24);
  memory_peer_close(&peer);
  finish(&fixture);
}

/* At the limit of channels, and back below it. */
static void bounds_the_channels(void **state) {
  (void)state;
  struct fixture fixture;
  char text[64];
  start(&fixture);
  for (int i = 2; i <= 100; i++) {
    snprintf(text, sizeof text, "{\"subscribe\":\"room:%d\"}", i);
    memory_peer_ask(&fixture.peer, text, NULL);
  }
  memory_peer_ask(&fixture.peer, "{\"subscribe\":\"room:101\",\"ref\":1}",
                  "{\"ref\":1,\"error\":{\"code\":\"refused\",\"reason\":\"too many channels: limits.client_channels\"}}");
  memory_peer_ask(&fixture.peer, "{\"unsubscribe\":\"room:100\"}", NULL);
  memory_peer_ask(&fixture.peer, "{\"subscribe\":\"room:101\"}", NULL);
  assert_int_equal(mw_channel_count(fixture.server, "room:101", 8, NULL), 1);
  assert_int_equal(mw_channel_count(fixture.server, "room:100", 8, NULL), 0);
  expect_undisturbed(&fixture);
  finish(&fixture);
}

/* What is refused to a client that posts its verb has a status, too (docs/reference/errors.md). */
static void each_code_has_a_status(void **state) {
  (void)state;
  static const struct {
    const char *code;
    int status;
  } cases[] = {{"unauthorized", 401},   {"token_expired", 401}, {"forbidden", 403},    {"not_found", 404},
               {"not_subscribed", 403}, {"too_large", 413},     {"rate_limited", 429}, {"internal", 500},
               {"unavailable", 503},    {"bad_request", 400},   {"unknown_event", 400}};
  for (size_t i = 0; i < COUNT_OF(cases); i++)
    assert_int_equal(reply_status(&(struct refusal){.code = cases[i].code}), cases[i].status);
}

/* What is closed from this side with which code (docs/reference/codes.md). */
static void each_closing_has_a_code(void **state) {
  (void)state;
  static const unsigned codes[] = {
      [CLOSE_SLOW] = 1013,       [CLOSE_BUSY] = 1013,      [CLOSE_UNAUTHORIZED] = 4401, [CLOSE_UNCONNECTED] = 4408,
      [CLOSE_UNFINISHED] = 1008, [CLOSE_TOO_LARGE] = 1009, [CLOSE_RATE] = 1008,         [CLOSE_BY_APP] = 4000};
  for (enum close_reason reason = CLOSE_SLOW; reason <= CLOSE_BY_APP; reason++)
    assert_int_equal(native_close_code(&(struct closing){.reason = reason, .code = 4000}), codes[reason]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(each_code_has_a_status),  TEST(each_closing_has_a_code),      TEST(answers_what_is_malformed),
      TEST(answers_it_in_any_order), TEST(closes_for_text_that_is_none), TEST(takes_what_is_right),
      TEST(wants_a_connect_first),   TEST(bounds_the_channels),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
