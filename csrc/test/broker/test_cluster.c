/* Three nodes in one process, over real links to a real Redis, which is disturbed meanwhile: all
 * deliver the same messages in the same order, each once. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>

#include "base/memory.h"
#include "base/status.h"
#include "broker/broker.h"
#include "broker/redis_link.h"
#include "broker/scripts.h"
#include "test/support.h"
#include "test/support/redis/real_redis.h"

enum { PATIENCE_MS = 120000, NODES = 3, MESSAGES_MAX = 8192, CHANNELS = 4 };

struct delivered {
  uint64_t position;
  unsigned channel, number;
};

static struct node {
  struct link *link;
  struct broker *broker;
  struct delivered delivered[MESSAGES_MAX];
  size_t count;
  uint64_t last, reached;
  unsigned epochs, gaps, disconnects, restored, joined;
  char name[8];
} nodes[NODES];

static struct loop loop;
static struct connections connections;
static struct real_redis real;

/* Publishes: their numbers are their places here. */
static struct published {
  bool is_done;
  int status;
  uint64_t position;
} published[MESSAGES_MAX];
static size_t published_count, done_count;

/* ---- The servers ----------------------------------------------------------------------------- */

static void on_deliver(void *context, struct bytes channel, const struct broker_message *message) {
  struct node *node = context;
  uint64_t number;
  assert_true(bytes_to_u64(message->record, &number));
  assert_true(message->position > node->last);
  assert_true(node->count < MESSAGES_MAX);
  node->last = message->position;
  node->delivered[node->count++] = (struct delivered){message->position, (unsigned)(channel.ptr[0] - 'a'), (unsigned)number};
}

static void on_restore(void *context, const struct broker_page *page) {
  (void)page;
  ((struct node *)context)->restored++;
}

static void on_gap(void *context, struct bytes channel, uint64_t position) {
  (void)channel, (void)position;
  ((struct node *)context)->gaps++;
}

static void on_disconnect(void *context, struct bytes channel) {
  (void)channel;
  ((struct node *)context)->disconnects++;
}

static void on_forget(void *context, struct bytes channel) { (void)context, (void)channel; }

static void on_reach(void *context, uint64_t position) {
  struct node *node = context;
  assert_true(position >= node->reached);
  node->reached = position;
}

static void on_begin_epoch(void *context, const struct epoch *epoch, uint64_t position) {
  struct node *node = context;
  (void)epoch;
  node->epochs++;
  node->last = position;
}

static void on_command(void *context, struct bytes command) { (void)context, (void)command; }
static void on_miss_commands(void *context) { (void)context; }

static const struct broker_sink sink = {.deliver = on_deliver,
                                        .restore = on_restore,
                                        .gap = on_gap,
                                        .disconnect = on_disconnect,
                                        .forget = on_forget,
                                        .reach = on_reach,
                                        .begin_epoch = on_begin_epoch,
                                        .command = on_command,
                                        .miss_commands = on_miss_commands};

static void on_joined(void *context, int status) {
  assert_int_equal(status, 0);
  ((struct node *)context)->joined++;
}

static void on_published(void *context, int status, const struct epoch *epoch, uint64_t position) {
  struct published *publish = context;
  (void)epoch;
  assert_false(publish->is_done);
  *publish = (struct published){true, status, position};
  done_count++;
}

/* ---- Running --------------------------------------------------------------------------------- */

static void on_turn(struct loop *turning) {
  (void)turning;
  for (size_t i = 0; i < NODES; i++) {
    if (!nodes[i].broker) continue;
    broker_tick(nodes[i].broker, loop.clock.now_ms);
    redis_link_turn(nodes[i].link);
  }
}

static void step(uint64_t begun_ms, const char *condition) {
  loop_step(&loop);
  poll(NULL, 0, 1);
  if (clock_system_ms() - begun_ms <= PATIENCE_MS) return;
  fail_msg("still not: %s; done %zu of %zu; delivered %zu %zu %zu; gaps %u %u %u; states %d %d %d", condition, done_count,
           published_count, nodes[0].count, nodes[1].count, nodes[2].count, nodes[0].gaps, nodes[1].gaps, nodes[2].gaps,
           broker_state(nodes[0].broker), broker_state(nodes[1].broker), broker_state(nodes[2].broker));
}

