/* Workers with threads, seen from sockets. The thread of the test is the script's. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "server/server.h"
#include "test/support.h"
#include "test/support/host.h"

enum {
  WORKERS = 4,
  PEERS = 12,
  EACH = 600,
  SWAPS = 60,
  HOOKS = MW_HOOK_AUTHORIZE | MW_HOOK_OPEN | MW_HOOK_JOIN | MW_HOOK_LEAVE | MW_HOOK_CLOSE
};

static struct host host;
static struct peer peers[PEERS];

static int define(struct mw_config *config) {
  static const struct mw_event_rule events[] = {{.event = "say"}, {.event = "typing", .relay = true}};
  int status = mw_config_channel(config, "plain", &(struct mw_channel_options){.history_size = 100000}, NULL);
  if (status >= 0)
    status = mw_config_channel(config, "room",
                               &(struct mw_channel_options){.history_size = 100,
                                                            .hooks = HOOKS,
                                                            .events = events,
                                                            .event_count = 2,
                                                            .presence = MW_PRESENCE_FULL,
                                                            .presence_interval_ms = 20},
                               NULL);
  return status;
}

static int begin_unix(bool is_unix) {
  return host_begin(&host, &(struct host_options){.define = define, .workers = WORKERS, .is_unix = is_unix});
}

static int begin(void **state) {
  int status = support_setup(state);
  for (size_t i = 0; i < PEERS; i++) peers[i].fd = -1;
  assert_int_equal(begin_unix(false), 0);
  return status;
}

static int end(void **state) {
  for (size_t i = 0; i < PEERS; i++) peer_close(&peers[i]);
  host_end(&host);
  return support_teardown(state);
}

static void connect_all(const char *target) {
  for (size_t i = 0; i < PEERS; i++) {
    peer_connect(&peers[i], &host);
    peer_get(&peers[i], target, "");
    host_until(&host, peer_has(&peers[i], "\n\n"));
  }
}

/* ---- Messages -------------------------------------------------------------------------------- */

static void *publish(void *context) {
  unsigned first = *(unsigned *)context * 1000;
  char number[16];
  for (unsigned n = 0; n < EACH; n++) {
    struct mw_publish message = {.channel = {"plain", 5}, .data = {number, (size_t)sprintf(number, "%u", first + n)}};
    assert_int_equal(mw_publish(host.server, &message, NULL, NULL), 0);
  }
  return NULL;
}

/* The events of a stream so far: each thread's numbers in order, ids that only rise. */
static size_t check(struct peer *peer) {
  unsigned next[2] = {0};
  size_t count = 0;
  uint64_t last = 0;
  for (const char *at = peer_stream(peer), *stop; at && (stop = strstr(at, "\n\n")); at = stop + 2) {
    const char *id = strstr(at, "id: "), *number = strstr(at, "data: ");
    if (!id || id > stop || !number || number > stop) continue;
    uint64_t position = strtoull(strchr(id, '-') + 1, NULL, 10);
    unsigned value = (unsigned)strtoul(number + 6, NULL, 10);
    assert_true(position > last);
    assert_int_equal(value % 1000, next[value / 1000]++);
    last = position;
    count++;
  }
  return count;
}

/* The streams are on all workers: each receives everything in the same order. */
static void all_receive_all(void **state) {
  (void)state;
  pthread_t other;
  unsigned numbers[] = {0, 1};
  struct mw_stats stats;
  connect_all("/sse?channel=plain");
  assert_int_equal(pthread_create(&other, NULL, publish, &numbers[1]), 0);
  publish(&numbers[0]);
  pthread_join(other, NULL);
  for (size_t i = 0; i < PEERS; i++) host_until(&host, check(&peers[i]) == (size_t)2 * EACH);
  mw_server_stats(host.server, &stats);
  assert_int_equal(stats.connections, PEERS);
  assert_int_equal(stats.subscriptions, PEERS);
  assert_int_equal(stats.published, 2 * EACH);
  assert_int_equal(stats.delivered, PEERS * 2 * EACH);
  assert_int_equal(mw_channel_count(host.server, "plain", 5, NULL), PEERS);
}

/* Each comes back again and again, most likely to another worker, while messages are published. */
static void one_that_moves_misses_nothing(void **state) {
  (void)state;
  pthread_t other;
  unsigned number = 1, next = 1000;
  char target[100] = "/sse?channel=plain&since=0";
  assert_int_equal(pthread_create(&other, NULL, publish, &number), 0);
  while (next < 1000 + EACH) {
    struct peer *peer = &peers[0];
    peer_connect(peer, &host);
    peer_get(peer, target, "");
    host_until(&host, peer_stream(peer) && strstr(peer_stream(peer), "data: "));
    for (const char *at = peer_stream(peer), *stop; at && (stop = strstr(at, "\n\n")); at = stop + 2) {
      const char *data = strstr(at, "data: "), *id = strstr(at, "id: ");
      if (data && data < stop) assert_int_equal(strtoul(data + 6, NULL, 10), next++);
      if (id && id < stop) snprintf(target, sizeof target, "/sse?channel=plain&since=%.25s", id + 4);
    }
    peer_close(peer);
  }
  pthread_join(other, NULL);
}

