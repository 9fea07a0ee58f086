#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "test/support.h"
#include "test/support/host.h"

enum { THREADS = 3, EACH = 400, SUBSCRIBERS = 4 };

static struct host host;
static struct peer peers[SUBSCRIBERS];

static int define(struct mw_config *config) {
  return mw_config_channel(config, "{x}", &(struct mw_channel_options){.history_size = 100000}, NULL);
}

static void set(struct mw_config_options *options) {
  options->limits.queue = 20000; /* so small that the publishers are stopped again and again */
}

static int begin(void **state) {
  int status = support_setup(state);
  assert_int_equal(host_begin(&host, &(struct host_options){.define = define, .set = set}), 0);
  return status;
}

static int end(void **state) {
  for (size_t i = 0; i < SUBSCRIBERS; i++) peer_close(&peers[i]);
  host_end(&host);
  return support_teardown(state);
}

/* Thread n publishes n * 1000, n * 1000 + 1, … to "a", and something volatile between. */
static void *publish(void *context) {
  unsigned first = *(unsigned *)context * 1000;
  char number[16], id[MW_ID_MAX], last[MW_ID_MAX] = "";
  struct mw_publish message = {.channel = {"a", 1}, .data = {number, 0}};
  for (unsigned n = 0; n < EACH;) {
    message.data.len = (size_t)snprintf(number, sizeof number, "%u", first + n);
    message.is_volatile = false;
    int status = mw_publish(host.server, &message, id, NULL);
    assert_true(status == 0 || status == MW_EUNAVAILABLE);
    if (status < 0) {
      sched_yield();
      continue;
    }
    assert_true(strcmp(last, id) < 0); /* one thread's ids rise */
    snprintf(last, sizeof last, "%s", id);
    message.is_volatile = true;
    message.data = (struct mw_bytes){"-1", 2};
    if (n++ % 4 == 0) mw_publish(host.server, &message, NULL, NULL);
    message.data.ptr = number;
  }
  return NULL;
}

/* All of each thread's numbers, in its order; the ids only rise. Returns how many there are. */
static size_t check(struct peer *peer) {
  unsigned next[THREADS] = {0};
  size_t count = 0;
  uint64_t last = 0;
  for (const char *at = peer_stream(peer), *end; at && (end = strstr(at, "\n\n")); at = end + 2) {
    const char *id = strstr(at, "id: "), *number = strstr(at, "data: ");
    if (!id || id > end || !number || number > end) continue;
    uint64_t position = strtoull(strchr(id, '-') + 1, NULL, 10);
    unsigned value = (unsigned)strtoul(number + 6, NULL, 10), thread = value / 1000;
    assert_true(position > last);
    assert_true(thread < THREADS);
    assert_int_equal(value % 1000, next[thread]++);
    last = position;
    count++;
  }
  return count;
}

static void any_thread_may_publish(void **state) {
  (void)state;
  pthread_t threads[THREADS];
  unsigned numbers[THREADS];
  struct mw_stats stats;
  for (size_t i = 0; i < SUBSCRIBERS - 1; i++) {
    peer_connect(&peers[i], &host);
    peer_get(&peers[i], i % 2 ? "/sse?channel=a&channel=b" : "/sse?channel=a", "");
    host_until(&host, peer_has(&peers[i], "\n\n"));
  }
  for (unsigned i = 0; i < THREADS; i++) {
    numbers[i] = i;
    assert_int_equal(pthread_create(&threads[i], NULL, publish, &numbers[i]), 0);
  }
  host_until(&host, check(&peers[0]) > EACH);
  struct peer *late = &peers[SUBSCRIBERS - 1];
  peer_connect(late, &host); /* in the middle of it: a replay, and on from there */
  peer_get(late, "/sse?channel=a&since=0", "");
  for (size_t i = 0; i < SUBSCRIBERS; i++) host_until(&host, check(&peers[i]) == (size_t)THREADS * EACH);
  for (unsigned i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  mw_server_stats(host.server, &stats);
  assert_true(stats.published >= (uint64_t)THREADS * EACH);
  assert_int_equal(stats.gaps, 0);
}

static void *publish_until_stopped(void *context) {
  (void)context;
  struct mw_publish message = {.channel = {"a", 1}};
  struct mw_error error = {""};
  while (mw_publish(host.server, &message, NULL, &error) == 0 || !strstr(error.text, "has stopped")) sched_yield();
  return NULL;
}

/* Threads that publish to the last see that it has ended. */
static void a_stop_is_seen_by_all(void **state) {
  (void)state;
  pthread_t threads[THREADS];
  for (size_t i = 0; i < SUBSCRIBERS; i++) {
    peer_connect(&peers[i], &host);
    peer_get(&peers[i], "/sse?channel=a", "");
    host_until(&host, peer_has(&peers[i], "\n\n"));
  }
  for (unsigned i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, publish_until_stopped, NULL), 0);
  host_until(&host, peer_has(&peers[0], "data: null"));
  host_stop(&host);
  host_until(&host, host.stops);
  for (unsigned i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  for (size_t i = 0; i < SUBSCRIBERS; i++) host_until(&host, peer_ended(&peers[i]));
}

int main(void) {
  mw_log_to(MW_LOG_ERROR, NULL, NULL);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(any_thread_may_publish, begin, end),
      cmocka_unit_test_setup_teardown(a_stop_is_seen_by_all, begin, end),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
