/* A whole server that speaks one dialect more (test/support/toy_dialect.h), beside native clients
 * on the same channels. Nothing of the server knows of it. */
#include "server/server.h"
#include "test/support.h"
#include "test/support/memory_peer.h"
#include "test/support/toy_dialect.h"

static struct mw_server *server;
static struct memory_peer toy, native;
static int user_count;

static void on_request(void *context, struct mw_request *request) {
  (void)context;
  struct mw_bytes channel = mw_request_channel(request);
  if (mw_request_type(request) == MW_REQUEST_AUTHENTICATE) {
    mw_request_accept(request, user_count++ == 0 ? "{\"id\":\"ann\"}" : "{\"id\":\"bob\"}", 12);
  } else if (mw_request_type(request) == MW_REQUEST_AUTHORIZE && channel.ptr[0] == 'c') {
    mw_request_refuse(request, 403, "forbidden", "it is closed");
  } else {
    mw_request_accept(request, "{\"n\":1}", 7);
  }
}

static void begin(void) {
  static const struct mw_event_rule events[] = {{.event = "say", .relay = true, .keep = true}};
  struct mw_config_options options;
  struct mw_config *config = NULL;
  struct mw_channel_options room = {
      .events = events, .event_count = 1, .history_size = 3, .presence = MW_PRESENCE_FULL, .history_readable = true};
  struct mw_channel_options asked = {.hooks = MW_HOOK_AUTHORIZE};
  mw_config_options_init(&options);
  user_count = 0;
  options.authenticate = true;
  options.on_request = on_request;
  options.limits.ping_ms = 10000;
  assert_int_equal(mw_config_new(&config, &options, NULL), 0);
  assert_int_equal(mw_config_channel(config, "room:{id}", &room, NULL), 0);
  assert_int_equal(mw_config_channel(config, "closed:{id}", &asked, NULL), 1);
  assert_int_equal(mw_config_channel(config, "open:{id}", &asked, NULL), 2);
  assert_int_equal(mw_server_new(&server, &(struct mw_server_options){.config = config}, NULL), 0);
  mw_config_unref(config);
  mw_server_advance(server, 1);
  server->workers[0].transport.dialects = &toy_dialects;
  memory_peer_open(&toy, server);
  memory_peer_upgrade(&toy, "toy");
  memory_peer_open(&native, server);
  memory_peer_upgrade(&native, NULL);
}

static void end(void) {
  memory_peer_close(&toy);
  memory_peer_close(&native);
  server_finish(server);
}

static void say(const char *text) { memory_peer_frame(&toy, WS_OPCODE_TEXT, bytes_string(text)); }

static void publish(const char *data, bool is_final, char id[MW_ID_MAX]) {
  struct mw_publish message = {.channel = {"room:1", 6}, .data = {data, strlen(data)}, .is_final = is_final};
  char ignored[MW_ID_MAX];
  assert_int_equal(mw_publish(server, &message, id ? id : ignored, NULL), 0);
  server_settle(server);
}

/* The next frame begins with this. */
static struct bytes expect_start(struct memory_peer *peer, const char *start) {
  enum ws_opcode opcode;
  struct bytes payload;
  assert_true(memory_peer_next_frame(peer, &opcode, &payload));
  assert_int_equal(opcode, WS_OPCODE_TEXT);
  if (!bytes_starts_with(payload, bytes_string(start))) print_error("expected %s, got %s\n", start, payload.ptr);
  assert_true(bytes_starts_with(payload, bytes_string(start)));
  return payload;
}

static void join(void) {
  say("JOIN room:1\n");
  expect_start(&toy, "OK JOIN ");
}

/* It receives what native clients send, and they what it sends, each in its own words, with the
 * same id. */