/* ---- Hooks, presence, and clients of other workers ------------------------------------------- */

static void hooks_agree(void **state) {
  (void)state;
  for (unsigned round = 0; round < 3; round++) {
    connect_all("/sse?channel=room&envelope=1");
    assert_int_equal(host.joined, PEERS);
    assert_int_equal(host.opened, 1);
    size_t members = 0;
    host_until(&host, (members = mw_channel_presence(host.server, "room", 4, NULL, NULL, NULL, NULL)) > 0);
    assert_int_equal(members, PEERS);
    for (size_t i = 0; i < PEERS; i++) peer_close(&peers[i]);
    host_until(&host, host.joined == 0 && host.opened == 0);
  }
}

/* The script gives a question up a moment before the worker does. The client is refused for now,
 * whatever the app still answers: an EventSource does not come back after a 403. */
static void a_late_answer_is_none(void **state) {
  (void)state;
  static const struct {
    enum mw_request_type type;
    bool refuses;
  } cases[] = {{MW_REQUEST_AUTHORIZE, true}, {MW_REQUEST_AUTHORIZE, false}, {MW_REQUEST_JOIN, true}, {MW_REQUEST_JOIN, false}};
  struct script *script = &host.server->script;
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    host.keep = 1u << cases[i].type;
    peer_connect(&peers[0], &host);
    peer_get(&peers[0], "/sse?channel=room", "");
    host_until(&host, host.kept_count == 1);
    clock_advance(&script->loop->clock, 60000);
    script_second(script);
    host.keep = 0;
    cases[i].refuses ? host_refuse(&host) : host_answer(&host);
    host_until(&host, peer_ended(&peers[0]));
    assert_memory_equal(peers[0].in, "HTTP/1.1 200 OK\r\n", 17);
    assert_non_null(strstr(peers[0].in, "retry: "));
    assert_null(strstr(peers[0].in, "id: "));
    host_until(&host, host.joined == 0 && host.opened == 0);
    peer_close(&peers[0]);
  }
}

static void read_client(struct peer *peer, char *client, size_t size) {
  host_until(&host, peer_has(peer, "\"client\":\""));
  const char *at = strstr(peer->in, "\"client\":\"") + strlen("\"client\":\"");
  snprintf(client, size, "%.*s", (int)strcspn(at, "\""), at);
}

/* POST /send on behalf of a stream, over connections to all workers: `say` goes to a handler, and
 * `typing` is relayed to the others. */
static void others_may_send_for_it(void **state) {
  (void)state;
  char client[64], text[400];
  connect_all("/sse?channel=room&envelope=1");
  read_client(&peers[0], client, sizeof client);
  for (unsigned n = 0; n < 2 * WORKERS; n++) {
    static const char body[] = "{\"send\":\"room\",\"event\":\"typing\",\"data\":1,\"ref\":1}";
    struct peer sender;
    peer_connect(&sender, &host);
    snprintf(text, sizeof text, "POST /send HTTP/1.1\r\nHost: test\r\nX-Moonwire-Client: %s\r\nContent-Length: %zu\r\n\r\n%s",
             client, strlen(body), body);
    peer_send(&sender, text);
    host_until(&host, peer_has(&sender, "\"ok\""));
    peer_close(&sender);
  }
  host_until(&host, (peer_read(&peers[1], SIZE_MAX), peer_count(&peers[1], "\"typing\"") == 2 * WORKERS));
  peer_read(&peers[0], SIZE_MAX);
  assert_int_equal(peer_count(&peers[0], "\"typing\""), 0);
}

/* A client that polls over a connection of its own each time, with what is sent to it alone. */
static void polls_find_their_client(void **state) {
  (void)state;
  char client[64] = "", id[64] = "0", target[200];
  unsigned next = 0;
  for (unsigned n = 0; n < 3 * WORKERS; n++) {
    struct peer poller;
    char number[16];
    peer_connect(&poller, &host);
    snprintf(target, sizeof target, "/poll?channel=room&client=%s&since=%s", client, id);
    peer_get(&poller, target, "");
    snprintf(number, sizeof number, "%u", n);
    if (n > 0) assert_int_equal(host_publish(&host, "room", number), 0);
    host_until(&host, peer_has(&poller, "]}\n"));
    assert_true(peer_has(&poller, "HTTP/1.1 200 OK"));
    if (n == 0) read_client(&poller, client, sizeof client);
    for (const char *at = poller.in; (at = strstr(at, "\"event\":\"message\"")); at++) {
      const char *data = strstr(at, "\"data\":");
      assert_non_null(data);
      assert_int_equal(strtoul(data + 7, NULL, 10), ++next);
    }
    assert_true(peer_has(&poller, client));
    snprintf(id, sizeof id, "%.25s", strstr(poller.in, "{\"id\":\"") + 7);
    peer_close(&poller);
  }
  assert_int_equal(host.joined, 1);
  struct mw_client *found = mw_client_find(host.server, client, strlen(client));
  assert_non_null(found);
  assert_int_equal(mw_client_close(host.server, found, 4000, "away"), 0);
  mw_client_unref(found);
  host_until(&host, host.joined == 0);
}

