/* What a turn brings to one session, and what happens to it there: messages that wait in the list
 * of their channel while the session begins to lag, leaves the channel, or is excepted from one of
 * them. Each gets what it is due, once and in order. */
#include <stdlib.h>
#include <string.h>

#include "test/support.h"
#include "test/support/memory_peer.h"
#include "test/support/told.h"

enum { BIG = 10000, OUTBOX = 50000, PEERS = 3 };

static struct mw_server *server;
static struct memory_peer peers[PEERS];
static struct told_peer told;

/* ---- The server ------------------------------------------------------------------------------ */

static void on_request(void *context, struct mw_request *request) {
  (void)context;
  mw_request_accept(request, NULL, 0);
}

static int define(struct mw_config *config) {
  static const struct {
    const char *pattern;
    struct mw_channel_options options;
  } kinds[] = {{"keep:{x}", {.history_size = 1000}},
               {"bare:{x}", {.slow = MW_SLOW_CLOSE}},
               {"drop:{x}", {.slow = MW_SLOW_DROP}},
               {"room:{x}", {.history_size = 1000, .presence = MW_PRESENCE_FULL}}};
  int status = 0;
  for (size_t i = 0; status >= 0 && i < COUNT_OF(kinds); i++)
    status = mw_config_channel(config, kinds[i].pattern, &kinds[i].options, NULL);
  return status < 0 ? status : 0;
}

static int make_server(void) {
  struct mw_config_options options;
  struct mw_config *config;
  mw_config_options_init(&options);
  options.on_request = on_request;
  options.connects = true; /* every client has an id, by which the app reaches it */
  options.limits.outbox = OUTBOX;
  options.limits.ping_ms = options.limits.progress_ms = options.limits.heartbeat_ms = UINT32_MAX;
  int status = mw_config_new(&config, &options, NULL);
  if (status < 0) return status;
  status = define(config);
  if (status == 0) status = mw_server_new(&server, &(struct mw_server_options){.config = config}, NULL);
  mw_config_unref(config);
  if (status == 0) mw_server_advance(server, 1);
  return status;
}

static int begin(void **state) {
  int status = support_setup(state);
  told = (struct told_peer){.id = ""};
  assert_int_equal(make_server(), 0);
  for (size_t i = 0; i < PEERS; i++) memory_peer_open(&peers[i], server);
  return status;
}

static int end(void **state) {
  for (size_t i = 0; i < PEERS; i++) memory_peer_close(&peers[i]);
  server_finish(server);
  return support_teardown(state);
}

/* Without a turn of the server. */
static void publish_as(const char *channel, const char *data, size_t size, struct mw_publish how) {
  char text[BIG + 32];
  int len = snprintf(text, sizeof text, "[\"%s\",\"", data);
  memset(text + len, '.', size);
  memcpy(text + len + size, "\"]", 2);
  how.channel = (struct mw_bytes){channel, strlen(channel)};
  how.data = (struct mw_bytes){text, (size_t)len + size + 2};
  assert_int_equal(mw_publish(server, &how, NULL, NULL), 0);
}

static void publish(const char *channel, const char *data, size_t size) {
  publish_as(channel, data, size, (struct mw_publish){.key = {0}});
}

/* `letter` with numbers from first to last, in one turn. Each third is small: it finds room where
 * the one before did not. */
static void publish_many(const char *channel, char letter, unsigned first, unsigned last) {
  for (unsigned n = first; n <= last; n++) {
    char data[16];
    snprintf(data, sizeof data, "%c%u", letter, n);
    publish(channel, data, n % 3 == 0 ? 0 : BIG);
  }
}

/* The client that connected last; its reference is the caller's. */
static struct mw_client *client_of(size_t count) {
  struct mw_client *client = NULL;
  while (count-- > 0) client = mw_client_next(server, client);
  assert_non_null(client);
  return client;
}

static void subscribe_by_app(struct mw_client *client, const char *channel) {
  assert_int_equal(mw_client_subscribe(server, client, channel, strlen(channel)), 0);
}

static void say(struct memory_peer *peer, const char *text) { memory_peer_frame(peer, WS_OPCODE_TEXT, bytes_string(text)); }

static void join(struct memory_peer *peer, const char *channel) {
  char text[100];
  snprintf(text, sizeof text, "{\"subscribe\":\"%s\"}", channel);
  say(peer, text);
}

enum transport { SOCKET, STREAM, TRANSPORTS };

/* A peer that has subscribed to those channels. */
static void enter(struct memory_peer *peer, enum transport transport, const char *first, const char *second) {
  char text[200];
  if (transport == SOCKET) {
    memory_peer_upgrade(peer, NULL);
    join(peer, first);
    if (second) join(peer, second);
  } else {
    snprintf(text, sizeof text, "GET /sse?channel=%s%s%s HTTP/1.1\r\nHost: t\r\n\r\n", first, second ? "&channel=" : "",
             second ? second : "");
    memory_peer_send_text(peer, text);
  }
  told_fetch(&told, peer);
}