static void talks_with_native_clients(void **state) {
  (void)state;
  char expected[200], id[MW_ID_MAX];
  begin();
  join();
  memory_peer_frame(&native, WS_OPCODE_TEXT, BYTES("{\"subscribe\":\"room:1\"}"));
  mw_server_advance(server, 2000);
  server_settle(server);
  memory_peer_expect(&toy, "CHANGE room:1 2 ");
  memory_peer_frame(&native, WS_OPCODE_TEXT, BYTES("{\"send\":\"room:1\",\"event\":\"say\",\"data\":[1]}"));
  expect_start(&toy, "MSG room:1 [1] ");
  say("SAY room:1 {\"a\":2}\n");
  expect_start(&toy, "OK SAY ");
  while (memory_peer_fetch(&native).len > 0 && !strstr(memory_peer_take(&native), "\"data\":{\"a\":2}")) continue;
  publish("7", false, id);
  snprintf(expected, sizeof expected, "MSG room:1 7 %s", id);
  memory_peer_expect(&toy, expected);
  snprintf(expected, sizeof expected, "{\"channel\":\"room:1\",\"event\":\"message\",\"id\":\"%s\",\"data\":7}", id);
  memory_peer_expect(&native, expected);
  say("WHO room:1\nPAST room:1\n");
  memory_peer_expect(&toy, "OK WHO \nMEMBER ann null\nMEMBER bob null\n");
  memory_peer_expect(&toy, "OK PAST \nWAS - [1]\nWAS - {\"a\":2}\nWAS - 7\n");
  end();
}

/* Several verbs in a frame, of which one is asked of the app, and a verb in several frames. */
static void frames_are_not_verbs(void **state) {
  (void)state;
  begin();
  say("JOIN open:1\nPING\nJOIN closed:1\nPING\nNONSENSE x\nPI");
  expect_start(&toy, "OK JOIN ");
  memory_peer_expect(&toy, "OK PING \n");
  memory_peer_expect(&toy, "NO JOIN forbidden\n");
  memory_peer_expect(&toy, "OK PING \n");
  memory_peer_expect(&toy, "NO NONSENSE bad_request\n");
  memory_peer_expect(&toy, NULL);
  say("NG\nLEAVE op");
  memory_peer_expect(&toy, "OK PING \n");
  say("en:");
  memory_peer_expect(&toy, NULL);
  say("1\nPING\n");
  memory_peer_expect(&toy, "OK LEAVE \n");
  memory_peer_expect(&toy, "OK PING \n");
  say("PAST room:1\nSAY room:1 nonsense\n");
  memory_peer_expect(&toy, "NO PAST not_subscribed\n");
  memory_peer_expect(&toy, "NO SAY bad_request\n");
  end();
}

/* A verb that does not end is too much at some time. */
static void a_verb_has_an_end(void **state) {
  (void)state;
  static char text[60000];
  begin();
  size_t limit = server->app.config->options.limits.ws_message_size;
  memset(text, 'x', sizeof text);
  for (size_t sent = 0; sent <= limit; sent += sizeof text) memory_peer_frame(&toy, WS_OPCODE_TEXT, bytes_of(text, sizeof text));
  memory_peer_expect_close(&toy, 4200 + CLOSE_TOO_LARGE);
  end();
}

static void is_told_of_gaps_and_ends(void **state) {
  (void)state;
  char line[100], first[MW_ID_MAX];
  begin();
  publish("0", false, first);
  for (int i = 1; i < 6; i++) publish("1", false, NULL);
  snprintf(line, sizeof line, "JOIN room:1 %s\n", first);
  say(line);
  struct bytes answer = expect_start(&toy, "OK JOIN ");
  assert_non_null(strstr(answer.ptr, "\nGAP room:1 \n"));
  for (int i = 0; i < 3; i++) expect_start(&toy, "MSG room:1 1 ");
  publish("2", true, NULL);
  expect_start(&toy, "MSG room:1 2 ");
  memory_peer_expect(&toy, "END room:1 \n");
  end();
}

static void the_app_moves_and_closes_it(void **state) {
  (void)state;
  begin();
  join();
  struct mw_client *client = mw_client_next(server, NULL);
  assert_non_null(client);
  assert_int_equal(mw_client_unsubscribe(server, client, "room:1", 6, "kicked", "for a reason"), 0);
  server_settle(server);
  expect_start(&toy, "GONE room:1 kicked\n");
  assert_int_equal(mw_client_subscribe(server, client, "room:2", 6), 0);
  server_settle(server);
  expect_start(&toy, "HERE room:2 \n");
  memory_peer_take(&toy);
  mw_server_advance(server, 12000);
  server_settle(server);
  expect_start(&toy, "PING\n");
  assert_int_equal(mw_client_close(server, client, 4999, "enough"), 0);
  mw_client_unref(client);
  server_settle(server);
  memory_peer_expect_close(&toy, 4200 + CLOSE_BY_APP);
  end();
}

int main(void) {
  const struct CMUnitTest tests[] = {TEST(talks_with_native_clients), TEST(frames_are_not_verbs), TEST(a_verb_has_an_end),
                                     TEST(is_told_of_gaps_and_ends), TEST(the_app_moves_and_closes_it)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