/* ---- Configurations -------------------------------------------------------------------------- */

/* Patterns have other numbers than in the configuration before. */
static int define_others(struct mw_config *config) {
  int status = mw_config_channel(config, "other:{x}", &(struct mw_channel_options){.history_size = 1}, NULL);
  return status >= 0 ? define(config) : status;
}

static atomic_uint allowed; /* messages that may be published so far */

static void *publish_as_allowed(void *context) {
  char number[16];
  (void)context;
  for (unsigned n = 0; n < EACH; n++) {
    struct mw_publish message = {.channel = {"plain", 5}, .data = {number, (size_t)sprintf(number, "%u", n)}};
    while (n >= atomic_load(&allowed)) sched_yield();
    assert_int_equal(mw_publish(host.server, &message, NULL, NULL), 0);
  }
  return NULL;
}

/* The configuration is replaced repeatedly while a thread publishes, and while clients join and
 * leave. No message is lost for it, and no hook. */
static void configurations_are_replaced(void **state) {
  (void)state;
  pthread_t other;
  atomic_store(&allowed, 0);
  connect_all("/sse?channel=plain");
  assert_int_equal(pthread_create(&other, NULL, publish_as_allowed, NULL), 0);
  for (unsigned n = 0; n < SWAPS; n++) {
    struct host_options options = {.define = n % 2 ? define : define_others};
    struct peer visitors[2];
    atomic_fetch_add(&allowed, EACH / SWAPS);
    for (size_t i = 0; i < COUNT_OF(visitors); i++) {
      peer_connect(&visitors[i], &host);
      peer_get(&visitors[i], "/sse?channel=room&channel=plain", "");
      assert_int_equal(host_set_config(&host, &options), 0);
    }
    for (size_t i = 0; i < COUNT_OF(visitors); i++) {
      host_until(&host, peer_has(&visitors[i], "\n\n"));
      peer_close(&visitors[i]);
    }
  }
  pthread_join(other, NULL);
  for (size_t i = 0; i < PEERS; i++) host_until(&host, check(&peers[i]) == EACH);
  host_until(&host, host.joined == 0 && host.opened == 0);
}

/* ---- Unix sockets, and the end --------------------------------------------------------------- */

static void unix_sockets_are_shared(void **state) {
  (void)state;
  host_end(&host);
  assert_int_equal(begin_unix(true), 0);
  all_receive_all(NULL);
}

static void *publish_until_stopped(void *context) {
  (void)context;
  struct mw_publish message = {.channel = {"room", 4}};
  struct mw_error error = {""};
  while (mw_publish(host.server, &message, NULL, &error) == 0 || !strstr(error.text, "has stopped")) continue;
  return NULL;
}

static void it_stops_under_load(void **state) {
  (void)state;
  pthread_t other;
  connect_all("/sse?channel=room&envelope=1");
  assert_int_equal(pthread_create(&other, NULL, publish_until_stopped, NULL), 0);
  host_until(&host, peer_has(&peers[0], "null"));
  host_stop(&host);
  host_until(&host, host.stops);
  pthread_join(other, NULL);
  assert_int_equal(host.joined, 0);
  assert_int_equal(host.opened, 0);
  for (size_t i = 0; i < PEERS; i++) host_until(&host, peer_ended(&peers[i]));
}

/* Freed without a stop, in the middle of everything. */
static void it_may_be_freed(void **state) {
  (void)state;
  connect_all("/sse?channel=plain");
  unsigned number = 0;
  publish(&number);
  mw_server_free(host.server);
  host.server = NULL;
}

#define THREADS_TEST(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void) {
  mw_log_to(MW_LOG_ERROR, NULL, NULL);
  const struct CMUnitTest tests[] = {THREADS_TEST(all_receive_all),
                                     THREADS_TEST(one_that_moves_misses_nothing),
                                     THREADS_TEST(hooks_agree),
                                     THREADS_TEST(a_late_answer_is_none),
                                     THREADS_TEST(others_may_send_for_it),
                                     THREADS_TEST(polls_find_their_client),
                                     THREADS_TEST(configurations_are_replaced),
                                     THREADS_TEST(unix_sockets_are_shared),
                                     THREADS_TEST(it_stops_under_load),
                                     THREADS_TEST(it_may_be_freed)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
