/* Which clients the app can find, and what it counts: from on_connect to the end, and of this
 * server alone. */
#include <string.h>

#include "test/support.h"
#include "test/support/memory_peer.h"

enum { CLIENTS = 5, QUEUE = 20000 };

static struct mw_server *server;
static struct memory_peer peers[CLIENTS];
/* For each type of request: how often it came, and how often its client was among those that are
 * connected. */
static unsigned asked[32], known[32];
static char reason[64];  /* of the newest MW_REQUEST_DISCONNECT */
static unsigned refused; /* the type of request that is refused */

static void on_request(void *context, struct mw_request *request) {
  struct mw_server *of = *(struct mw_server **)context;
  struct mw_client *client = mw_request_client(request);
  enum mw_request_type type = mw_request_type(request);
  if (client && of) {
    struct mw_bytes id = mw_client_id(client);
    struct mw_client *found = mw_client_find(of, id.ptr, id.len);
    bool walked = false;
    for (struct mw_client *each = mw_client_next(of, NULL); each; each = mw_client_next(of, each))
      walked = walked || each == client;
    assert_int_equal(found == client, walked);
    asked[type]++;
    known[type] += found == client;
    mw_client_unref(found);
  }
  if (type == MW_REQUEST_DISCONNECT) {
    struct mw_bytes why = mw_request_reason(request);
    snprintf(reason, sizeof reason, "%.*s", (int)why.len, why.ptr);
  }
  if (type == refused) {
    mw_request_refuse(request, 403, "forbidden", "no");
  } else if (type == MW_REQUEST_AUTHENTICATE) {
    mw_request_accept(request, "{\"id\":\"ann\"}", 12);
  } else {
    mw_request_accept(request, NULL, 0);
  }
}

static struct mw_server *make_server(struct mw_server **place) {
  static const struct mw_event_rule events[] = {{.event = "say"}};
  struct mw_config_options options;
  struct mw_config *config;
  mw_config_options_init(&options);
  options.on_request = on_request;
  options.context = place;
  options.limits.queue = QUEUE;
  options.authenticate = options.connects = options.disconnects = true;
  assert_int_equal(mw_config_new(&config, &options, NULL), 0);
  struct mw_channel_options room = {.hooks = MW_HOOK_AUTHORIZE | MW_HOOK_OPEN | MW_HOOK_JOIN | MW_HOOK_LEAVE | MW_HOOK_CLOSE |
                                             MW_HOOK_PRESENCE,
                                    .presence = MW_PRESENCE_FULL,
                                    .events = events,
                                    .event_count = 1};
  assert_int_equal(mw_config_channel(config, "room:{x}", &room, NULL), 0);
  assert_int_equal(mw_server_new(place, &(struct mw_server_options){.config = config}, NULL), 0);
  mw_config_unref(config);
  mw_server_advance(*place, 1);
  return *place;
}

static int begin(void **state) {
  int status = support_setup(state);
  memset(asked, 0, sizeof asked);
  memset(known, 0, sizeof known);
  refused = UINT32_MAX;
  make_server(&server);
  for (size_t i = 0; i < CLIENTS; i++) memory_peer_open(&peers[i], server);
  return status;
}

static int end(void **state) {
  for (size_t i = 0; i < CLIENTS; i++) memory_peer_close(&peers[i]);
  server_settle(server);
  server_finish(server);
  return support_teardown(state);
}

static size_t count_clients(void) {
  size_t count = 0;
  for (struct mw_client *client = mw_client_next(server, NULL); client; client = mw_client_next(server, client)) count++;
  return count;
}

static void get(size_t i, const char *target) {
  char request[200];
  snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: t\r\n\r\n", target);
  memory_peer_send_text(&peers[i], request);
}

static void say(size_t i, const char *text) { memory_peer_frame(&peers[i], WS_OPCODE_TEXT, bytes_string(text)); }

/* All but one, which is let in, or refused, by its upgrade. */
static void connect_others(void) {
  get(0, "/sse?channel=room:1");
  get(1, "/sse?channel=room:1&envelope=1");
  memory_peer_upgrade(&peers[3], "moonwire.1");
  say(3, "{\"connect\":{}}");
  say(3, "{\"subscribe\":\"room:1\"}");
  get(4, "/poll?client=&channel=room:1");
}

static void connect_all(void) {
  connect_others();
  memory_peer_upgrade(&peers[2], NULL);
  say(2, "{\"subscribe\":\"room:1\"}");
}

static void are_found_in_every_hook_of_every_transport(void **state) {
  (void)state;
  static const unsigned types[] = {MW_REQUEST_CONNECT, MW_REQUEST_AUTHORIZE, MW_REQUEST_JOIN};
  connect_all();
  for (size_t i = 0; i < COUNT_OF(types); i++) {
    if (known[types[i]] != asked[types[i]]) print_error("type %u: %u of %u\n", types[i], known[types[i]], asked[types[i]]);
    assert_int_equal(asked[types[i]], CLIENTS);
    assert_int_equal(known[types[i]], CLIENTS);
  }
  assert_int_equal(known[MW_REQUEST_PRESENCE], asked[MW_REQUEST_PRESENCE]);
  assert_int_equal(count_clients(), CLIENTS);
  say(2, "{\"send\":\"room:1\",\"event\":\"say\"}");
  assert_int_equal(known[MW_REQUEST_MESSAGE], 1);
}