#define until(condition)                                                                                                         \
  for (uint64_t begun_ms = clock_system_ms(); !(condition); step(begun_ms, #condition)) continue

static void start_node(struct node *node, size_t index) {
  struct redis_link_options options = {
      .delay_ms = 10, .delay_max_ms = 100, .scripts = broker_scripts, .script_count = SCRIPT_COUNT};
  snprintf(options.url.host, sizeof options.url.host, "%s/s", real.directory);
  snprintf(node->name, sizeof node->name, "node%zu", index);
  assert_int_equal(redis_link_new(&node->link, &options, &connections), 0);
  struct broker_options how = {.prefix = BYTES("mw"),
                               .node = bytes_string(node->name),
                               .publish_ms = 60000,
                               .linger_ms = 10000,
                               .bell_ms = 200,
                               .silence_ms = 30000,
                               .expiry_ms = 60000,
                               .recover_ms = 2000,
                               .mark_ttl_s = 90000,
                               .held_max = 16 << 20,
                               .waiting_max = 10000};
  node->broker = broker_new(&how, node->link, &sink, node, loop.clock.now_ms);
  assert_non_null(node->broker);
}

static int begin(void **state) {
  int status = support_setup(state);
  mw_log_to(MW_LOG_ERROR, NULL, NULL);
  memset(nodes, 0, sizeof nodes);
  memset(published, 0, sizeof published);
  published_count = done_count = 0;
  real_redis_begin(&real);
  assert_int_equal(loop_init(&loop, NULL, on_turn), 0);
  connections_init(&connections, &loop);
  return status;
}

static int end(void **state) {
  for (size_t i = 0; i < NODES; i++) {
    if (!nodes[i].broker) continue;
    broker_stop(nodes[i].broker);
    redis_link_free(nodes[i].link);
    broker_free(nodes[i].broker);
    nodes[i].broker = NULL;
  }
  connections_close(&connections);
  loop_close(&loop, NULL);
  while (loop.open_count > 0) loop_run_once(&loop);
  connections_deinit(&connections);
  loop_deinit(&loop);
  real_redis_end(&real);
  mw_log_to(MW_LOG_INFO, NULL, NULL);
  return support_teardown(state);
}

static const char *const names[CHANNELS] = {"a", "b", "c", "d"};

static bool all_are_up(void) {
  for (size_t i = 0; i < NODES; i++)
    if (broker_state(nodes[i].broker) != BROKER_UP) return false;
  return true;
}

static void start_all(const char *more) {
  real_redis_start(&real, 0, "s", more);
  struct broker_interest interests[CHANNELS];
  for (size_t i = 0; i < CHANNELS; i++)
    interests[i] = (struct broker_interest){.channel = bytes_string(names[i]), .history = {1000, 0}};
  for (size_t i = 0; i < NODES; i++) {
    start_node(&nodes[i], i);
    assert_int_equal(broker_interest(nodes[i].broker, interests, CHANNELS, on_joined, &nodes[i]), MW_PENDING);
  }
  until(nodes[0].joined + nodes[1].joined + nodes[2].joined == NODES);
  until(all_are_up());
}

static void publish_next(void) {
  char record[16];
  size_t number = published_count++;
  snprintf(record, sizeof record, "%zu", number);
  struct broker_publish publish = {.channel = bytes_string(names[number % CHANNELS]),
                                   .record = bytes_string(record),
                                   .history = {1000, 0},
                                   .on_done = on_published,
                                   .context = &published[number]};
  assert_int_equal(broker_publish(nodes[number % NODES].broker, &publish), 0);
}

static void publish_many(size_t count) {
  for (size_t i = 0; i < count; i++) {
    publish_next();
    if (i % 10 == 0) step(clock_system_ms(), "");
  }
}

static size_t count_good(void) {
  size_t count = 0;
  for (size_t i = 0; i < published_count; i++) count += published[i].is_done && published[i].status == 0;
  return count;
}

/* All nodes have delivered what was published, each once, in one order. */
static void expect_all_delivered(void) {
  until(done_count == published_count);
  assert_int_equal(count_good(), published_count);
  until(nodes[0].count >= published_count && nodes[1].count >= published_count && nodes[2].count >= published_count);
  static bool seen[MESSAGES_MAX];
  memset(seen, 0, sizeof seen);
  for (size_t i = 0; i < published_count; i++) {
    struct delivered *delivered = &nodes[0].delivered[i];
    assert_false(seen[delivered->number]);
    seen[delivered->number] = true;
    assert_true(published[delivered->number].position == delivered->position);
    assert_int_equal(delivered->channel, delivered->number % CHANNELS);
  }
  for (size_t i = 0; i < NODES; i++) {
    assert_int_equal(nodes[i].count, published_count);
    assert_memory_equal(nodes[i].delivered, nodes[0].delivered, published_count * sizeof nodes[0].delivered[0]);
    assert_int_equal(nodes[i].gaps + nodes[i].disconnects, 0);
  }
}

static void redis_cli(const char *words) {
  char command[256];
  snprintf(command, sizeof command, "exec redis-cli -s s %s", words);
  real_redis_run(&real, command);
}

/* All nodes have begun it, and know the histories of their channels again. What was published until then
 * may be in these instead of being delivered. */
static void await_second_epoch(void) {
  for (size_t i = 0; i < NODES; i++) until(nodes[i].epochs == 2 && nodes[i].restored >= 2 * CHANNELS);
  until(all_are_up());
}

/* ---- Tests ----------------------------------------------------------------------------------- */

static void delivers_the_same_everywhere(void **state) {
  (void)state;
  start_all("");
  publish_many(1000);
  expect_all_delivered();
  for (size_t i = 0; i < NODES; i++) assert_int_equal(nodes[i].epochs, 1);
}

static void delivers_everything_while_connections_are_cut(void **state) {
  (void)state;
  start_all("");
  for (int round = 0; round < 12; round++) {
    publish_many(60);
    redis_cli(round % 2 == 0 ? "CLIENT KILL TYPE pubsub" : "CLIENT KILL TYPE normal SKIPME yes");
    publish_many(40);
  }
  redis_cli("SCRIPT FLUSH");
  publish_many(100);
  expect_all_delivered();
}

static void survives_a_restart_that_loses_nothing(void **state) {
  (void)state;
  start_all("--appendonly yes --appendfsync always");
  publish_many(200);
  real_redis_kill(&real, 0);
  publish_many(200);
  real_redis_start(&real, 0, "s", "--appendonly yes --appendfsync always");
  publish_many(200);
  expect_all_delivered();
  for (size_t i = 0; i < NODES; i++) assert_int_equal(nodes[i].epochs, 1);
}

static void waits_for_a_redis_that_is_paused(void **state) {
  (void)state;
  start_all("");
  publish_many(100);
  assert_int_equal(kill(real.programs[0], SIGSTOP), 0);
  publish_many(200);
  for (uint64_t begun_ms = clock_system_ms(); clock_system_ms() - begun_ms < 500;) step(begun_ms, "");
  assert_true(done_count < published_count);
  assert_int_equal(kill(real.programs[0], SIGCONT), 0);
  publish_many(100);
  expect_all_delivered();
}

static void begins_a_new_epoch_when_acknowledged_messages_are_lost(void **state) {
  (void)state;
  start_all("");
  publish_many(50);
  expect_all_delivered();
  redis_cli("SAVE");
  publish_many(2);
  expect_all_delivered();
  real_redis_kill(&real, 0);
  real_redis_start(&real, 0, "s", "");
  await_second_epoch();
  size_t done = done_count, count = nodes[0].count;
  publish_many(50);
  until(done_count == done + 50);
  until(nodes[0].count == count + 50 && nodes[1].count == count + 50 && nodes[2].count == count + 50);
}

static void begins_a_new_epoch_when_everything_is_gone(void **state) {
  (void)state;
  start_all("");
  publish_many(50);
  expect_all_delivered();
  redis_cli("FLUSHALL");
  size_t count = nodes[0].count;
  publish_many(50);
  await_second_epoch();
  until(done_count == published_count);
  publish_many(50);
  until(done_count == published_count);
  assert_true(nodes[0].count >= count + 50);
}

#define CLUSTER_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
  const struct CMUnitTest tests[] = {
      CLUSTER_TEST(delivers_the_same_everywhere),
      CLUSTER_TEST(delivers_everything_while_connections_are_cut),
      CLUSTER_TEST(survives_a_restart_that_loses_nothing),
      CLUSTER_TEST(waits_for_a_redis_that_is_paused),
      CLUSTER_TEST(begins_a_new_epoch_when_acknowledged_messages_are_lost),
      CLUSTER_TEST(begins_a_new_epoch_when_everything_is_gone),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
