/* Two servers with one Redis, as their clients see them. */
#include <poll.h>
#include <stdio.h>

#include "base/memory.h"
#include "server/server.h"
#include "test/support.h"
#include "test/support/memory_peer.h"
#include "test/support/redis/real_redis.h"

enum { PATIENCE_MS = 120000, NODES = 2 };

#define KEY "Authorization: Bearer secret\r\n"

static struct real_redis real;
static struct mw_server *nodes[NODES];
static uint32_t history_size = 10;
static const char *redis_options = "--appendonly yes --appendfsync always"; /* killed, it forgets nothing */

/* ---- Running --------------------------------------------------------------------------------- */

static void step(uint64_t begun_ms, const char *condition) {
  for (size_t i = 0; i < NODES; i++) {
    if (nodes[i]) mw_server_step(nodes[i]);
  }
  poll(NULL, 0, 1);
  if (clock_system_ms() - begun_ms > PATIENCE_MS) fail_msg("still not: %s", condition);
}

#define until(condition)                                                                                                         \
  for (uint64_t begun_ms = clock_system_ms(); !(condition); step(begun_ms, #condition)) continue

static void start_redis(void) { real_redis_start(&real, 0, "s", redis_options); }

static struct mw_server *start_node(void) {
  char url[128];
  struct mw_server *server;
  struct mw_config *config;
  struct mw_config_options options;
  static const struct mw_event_rule events[] = {{.event = "kept", .relay = true, .keep = true},
                                                {.event = "fleeting", .relay = true}};
  struct mw_channel_options channel = {
      .events = events, .event_count = 2, .history_size = history_size, .history_readable = true};
  snprintf(url, sizeof url, "unix:%s/s", real.directory);
  mw_config_options_init(&options);
  options.broker.url = url;
  options.broker.publish_ms = PATIENCE_MS;
  options.publish_key = "secret";
  assert_int_equal(mw_config_new(&config, &options, NULL), 0);
  assert_int_equal(mw_config_channel(config, "room:{id}", &channel, NULL), 0);
  assert_int_equal(mw_server_new(&server, &(struct mw_server_options){.config = config}, NULL), 0);
  mw_config_unref(config);
  return server;
}

static bool is_up(const struct mw_server *server) { return broker_state(server->broker->broker) == BROKER_UP; }

static int begin(void **state) {
  int status = support_setup(state);
  mw_log_to(MW_LOG_ERROR, NULL, NULL);
  real_redis_begin(&real);
  start_redis();
  for (size_t i = 0; i < NODES; i++) nodes[i] = start_node();
  until(is_up(nodes[0]) && is_up(nodes[1]));
  return status;
}

static int end(void **state) {
  for (size_t i = 0; i < NODES; i++) {
    if (nodes[i]) mw_server_free(nodes[i]);
    nodes[i] = NULL;
  }
  real_redis_end(&real);
  mw_log_to(MW_LOG_INFO, NULL, NULL);
  return support_teardown(state);
}

/* ---- Peers ----------------------------------------------------------------------------------- */

static bool has(struct memory_peer *peer, const char *text) {
  struct bytes in = memory_peer_fetch(peer);
  size_t len = strlen(text);
  for (size_t i = 0; i + len <= in.len; i++) {
    if (memcmp(in.ptr + i, text, len) == 0) return true;
  }
  return false;
}

static void ask(struct memory_peer *peer, struct mw_server *server, const char *request) {
  memory_peer_open(peer, server);
  memory_peer_send_text(peer, request);
}

static void open_socket(struct memory_peer *peer, struct mw_server *server) {
  memory_peer_open(peer, server);
  memory_peer_upgrade(peer, NULL);
}

static void say(struct memory_peer *peer, const char *text) { memory_peer_frame(peer, WS_OPCODE_TEXT, bytes_string(text)); }

/* Publishes by POST, and waits for the answer. */
static void publish(struct mw_server *server, const char *object) {
  char request[1024];
  struct memory_peer peer;
  snprintf(request, sizeof request,
           "POST /publish HTTP/1.1\r\nHost: a\r\n" KEY "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
           strlen(object), object);
  ask(&peer, server, request);
  until(has(&peer, "\"id\":\"") || has(&peer, "error"));
  assert_true(has(&peer, "200 OK"));
  memory_peer_close(&peer);
}

/* Copies the newest id that the peer has received. */
static void take_id(struct memory_peer *peer, char id[MW_ID_MAX]) {
  struct bytes in = memory_peer_fetch(peer);
  id[0] = '\0';
  for (size_t i = 0; i + 4 + ID_LEN <= in.len; i++) {
    if (memcmp(in.ptr + i, "id: ", 4) == 0) snprintf(id, MW_ID_MAX, "%.*s", (int)ID_LEN, in.ptr + i + 4);
  }
  assert_int_equal(strlen(id), ID_LEN);
}

/* ---- Tests ----------------------------------------------------------------------------------- */

static void all_nodes_are_one(void **state) {
  (void)state;
  struct memory_peer stream, socket, back;
  char id[MW_ID_MAX], request[256];
  ask(&stream, nodes[0], "GET /sse?channel=room:1 HTTP/1.1\r\nHost: a\r\n\r\n");
  open_socket(&socket, nodes[1]);
  say(&socket, "{\"subscribe\":\"room:1\",\"ref\":1}");
  until(has(&stream, "id: ") && has(&socket, "\"ref\":1,\"ok\""));
  publish(nodes[1], "{\"channel\":\"room:1\",\"data\":\"first\"}");
  until(has(&stream, "first") && has(&socket, "first"));
  /* a relayed event: acknowledged to its sender, and received by the others */
  say(&socket, "{\"send\":\"room:1\",\"event\":\"kept\",\"data\":\"second\",\"ref\":2}");
  until(has(&socket, "\"ref\":2,\"ok\":{\"id\":\"") && has(&stream, "second"));
  say(&socket, "{\"send\":\"room:1\",\"event\":\"fleeting\",\"data\":\"third\",\"ref\":3}");
  until(has(&socket, "\"ref\":3,\"ok\"") && has(&stream, "third"));
  take_id(&stream, id);
  memory_peer_close(&stream);
  publish(nodes[0], "{\"channel\":\"room:1\",\"data\":\"fourth\"}");
  /* it resumes at the other node */
  snprintf(request, sizeof request, "GET /sse?channel=room:1&since=%s HTTP/1.1\r\nHost: a\r\n\r\n", id);
  ask(&back, nodes[1], request);
  until(has(&back, "fourth"));
  assert_false(has(&back, "gap") || has(&back, "second"));
  memory_peer_close(&back);
  memory_peer_close(&socket);
}

/* Nodes die and Redis restarts while a client waits; nothing is lost, and no gap is told. */
static void redis_restarts_with_all_that_it_had(void **state) {
  (void)state;
  struct memory_peer stream;
  char object[64], text[32];
  ask(&stream, nodes[0], "GET /sse?channel=room:1 HTTP/1.1\r\nHost: a\r\n\r\n");
  until(has(&stream, "id: "));
  for (int i = 0; i < 4; i++) {
    snprintf(object, sizeof object, "{\"channel\":\"room:1\",\"data\":\"m%d\"}", i);
    if (i == 1) real_redis_run(&real, "redis-cli -s s CLIENT KILL TYPE pubsub");
    if (i == 2) real_redis_kill(&real, 0);
    if (i == 2) start_redis();
    if (i == 3) real_redis_run(&real, "redis-cli -s s CLIENT KILL TYPE normal");
    publish(nodes[1], object);
    snprintf(text, sizeof text, "\"m%d\"", i);
    until(has(&stream, text));
  }
  assert_false(has(&stream, "gap"));
  memory_peer_close(&stream);
}

/* Every client is told, and goes on. */
static void redis_has_forgotten(void **state) {
  (void)state;
  struct memory_peer stream, back;
  char id[MW_ID_MAX], request[256];
  ask(&stream, nodes[0], "GET /sse?channel=room:1 HTTP/1.1\r\nHost: a\r\n\r\n");
  until(has(&stream, "id: "));
  publish(nodes[1], "{\"channel\":\"room:1\",\"data\":\"first\"}");
  until(has(&stream, "first"));
  take_id(&stream, id);
  real_redis_run(&real, "redis-cli -s s FLUSHALL");
  until(memory_peer_ended(&stream));
  memory_peer_close(&stream);
  snprintf(request, sizeof request, "GET /sse?channel=room:1&since=%s HTTP/1.1\r\nHost: a\r\n\r\n", id);
  ask(&back, nodes[1], request);
  until(has(&back, "moonwire:gap"));
  publish(nodes[0], "{\"channel\":\"room:1\",\"data\":\"second\"}");
  until(has(&back, "second"));
  memory_peer_close(&back);
}

/* A cursor of a node that is ahead, or of an epoch that this node does not know yet, is not foreign. */
static void a_new_node_knows_old_cursors(void **state) {
  (void)state;
  struct memory_peer stream, back;
  char id[MW_ID_MAX], request[256];
  ask(&stream, nodes[0], "GET /sse?channel=room:1 HTTP/1.1\r\nHost: a\r\n\r\n");
  until(has(&stream, "id: "));
  publish(nodes[0], "{\"channel\":\"room:1\",\"data\":\"first\"}");
  until(has(&stream, "first"));
  take_id(&stream, id);
  mw_server_free(nodes[1]);
  nodes[1] = start_node();
  snprintf(request, sizeof request, "GET /sse?channel=room:1&since=%s HTTP/1.1\r\nHost: a\r\n\r\n", id);
  ask(&back, nodes[1], request); /* before it is connected */
  until(has(&back, "id: "));
  publish(nodes[0], "{\"channel\":\"room:1\",\"data\":\"second\"}");
  until(has(&back, "second"));
  assert_false(has(&back, "gap"));
  assert_false(has(&back, "first"));
  memory_peer_close(&back);
  memory_peer_close(&stream);
}

/* Everything that waits ends. */
static void servers_end_while_calls_wait(void **state) {
  (void)state;
  static const char body[] = "{\"channel\":\"room:1\"}";
  for (int way = 0; way < 2; way++) {
    struct memory_peer socket, join, back;
    char request[256];
    open_socket(&socket, nodes[0]);
    say(&socket, "{\"subscribe\":\"room:1\",\"ref\":1}");
    until(has(&socket, "\"ref\":1,\"ok\""));
    real_redis_kill(&real, 0);
    until(!is_up(nodes[0]));
    say(&socket, "{\"send\":\"room:1\",\"event\":\"kept\",\"data\":1,\"ref\":2}");
    ask(&join, nodes[0], "GET /sse?channel=room:2 HTTP/1.1\r\nHost: a\r\n\r\n");
    snprintf(request, sizeof request, "POST /publish HTTP/1.1\r\nHost: a\r\n" KEY "Content-Length: %zu\r\n\r\n%s",
             sizeof body - 1, body);
    ask(&back, nodes[0], request);
    if (way == 0) {
      mw_server_stop(nodes[0], NULL, NULL);
      mw_server_advance(nodes[0], 3600 * 1000);
      until(has(&back, "503"));
    }
    mw_server_free(nodes[0]);
    nodes[0] = NULL;
    memory_peer_close(&socket);
    memory_peer_close(&join);
    memory_peer_close(&back);
    start_redis();
    nodes[0] = start_node();
    until(is_up(nodes[0]));
  }
}

static void on_stopped(void *context) { *(bool *)context = true; }

/* The others need not wait until it counts as dead. Without an answer, it ends nonetheless. */
static void a_node_that_stops_says_so(void **state) {
  (void)state;
  bool has_stopped = false;
  mw_server_stop(nodes[1], on_stopped, &has_stopped);
  until(has_stopped);
  real_redis_run(&real, "test $(redis-cli -s s ZCARD '{mw}:nodes') = 1");
  real_redis_run(&real, "redis-cli -s s CLIENT PAUSE 600000");
  has_stopped = false;
  mw_server_stop(nodes[0], on_stopped, &has_stopped);
  until(has_stopped);
}

static size_t published;

static void on_published(void *context, int status, const char *id) {
  (void)context, (void)id;
  assert_int_equal(status, 0);
  published++;
}

/* Numbers, from 1 on. */
static void publish_many(struct mw_server *server, unsigned count) {
  for (unsigned n = 1; n <= count; n++) {
    char data[16], id[MW_ID_MAX];
    int len = snprintf(data, sizeof data, "%u", n);
    struct mw_publish parts = {.channel = {"room:1", 6}, .event = {"e", 1}, .data = {data, (size_t)len}, .on_done = on_published};
    assert_int_equal(mw_publish(server, &parts, id, NULL), MW_PENDING);
  }
  until(published == count);
}

/* What this node keeps beyond `max` bytes is evicted. */
static void evict(struct mw_server *server, uint64_t max) {
  struct store_bounds bounds = server_bounds(server);
  bounds.history = max;
  store_set_bounds(&server->store, &bounds);
  store_bound(&server->store);
  bounds.history = UINT64_MAX;
  store_set_bounds(&server->store, &bounds);
}

/* More than a page, which the other node does not have, or does not have any more. */
static void older_messages_are_fetched(void **state) {
  (void)state;
  struct memory_peer first, peer;
  char id[MW_ID_MAX], request[256];
  ask(&first, nodes[0], "GET /sse?channel=room:1 HTTP/1.1\r\nHost: a\r\n\r\n");
  until(has(&first, "id: "));
  take_id(&first, id);
  publish_many(nodes[0], 600);
  snprintf(request, sizeof request, "{\"subscribe\":\"room:1\",\"since\":\"%s\",\"ref\":1}", id);
  for (int way = 0; way < 3; way++) {
    struct mw_server *node = nodes[way == 0];
    if (way == 1) evict(node, 0);
    if (way == 2) evict(node, 10000);
    open_socket(&peer, node);
    say(&peer, request);
    until(has(&peer, "\"data\":600}"));
    assert_true(has(&peer, "\"recovered\":true") && has(&peer, "\"data\":1}") && has(&peer, "\"data\":300}"));
    assert_false(has(&peer, "gap"));
    memory_peer_close(&peer);
  }
  /* The same for pages of the history, and for a poll. */
  open_socket(&peer, nodes[0]);
  say(&peer, "{\"subscribe\":\"room:1\",\"ref\":1}");
  until(has(&peer, "\"ref\":1,\"ok\""));
  evict(nodes[0], 0);
  say(&peer, "{\"history\":\"room:1\",\"limit\":2,\"ref\":2}");
  until(has(&peer, "\"ref\":2,\"ok\""));
  assert_true(has(&peer, "\"data\":599}") && has(&peer, "\"data\":600}],\"more\":true"));
  evict(nodes[0], 0);
  snprintf(request, sizeof request, "{\"history\":\"room:1\",\"limit\":2,\"since\":\"%s\",\"ref\":3}", id);
  say(&peer, request);
  until(has(&peer, "\"ref\":3,\"ok\""));
  assert_true(has(&peer, "\"data\":1}") && has(&peer, "\"data\":2}],\"more\":true"));
  memory_peer_close(&peer);
  evict(nodes[0], 0);
  snprintf(request, sizeof request, "GET /poll?channel=room:1&since=%s HTTP/1.1\r\nHost: a\r\n\r\n", id);
  ask(&peer, nodes[0], request);
  until(has(&peer, "\"data\":600}"));
  assert_true(has(&peer, "\"data\":1}"));
  assert_true(has(&peer, "\"recovered\":true,\"gaps\":[]"));
  memory_peer_close(&peer);
  memory_peer_close(&first);
}

static int begin_with_much(void **state) {
  history_size = 1000;
  published = 0;
  int status = begin(state);
  history_size = 10;
  return status;
}

#define NODE_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
  const struct CMUnitTest tests[] = {NODE_TEST(all_nodes_are_one),
                                     NODE_TEST(redis_restarts_with_all_that_it_had),
                                     NODE_TEST(redis_has_forgotten),
                                     NODE_TEST(a_new_node_knows_old_cursors),
                                     NODE_TEST(servers_end_while_calls_wait),
                                     NODE_TEST(a_node_that_stops_says_so),
                                     cmocka_unit_test_setup_teardown(older_messages_are_fetched, begin_with_much, end)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
