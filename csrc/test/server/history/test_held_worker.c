/* One of three workers does not take its mail for a while: what that means for the others, and what
 * its own clients receive afterwards. The thread of the test is the script's. */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "server/server.h"
#include "server/worker_thread.h"
#include "test/support.h"
#include "test/support/host.h"

enum { WORKERS = 3, HELD_WORKER = 1, QUEUE = 20000 };

static struct host host;
static struct peer readers[WORKERS], publisher;

/* ---- The log --------------------------------------------------------------------------------- */

/* Several threads write lines. */
static atomic_uint named;

static void take_line(void *context, enum mw_log_level level, const char *text, size_t text_len) {
  (void)context;
  (void)level;
  (void)text_len;
  if (strcmp(text, "refused a publish: limits.queue reached (worker=1)") == 0) named++;
}

/* ---- A worker that does nothing until it is released ------------------------------------------ */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
enum { IDLE, HELD, RELEASED };
static int gate;

static void set_gate(int state) {
  pthread_mutex_lock(&mutex);
  gate = state;
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&mutex);
}

static void await_gate(int state) {
  pthread_mutex_lock(&mutex);
  while (gate != state) pthread_cond_wait(&changed, &mutex);
  pthread_mutex_unlock(&mutex);
}

static void wait_here(struct worker *worker, void *context) {
  (void)worker;
  (void)context;
  set_gate(HELD);
  await_gate(RELEASED);
}

/* The same, before the worker looks at its connections again: it reads what they have sent before it
 * takes the mail that was posted. */
static uv_prepare_t reading;

static void wait_before_reading(uv_prepare_t *prepare) {
  uv_prepare_stop(prepare);
  uv_close((uv_handle_t *)prepare, NULL);
  wait_here(NULL, NULL);
}

static void begin_waiting(struct worker *worker, void *context) {
  uv_prepare_t *turns = &worker->own.prepare;
  uv_prepare_cb on_prepare = turns->prepare_cb;
  (void)context;
  uv_prepare_init(worker->own.uv, &reading);
  /* The last one that is started is called first: that must be the worker's own. */
  uv_prepare_stop(turns);
  uv_prepare_start(&reading, wait_before_reading);
  uv_prepare_start(turns, on_prepare);
}

static void *hold(void *context) {
  (void)context;
  worker_call(&host.server->workers[HELD_WORKER], wait_here, NULL);
  return NULL;
}

/* ---- The test -------------------------------------------------------------------------------- */

static void set_options(struct mw_config_options *options) {
  options->limits.queue = QUEUE;
  options->publish_key = "key";
}

static int define(struct mw_config *config) {
  int status = mw_config_channel(config, "short", &(struct mw_channel_options){.history_size = 5}, NULL);
  if (status < 0) return status;
  return mw_config_channel(config, "room", &(struct mw_channel_options){.history_size = 100000}, NULL);
}

static int begin(void **state) {
  int status = support_setup(state);
  gate = IDLE;
  named = 0;
  publisher.fd = -1;
  for (size_t i = 0; i < WORKERS; i++) readers[i].fd = -1;
  mw_log_to(MW_LOG_WARNING, take_line, NULL);
  assert_int_equal(host_begin(&host, &(struct host_options){.set = set_options, .define = define, .workers = WORKERS}), 0);
  return status;
}

static int end(void **state) {
  set_gate(RELEASED); /* if the test has failed while a worker waits */
  peer_close(&publisher);
  for (size_t i = 0; i < WORKERS; i++) peer_close(&readers[i]);
  host_end(&host);
  mw_log_to(MW_LOG_ERROR, NULL, NULL);
  return support_teardown(state);
}

/* Posts a message over HTTP, and returns when `answer` has come. */
static void post(const char *answer) {
  static const char request[] = "POST /publish HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer key\r\nContent-Length: 32\r\n\r\n"
                                "{\"channel\":\"room\",\"data\":\"post\"}";
  peer_connect(&publisher, &host);
  peer_send(&publisher, request);
  host_until(&host, peer_has(&publisher, "\r\n\r\n"));
  assert_true(peer_has(&publisher, answer));
  peer_close(&publisher);
}

static size_t count_messages(struct peer *peer) {
  peer_read(peer, SIZE_MAX);
  return peer_count(peer, "\ndata: \"some text");
}

static pthread_t holder;

static void hold_worker(void) {
  assert_int_equal(pthread_create(&holder, NULL, hold, NULL), 0);
  await_gate(HELD);
}

static void release_worker(void) {
  set_gate(RELEASED);
  pthread_join(holder, NULL);
}