static void assert_told_at(struct memory_peer *peer, const char *expected, int line) {
  server_settle(server);
  const char *text = told_fetch(&told, peer);
  if (strcmp(text, expected) == 0) return;
  print_error("expected: %s\n     got: %s\n", expected, text);
  _fail(__FILE__, line);
}
#define assert_told(peer, expected) assert_told_at((peer), (expected), __LINE__)

static const char *range(char letter, unsigned first, unsigned last) {
  static char text[4000];
  text[0] = '\0';
  for (unsigned n = first; n <= last; n++) {
    size_t len = strlen(text);
    snprintf(text + len, sizeof text - len, "%c%u ", letter, n);
  }
  return text;
}

static struct mw_stats stats_now(void) {
  struct mw_stats stats;
  mw_server_stats(server, &stats);
  return stats;
}

/* Begins as a server of its own, between the transports of one test. */
static void start_again(void) {
  void *state = NULL;
  end(&state);
  begin(&state);
}

/* ---- The list of one turn -------------------------------------------------------------------- */

static void one_that_is_excepted_gets_the_rest_of_the_list(void **state) {
  (void)state;
  for (enum transport transport = 0; transport < TRANSPORTS; transport++) {
    enter(&peers[0], transport, "keep:a", NULL);
    struct mw_client *client = client_of(1);
    memory_peer_upgrade(&peers[1], NULL);
    join(&peers[1], "keep:a");
    publish("keep:a", "a1", 0);
    publish_as("keep:a", "a2", 0, (struct mw_publish){.except = client});
    publish("keep:a", "a3", 0);
    publish_as("keep:a", "a4", 0, (struct mw_publish){.except = client});
    publish_as("keep:a", "a5", 0, (struct mw_publish){.except = client});
    assert_told(&peers[0], "a1 a3 ");
    assert_told(&peers[1], "a1 a2 a3 a4 a5 ");
    mw_client_unref(client);
    start_again();
  }
}

static void one_that_leaves_gets_what_came_before(void **state) {
  (void)state;
  enter(&peers[0], SOCKET, "keep:a", "keep:b");
  struct mw_client *client = client_of(1);
  publish("keep:a", "a1", 0);
  publish("keep:a", "a2", 0);
  assert_int_equal(mw_client_unsubscribe(server, client, "keep:a", 6, NULL, NULL), 0);
  publish("keep:a", "a3", 0);
  publish("keep:b", "b1", 0);
  assert_told(&peers[0], "a1 a2 unsubscribed b1 ");
  /* And the channel that it subscribed to later, whose record is another. */
  publish("keep:b", "b2", 0);
  assert_int_equal(mw_client_unsubscribe(server, client, "keep:b", 6, NULL, NULL), 0);
  assert_told(&peers[0], "b2 unsubscribed ");
  mw_client_unref(client);
}

static void the_last_message_of_a_turn_comes_once(void **state) {
  (void)state;
  for (enum transport transport = 0; transport < TRANSPORTS; transport++) {
    enter(&peers[0], transport, "keep:a", NULL);
    publish("keep:a", "a1", 0);
    publish("keep:a", "a2", 0);
    publish_as("keep:a", "a3", 0, (struct mw_publish){.is_final = true});
    assert_told(&peers[0], "a1 a2 a3 end ");
    start_again();
  }
}

/* ---- One that begins to lag in the middle ---------------------------------------------------- */

/* The list is longer than a peer takes and an outbox holds: the rest of it is read from the
 * history, and nothing overtakes it. */
static void a_long_list_keeps_its_order(void **state) {
  (void)state;
  for (enum transport transport = 0; transport < TRANSPORTS; transport++) {
    enter(&peers[0], transport, "keep:a", "keep:b");
    publish_many("keep:a", 'a', 1, 40);
    assert_told(&peers[0], range('a', 1, 40));
    /* Settled by what another channel brings in the same turn. */
    publish_many("keep:a", 'a', 41, 80);
    publish("keep:b", "b1", BIG);
    publish("keep:a", "a81", BIG);
    server_settle(server);
    char expected[2000];
    snprintf(expected, sizeof expected, "%sb1 a81 ", range('a', 41, 80));
    assert_told(&peers[0], expected);
    assert_int_equal(stats_now().slow_closed + stats_now().gaps, 0);
    assert_int_equal(stats_now().slow, 2);
    start_again();
  }
}