static void are_not_found_before_and_after(void **state) {
  (void)state;
  static const unsigned types[] = {MW_REQUEST_AUTHENTICATE, MW_REQUEST_CONNECT, MW_REQUEST_AUTHORIZE, MW_REQUEST_JOIN};
  for (size_t i = 0; i < COUNT_OF(types); i++) {
    refused = types[i];
    connect_others();
    assert_int_equal(known[MW_REQUEST_AUTHENTICATE], 0);
    /* The WebSocket is connected, and only its subscribing was refused. */
    assert_int_equal(count_clients(), i < 2 ? 0 : 1);
    end(state);
    begin(state);
  }
  refused = UINT32_MAX;
  connect_all();
  for (size_t i = 0; i < CLIENTS; i++) memory_peer_close(&peers[i]);
  mw_server_advance(server, 120000); /* the one that polls has gone as well */
  server_settle(server);
  assert_int_equal(asked[MW_REQUEST_DISCONNECT], CLIENTS);
  assert_int_equal(known[MW_REQUEST_DISCONNECT], 0);
  assert_int_equal(count_clients(), 0);
  for (size_t i = 0; i < CLIENTS; i++) memory_peer_open(&peers[i], server);
}

/* The app learns why a client has gone: for a WebSocket with the code of its close frame, or the
 * one that stands for none. */
static void go_with_a_reason(void **state) {
  (void)state;
  memory_peer_upgrade(&peers[0], NULL);
  memory_peer_frame(&peers[0], WS_OPCODE_CLOSE, bytes_of("\x0f\xa0", 2));
  assert_string_equal(reason, "closed 4000");
  memory_peer_upgrade(&peers[1], NULL);
  memory_peer_close(&peers[1]);
  server_settle(server);
  assert_string_equal(reason, "closed 1006");
  get(2, "/sse?channel=room:1");
  memory_peer_close(&peers[2]);
  server_settle(server);
  assert_string_equal(reason, "closed");
  for (size_t i = 1; i <= 2; i++) memory_peer_open(&peers[i], server);
}

/* What is done with each may end it, and those before it. */
static void a_walk_goes_on_when_its_client_has_gone(void **state) {
  (void)state;
  size_t seen = 0;
  connect_all();
  for (struct mw_client *client = mw_client_next(server, NULL); client; client = mw_client_next(server, client)) {
    seen++;
    assert_int_equal(mw_client_close(server, client, 1000, "bye"), 0);
    mw_channel_count(server, "room:1", 6, NULL); /* carries out what was requested */
  }
  assert_int_equal(seen, CLIENTS);
  server_settle(server);
  assert_int_equal(count_clients(), 0);
}

static void numbers_are_of_one_server(void **state) {
  (void)state;
  struct mw_server *second = NULL;
  struct mw_stats stats;
  connect_all();
  make_server(&second);
  mw_server_stats(second, &stats);
  assert_int_equal(stats.subscriptions, 0);
  assert_int_equal(stats.connections, 0);
  assert_int_equal(stats.poll_clients, 0);
  mw_server_stats(server, &stats);
  assert_int_equal(stats.subscriptions, CLIENTS);
  assert_int_equal(stats.connections, CLIENTS);
  assert_int_equal(stats.poll_clients, 1);
  server_finish(second);
}

/* Subscribing, unsubscribing, and pings carry next to nothing, and use up limits.queue all the
 * same. Closing is free, so that it is always possible. */
static void commands_count_themselves(void **state) {
  (void)state;
  connect_all();
  struct mw_client *client = mw_client_next(server, NULL);
  for (unsigned kind = 0; kind < 2; kind++) {
    size_t count = 0;
    int status = 0;
    while (status == 0 && count < QUEUE) {
      status = kind == 0 ? mw_client_subscribe(server, client, "room:1", 6)
                         : mw_client_unsubscribe(server, client, "room:2", 6, "gone", "");
      if (status == 0) count++;
    }
    assert_int_equal(status, MW_EUNAVAILABLE);
    assert_in_range(count, 1, QUEUE / 64);
    server_settle(server);
  }
  while (mw_client_subscribe(server, client, "room:1", 6) == 0) continue;
  assert_int_equal(mw_client_close(server, client, 1000, ""), 0);
  mw_client_unref(client);
  server_settle(server);
  assert_int_equal(count_clients(), CLIENTS - 1);
}

int main(void) {
  mw_log_to(MW_LOG_ERROR + 1, NULL, NULL);
#define CLIENTS_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
  const struct CMUnitTest tests[] = {
      CLIENTS_TEST(are_found_in_every_hook_of_every_transport),
      CLIENTS_TEST(are_not_found_before_and_after),
      CLIENTS_TEST(go_with_a_reason),
      CLIENTS_TEST(a_walk_goes_on_when_its_client_has_gone),
      CLIENTS_TEST(numbers_are_of_one_server),
      CLIENTS_TEST(commands_count_themselves),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
