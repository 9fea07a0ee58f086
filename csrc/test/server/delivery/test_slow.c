#include <stdlib.h>

#include "base/memory.h"
#include "http/http1/http1.h"
#include "server/server.h"
#include "test/support.h"
#include "test/support/host.h"

enum { BIG = 60000 };

static struct host host;
static struct peer slow, quick;
static size_t outbox_limit;
/* JSON of BIG bytes whose first digits are a number. */
static char data[BIG + 1];

static int define(struct mw_config *config) {
  int status = mw_config_channel(config, "none:{x}", &(struct mw_channel_options){.history_size = 0}, NULL);
  return status < 0 ? status : mw_config_channel(config, "keep:{x}", &(struct mw_channel_options){.history_size = 1000}, NULL);
}

static void set(struct mw_config_options *options) { options->limits.outbox = outbox_limit; }

static int begin_with(void **state, size_t limit, const struct host_options *options) {
  int status = support_setup(state);
  outbox_limit = limit;
  assert_int_equal(host_begin(&host, options), 0);
  host_pass(&host, 1);
  return status;
}

static int begin(void **state) { return begin_with(state, 500000, &(struct host_options){.define = define, .set = set}); }
/* See `fill`, which looks into the first worker. */
static int begin_one(void **state) {
  return begin_with(state, 500000, &(struct host_options){.define = define, .set = set, .workers = 1});
}
static int begin_roomy(void **state) {
  return begin_with(state, 100000000, &(struct host_options){.define = define, .set = set, .workers = 1, .is_unix = true});
}

static int end(void **state) {
  peer_close(&slow);
  peer_close(&quick);
  host_end(&host);
  return support_teardown(state);
}

static struct mw_stats stats_now(void) {
  struct mw_stats stats;
  mw_server_stats(host.server, &stats);
  return stats;
}

static void subscribe(struct peer *peer, const char *query) {
  char target[128];
  snprintf(target, sizeof target, "/sse?%s", query);
  uint64_t requests = stats_now().requests;
  peer_connect(peer, &host);
  peer_get(peer, target, "");
  /* Without a look at it: what it never reads it never reads. */
  host_until(&host, stats_now().requests > requests);
  host_settle(&host);
}

static void publish_big(const char *channel, unsigned n) {
  memset(data, '0', BIG);
  data[0] = '"';
  data[BIG - 1] = '"';
  char number[8];
  snprintf(number, sizeof number, "%06u", n);
  memcpy(data + 1, number, 6);
  assert_int_equal(host_publish(&host, channel, data), 0);
}

/* Every message from 0 to `count` has come once and in order. */
static void assert_has_all(struct peer *peer, unsigned count) {
  const char *at = peer_stream(peer);
  for (unsigned n = 0; n < count; n++) {
    char line[24];
    snprintf(line, sizeof line, "data: \"%06u", n);
    const char *found = strstr(at, "data: \"");
    assert_non_null(found);
    assert_memory_equal(found, line, strlen(line));
    at = found + 1;
  }
  assert_null(strstr(at, "data: \""));
}

static void who_never_reads_is_cut_off_and_nobody_else(void **state) {
  (void)state;
  unsigned count = 0;
  subscribe(&slow, "channel=none:a");
  subscribe(&quick, "channel=none:a");
  for (; stats_now().slow_closed == 0; count++) {
    publish_big("none:a", count);
    host_until(&host, peer_count(&quick, "data: ") > count || peer_read(&quick, SIZE_MAX));
    host_settle(&host);
    assert_true(count < 1000);
    /* What waits is shared, and bounded. */
    assert_true(object_live(OBJECT_MESSAGE) < 500000 / BIG + 3);
  }
  host_until(&host, peer_count(&quick, "data: ") == count || peer_read(&quick, SIZE_MAX));
  assert_has_all(&quick, count);
  /* It is told as soon as it reads on: its stream ends as HTTP has it. */
  host_until(&host, peer_ended(&slow));
  assert_false(slow.reset);
  assert_non_null(strstr(slow.in, "\r\n0\r\n\r\n"));
  host_until(&host, stats_now().connections == 1);
  publish_big("none:a", count);
  host_until(&host, peer_count(&quick, "data: ") == count + 1 || peer_read(&quick, SIZE_MAX));
  host_until(&host, object_live(OBJECT_MESSAGE) == 0);
}

/* However it comes to be over the limit: by the shared list of one channel, or by pointers for
 * several. */
static void also_with_several_channels(void **state) {
  (void)state;
  subscribe(&slow, "channel=none:a&channel=none:b");
  for (unsigned n = 0; stats_now().slow_closed == 0; n++) {
    publish_big(n % 2 ? "none:a" : "none:b", n);
    host_settle(&host);
    assert_true(n < 1000);
  }
  host_until(&host, peer_ended(&slow));
}

static void a_replay_is_no_slowness(void **state) {
  (void)state;
  enum { COUNT = 100 };
  for (unsigned n = 0; n < COUNT; n++) publish_big("keep:a", n);
  subscribe(&quick, "channel=keep:a&since=0");
  host_until(&host, peer_count(&quick, "data: ") == COUNT || peer_read(&quick, SIZE_MAX));
  assert_has_all(&quick, COUNT);
  assert_int_equal(stats_now().slow_closed, 0);
}

/* Publishes until the system takes no more for the slow one. */
static unsigned fill(unsigned from) {
  for (;; from++) {
    const struct conn *conn = container_of(host.server->workers[0].http.conns.next, struct conn, link);
    if (http1_exchange(conn)->subscriber.outbox) return from;
    publish_big("none:a", from);
    host_settle(&host);
  }
}

static void a_dead_peer_is_found(void **state) {
  (void)state;
  subscribe(&slow, "channel=none:a");
  fill(0);
  host_pass(&host, 29000);
  assert_int_equal(stats_now().connections, 1);
  host_pass(&host, 2500);
  host_until(&host, stats_now().connections == 0);
  assert_int_equal(stats_now().dead_closed, 1);
  assert_int_equal(stats_now().slow_closed, 0);
}

/* One that reads less than is published is slow, and perhaps once too slow, but not dead. */
static void a_slow_peer_is_not_dead(void **state) {
  (void)state;
  subscribe(&slow, "channel=none:a");
  unsigned count = fill(0);
  for (unsigned n = 0; n < 64; n++) publish_big("none:a", count++);
  host_settle(&host);
  for (unsigned round = 0; round < 20; round++) {
    peer_read(&slow, 400000);
    host_settle(&host);
    for (unsigned n = 0; n < 8; n++) publish_big("none:a", count++);
    host_pass(&host, 16000);
    assert_int_equal(stats_now().dead_closed, 0);
    assert_int_equal(stats_now().connections, 1);
  }
  host_until(&host, peer_count(&slow, "data: ") == count || peer_read(&slow, SIZE_MAX));
  assert_has_all(&slow, count);
}

int main(void) {
  mw_log_to(MW_LOG_ERROR, NULL, NULL);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(who_never_reads_is_cut_off_and_nobody_else, begin, end),
      cmocka_unit_test_setup_teardown(also_with_several_channels, begin, end),
      cmocka_unit_test_setup_teardown(a_replay_is_no_slowness, begin, end),
      cmocka_unit_test_setup_teardown(a_dead_peer_is_found, begin_one, end),
      cmocka_unit_test_setup_teardown(a_slow_peer_is_not_dead, begin_roomy, end),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