/* A peer that takes so many bytes and no more. */
static void fetch_some(struct memory_peer *peer, size_t size) {
  char chunk[1000];
  for (; size > 0; size -= sizeof chunk)
    buffer_append(&peer->in, bytes_of(chunk, mw_memory_read(peer->memory, chunk, sizeof chunk)));
  server_settle(server);
}

/* Of two channels that are read from their histories, the first has nothing at first. */
static void each_history_is_read_to_its_end(void **state) {
  (void)state;
  for (enum transport transport = 0; transport < TRANSPORTS; transport++) {
    for (int order = 0; order < 2; order++) {
      const char *quiet = order == 0 ? "keep:a" : "keep:b", *busy = order == 0 ? "keep:b" : "keep:a";
      char expected[2000];
      enter(&peers[0], transport, "keep:a", "keep:b");
      publish_many(busy, 'b', 1, 60);
      server_settle(server);
      fetch_some(&peers[0], 150000);
      publish(quiet, "a1", 0);
      server_settle(server);
      snprintf(expected, sizeof expected, "%sa1 ", range('b', 1, 60));
      assert_told(&peers[0], expected);
      start_again();
    }
  }
}

/* Of three channels, only one has more than an outbox holds, and the others get something only
 * while it is read: nothing comes twice. */
static void of_three_histories_each_may_be_the_long_one(void **state) {
  (void)state;
  static const char *const channels[] = {"keep:a", "keep:b", "keep:c"};
  for (enum transport transport = 0; transport < TRANSPORTS; transport++) {
    for (size_t busy = 0; busy < COUNT_OF(channels); busy++) {
      char expected[2000];
      if (transport == SOCKET) {
        enter(&peers[0], transport, channels[0], channels[1]);
        join(&peers[0], channels[2]);
      } else {
        enter(&peers[0], transport, channels[0], "keep:b&channel=keep:c");
      }
      publish_many(channels[busy], 'b', 1, 60);
      server_settle(server);
      for (size_t quiet = 0; quiet < COUNT_OF(channels); quiet++) {
        if (quiet == busy) continue;
        fetch_some(&peers[0], 100000);
        publish(channels[quiet], quiet == (busy + 1) % 3 ? "c1" : "d1", 0);
        server_settle(server);
      }
      snprintf(expected, sizeof expected, "%s%s", range('b', 1, 60), (busy + 1) % 3 < (busy + 2) % 3 ? "c1 d1 " : "d1 c1 ");
      assert_told(&peers[0], expected);
      assert_int_equal(stats_now().gaps, 0);
      start_again();
    }
  }
}

/* More channels than a heap of two levels holds, each with messages between those of the others. */
static void many_histories_are_in_one_order(void **state) {
  (void)state;
  enum { CHANNELS = 20, MESSAGES = 200 };
  static const char *const paths[] = {"GET /poll?", "GET /sse?"};
  char query[600] = "since=0", channel[16], data[8];
  for (unsigned n = 0; n < CHANNELS; n++) snprintf(query + strlen(query), sizeof query - strlen(query), "&channel=keep:%u", n);
  for (unsigned n = 1; n <= MESSAGES; n++) {
    snprintf(channel, sizeof channel, "keep:%u", n * 7919 / 13 % CHANNELS);
    snprintf(data, sizeof data, "a%u", n);
    publish(channel, data, 0);
    server_settle(server);
  }
  for (size_t i = 0; i < COUNT_OF(paths); i++) {
    assert_int_equal(mw_memory_write(peers[i].memory, paths[i], strlen(paths[i])), 0);
    assert_int_equal(mw_memory_write(peers[i].memory, query, strlen(query)), 0);
    memory_peer_send_text(&peers[i], " HTTP/1.1\r\nHost: t\r\n\r\n");
    assert_told(&peers[i], range('a', 1, MESSAGES));
  }
}

/* The ids of an event stream only grow: what the app subscribes it to comes after what is
 * replayed. */
static void a_channel_of_the_app_waits_for_a_replay(void **state) {
  (void)state;
  static const char *const channels[] = {"keep:b", "drop:b"};
  for (size_t i = 0; i < COUNT_OF(channels); i++) {
    publish_many("keep:a", 'a', 1, 30);
    server_settle(server);
    memory_peer_send_text(&peers[0], "GET /sse?channel=keep:a&since=0 HTTP/1.1\r\nHost: t\r\n\r\n");
    struct mw_client *client = client_of(1);
    subscribe_by_app(client, channels[i]);
    server_settle(server);
    publish(channels[i], "b1", 0);
    server_settle(server);
    char expected[1000];
    snprintf(expected, sizeof expected, "%sb1 ", range('a', 1, 30));
    assert_told(&peers[0], expected);
    mw_client_unref(client);
    start_again();
  }
}

/* A replay is not slowness: of a channel that is held up by that of another, more than there is
 * room for is dropped, and that is told. */