/* Publishes until that worker's queue is full: the others have received everything. Returns how
 * many. */
static size_t fill(void) {
  size_t accepted = 0;
  for (bool is_full = false; !is_full;) {
    while (host_publish(&host, "room", "\"some text\"") == 0) {
      accepted++;
      assert_true(accepted < QUEUE);
    }
    host_until(&host, count_messages(&readers[0]) == accepted && count_messages(&readers[2]) == accepted);
    mw_log_to(MW_LOG_WARNING, take_line, NULL); /* whose places have not written a line yet */
    is_full = host_publish(&host, "room", "\"some text\"") == MW_EUNAVAILABLE;
    if (!is_full) accepted++;
  }
  return accepted;
}

/* Publishes are refused for all, the log names the worker, and nothing that was accepted is lost. */
static void one_over_its_queue_refuses_publishes_for_all(void **state) {
  (void)state;
  /* A worker has one each: the first takes the publisher, too. */
  for (size_t i = 0; i < WORKERS; i++) {
    peer_connect(&readers[i], &host);
    peer_get(&readers[i], "/sse?channel=room", "");
    host_until(&host, peer_has(&readers[i], "\n\n"));
  }
  hold_worker();
  size_t accepted = fill();
  assert_true(accepted > 10);
  assert_true(named >= 1); /* or once more, if that worker was full before the others */
  post("HTTP/1.1 503 ");
  assert_int_equal(count_messages(&readers[HELD_WORKER]), 0);

  release_worker();
  host_until(&host, count_messages(&readers[HELD_WORKER]) == accepted);
  post("HTTP/1.1 200 ");
  assert_int_equal(host_publish(&host, "room", "\"some text\""), 0);
  for (size_t i = 0; i < WORKERS; i++) {
    host_until(&host, count_messages(&readers[i]) == accepted + 1);
    assert_int_equal(peer_count(&readers[i], "\ndata: \"post\""), 1);
  }
  struct mw_stats stats;
  mw_server_stats(host.server, &stats);
  assert_true(stats.limits[MW_LIMIT_QUEUE] >= 3);
  assert_int_equal(stats.published, accepted + 2);
}

/* A client returns to the held worker with the id of message 1, after which 2 to 11 are published.
 * The history has 5 of them. Returns what it receives. */
static const char *events_of_returning(bool is_older) {
  char target[100], number[16];
  struct peer *first = &readers[0], *returning = &readers[HELD_WORKER];
  peer_connect(first, &host);
  peer_get(first, "/sse?channel=short", "");
  host_until(&host, peer_has(first, "\n\n"));
  peer_connect(returning, &host);
  peer_get(returning, "/health", "");
  host_until(&host, peer_has(returning, "\"ok\""));
  peer_read(returning, SIZE_MAX);
  returning->len = 0;
  assert_int_equal(host_publish(&host, "short", "1"), 0);
  host_until(&host, strstr(peer_events(first), "1 "));
  snprintf(target, sizeof target, "/sse?channel=short&since=%s", peer_last_id(first));
  /* A message of another channel, which the worker has received, is later than that id. */
  if (is_older) assert_int_equal(host_publish(&host, "room", "1"), 0);
  worker_call(&host.server->workers[HELD_WORKER], begin_waiting, NULL);
  await_gate(HELD);
  peer_get(returning, target, "");
  for (unsigned n = 2; n <= 11; n++) {
    snprintf(number, sizeof number, "%u", n);
    assert_int_equal(host_publish(&host, "short", number), 0);
  }
  set_gate(RELEASED);
  host_until(&host, peer_stream(returning) && strstr(peer_events(returning), "11 "));
  return peer_events(returning);
}

/* It has received everything that its worker had: the others reach it as they were published. */
static void what_is_evicted_before_it_arrives_is_no_gap(void **state) {
  (void)state;
  assert_string_equal(events_of_returning(false), "2 3 4 5 6 7 8 9 10 11 ");
}

/* Whether something is missing up to the message of the other channel, its worker cannot know before
 * it has received what was published: then something is. */
static void a_gap_is_told_when_it_is_known(void **state) {
  (void)state;
  assert_string_equal(events_of_returning(true), "gap(short) 7 8 9 10 11 ");
}

#define HELD_TEST(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void) {
  const struct CMUnitTest tests[] = {HELD_TEST(one_over_its_queue_refuses_publishes_for_all),
                                     HELD_TEST(what_is_evicted_before_it_arrives_is_no_gap),
                                     HELD_TEST(a_gap_is_told_when_it_is_known)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