static void what_a_replay_holds_up_is_dropped_with_a_gap(void **state) {
  (void)state;
  publish_many("keep:a", 'a', 1, 30);
  server_settle(server);
  memory_peer_send_text(&peers[0], "GET /sse?channel=keep:a&channel=drop:d&since=0 HTTP/1.1\r\nHost: t\r\n\r\n");
  publish_many("drop:d", 'd', 1, 12);
  server_settle(server);
  assert_int_equal(stats_now().slow_closed, 0);
  const char *text = told_fetch(&told, &peers[0]);
  const char *gap = strstr(text, "gap "), *last = strstr(text, "a30 ");
  assert_non_null(gap);
  assert_non_null(last);
  assert_null(strstr(text, "d1 "));
  assert_int_equal(stats_now().slow_closed, 0);
  assert_true(stats_now().slow_dropped > 0);
  publish("drop:d", "d13", 0);
  assert_told(&peers[0], "d13 ");
}

/* A channel that drops nothing is subscribed to by one that is slow already: it gets all, or is
 * closed. */
static void a_channel_that_closes_drops_nothing(void **state) {
  (void)state;
  enter(&peers[0], SOCKET, "keep:a", NULL);
  struct mw_client *client = client_of(1);
  publish_many("keep:a", 'a', 1, 30);
  server_settle(server);
  assert_int_equal(stats_now().slow, 1);
  subscribe_by_app(client, "bare:c");
  server_settle(server);
  publish("bare:c", "c1", 0);
  server_settle(server);
  const char *text = told_fetch(&told, &peers[0]);
  assert_non_null(strstr(text, "c1 "));
  assert_non_null(strstr(text, "a30 "));
  assert_int_equal(stats_now().gaps, 0);
  assert_int_equal(stats_now().slow_dropped, 0);
  mw_client_unref(client);
}

/* More than an outbox holds in one turn is no slowness, if the peer takes it. */
static void what_a_peer_takes_is_not_too_much(void **state) {
  (void)state;
  static char data[BIG];
  memset(data, '1', sizeof data);
  enter(&peers[0], SOCKET, "bare:a", "bare:b");
  struct mw_client *client = client_of(1);
  for (int i = 0; i < 6; i++) {
    struct mw_publish push = {.event = {"m", 1}, .data = {data, sizeof data}};
    assert_int_equal(mw_client_send(server, client, &push, NULL), 0);
  }
  publish("bare:a", "a1", 0);
  assert_told(&peers[0], "a1 ");
  for (int i = 0; i < 3; i++) {
    publish("bare:a", "a2", BIG);
    publish("bare:b", "b2", BIG);
  }
  assert_told(&peers[0], "a2 b2 a2 b2 a2 b2 ");
  assert_int_equal(stats_now().slow_closed, 0);
  mw_client_unref(client);
}

/* ---- Presence, which is never dropped -------------------------------------------------------- */

static void changes_of_presence_follow_what_waits(void **state) {
  (void)state;
  enter(&peers[0], SOCKET, "room:r", NULL);
  struct mw_client *client = client_of(1);
  told_fetch(&told, &peers[0]);
  server_settle(server);
  /* Something for it alone waits in its outbox. */
  for (int i = 0; i < 8; i++) {
    static char data[BIG];
    memset(data, '1', sizeof data);
    struct mw_publish push = {.event = {"m", 1}, .data = {data, sizeof data}};
    assert_int_equal(mw_client_send(server, client, &push, NULL), 0);
  }
  server_settle(server);
  memory_peer_upgrade(&peers[1], NULL);
  join(&peers[1], "room:r");
  publish("room:r", "r1", 0);
  assert_told(&peers[0], "presence r1 ");
  mw_client_unref(client);
}

int main(void) {
  mw_log_to(MW_LOG_ERROR + 1, NULL, NULL);
#define TURNS(name) cmocka_unit_test_setup_teardown(name, begin, end)
  const struct CMUnitTest tests[] = {
      TURNS(one_that_is_excepted_gets_the_rest_of_the_list),
      TURNS(one_that_leaves_gets_what_came_before),
      TURNS(the_last_message_of_a_turn_comes_once),
      TURNS(a_long_list_keeps_its_order),
      TURNS(each_history_is_read_to_its_end),
      TURNS(of_three_histories_each_may_be_the_long_one),
      TURNS(many_histories_are_in_one_order),
      TURNS(a_channel_of_the_app_waits_for_a_replay),
      TURNS(what_a_replay_holds_up_is_dropped_with_a_gap),
      TURNS(a_channel_that_closes_drops_nothing),
      TURNS(what_a_peer_takes_is_not_too_much),
      TURNS(changes_of_presence_follow_what_waits),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
