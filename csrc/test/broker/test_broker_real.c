/* Two nodes over real links with redis-server, on a unix socket: the scripts as Redis runs them. */
#include <poll.h>
#include <stdio.h>

#include "base/memory.h"
#include "base/status.h"
#include "broker/broker.h"
#include "broker/redis_link.h"
#include "broker/scripts.h"
#include "test/support.h"
#include "test/support/redis/real_redis.h"

enum { PATIENCE_MS = 120000, NODES = 2, NOT_DONE = -1 };

struct node {
  struct link *link;
  struct broker *broker;
  struct buffer trace; /* what its broker has told: "epoch deliver:a ..." */
  unsigned epochs;
  struct epoch epoch;
  uint64_t position;
  struct broker_page page; /* the latest, without its messages */
  uint64_t oldest;         /* the number that its first message has as its record */
};

static struct loop loop;
static struct connections connections;
static struct real_redis real;
static struct node nodes[NODES];
static unsigned joined, published, refused;
static uint64_t published_at;
static bool uses_file;

/* ---- The server, as a broker sees it ---------------------------------------------------------- */

static void note(struct node *node, const char *word, struct bytes text) {
  if (node->trace.len > 0) buffer_append_char(&node->trace, ' ');
  buffer_append_string(&node->trace, word);
  buffer_append(&node->trace, text);
}

static void on_deliver(void *context, struct bytes channel, const struct broker_message *message) {
  struct node *node = context;
  (void)channel;
  if (message->position > 0) {
    assert_true(message->position > node->position && message->before < message->position);
  }
  note(node, message->position > 0 ? "" : "~", message->record);
}

static void on_restore(void *context, const struct broker_page *page) {
  struct node *node = context;
  node->page = *page;
  if (page->count > 0) assert_true(bytes_to_u64(page->messages[0].record, &node->oldest));
  note(context, "page", bytes_of(NULL, 0));
  for (size_t i = 0; i < page->count; i++) note(context, "+", page->messages[i].record);
}

static void on_gap(void *context, struct bytes channel, uint64_t position) {
  (void)position;
  note(context, "gap:", channel);
}

static void on_disconnect(void *context, struct bytes channel) { note(context, "disconnect:", channel); }
static void on_forget(void *context, struct bytes channel) { note(context, "forget:", channel); }
static void on_reach(void *context, uint64_t position) { ((struct node *)context)->position = position; }

static void on_begin_epoch(void *context, const struct epoch *epoch, uint64_t position) {
  struct node *node = context;
  node->epochs++;
  node->epoch = *epoch;
  node->position = position;
}

static void on_members(void *context, const struct broker_members *members) {
  struct bytes rest = members->changes;
  struct broker_change change;
  if (members->is_whole) note(context, "members", bytes_of(NULL, 0));
  while (broker_next_change(&rest, &change)) note(context, change.left ? "-" : "+", change.user);
}

static void on_command(void *context, struct bytes command) { note(context, "!", command); }
static void on_miss_commands(void *context) { note(context, "missed", bytes_of(NULL, 0)); }

static const struct broker_sink sink = {.deliver = on_deliver,
                                        .restore = on_restore,
                                        .gap = on_gap,
                                        .disconnect = on_disconnect,
                                        .forget = on_forget,
                                        .reach = on_reach,
                                        .begin_epoch = on_begin_epoch,
                                        .members = on_members,
                                        .command = on_command,
                                        .miss_commands = on_miss_commands};

/* ---- Running ---------------------------------------------------------------------------------- */

static void on_turn(struct loop *turning) {
  (void)turning;
  for (size_t i = 0; i < NODES; i++) {
    if (nodes[i].link) redis_link_turn(nodes[i].link);
  }
}

static void step(uint64_t begun_ms, const char *condition) {
  for (size_t i = 0; i < NODES; i++) {
    if (nodes[i].broker) broker_tick(nodes[i].broker, clock_system_ms());
  }
  loop_step(&loop);
  poll(NULL, 0, 1);
  if (clock_system_ms() - begun_ms > PATIENCE_MS) fail_msg("still not: %s", condition);
}

#define until(condition)                                                                                                         \
  for (uint64_t begun_ms = clock_system_ms(); !(condition); step(begun_ms, #condition)) continue

static bool are_up(void) { return broker_state(nodes[0].broker) == BROKER_UP && broker_state(nodes[1].broker) == BROKER_UP; }

static void start_redis(void) { real_redis_start(&real, 0, "s", uses_file ? "--appendonly yes --appendfsync always" : ""); }

static void node_begin(struct node *node, const char *name) {
  struct redis_link_options to = {.delay_ms = 5, .delay_max_ms = 50, .scripts = broker_scripts, .script_count = SCRIPT_COUNT};
  struct broker_options options = {.prefix = BYTES("mw"),
                                   .node = bytes_string(name),
                                   .publish_ms = PATIENCE_MS,
                                   .linger_ms = 1,
                                   .bell_ms = 50,
                                   .gather_ms = 10,
                                   .silence_ms = PATIENCE_MS,
                                   .expiry_ms = PATIENCE_MS,
                                   .recover_ms = PATIENCE_MS,
                                   .mark_ttl_s = 25 * 3600,
                                   .held_max = 1 << 20,
                                   .waiting_max = 1000};
  *node = (struct node){0};
  buffer_init(&node->trace);
  snprintf(to.url.host, sizeof to.url.host, "%s/s", real.directory);
  assert_int_equal(redis_link_new(&node->link, &to, &connections), 0);
  node->broker = broker_new(&options, node->link, &sink, node, clock_system_ms());
  assert_non_null(node->broker);
}

static int begin(void **state) {
  int status = support_setup(state);
  mw_log_to(MW_LOG_ERROR, NULL, NULL);
  real_redis_begin(&real);
  assert_int_equal(loop_init(&loop, NULL, on_turn), 0);
  connections_init(&connections, &loop);
  joined = published = refused = 0;
  start_redis();
  node_begin(&nodes[0], "first");
  node_begin(&nodes[1], "second");
  until(are_up());
  return status;
}

static int begin_without_file(void **state) {
  uses_file = false;
  return begin(state);
}

static int begin_with_file(void **state) {
  uses_file = true;
  return begin(state);
}

static int end(void **state) {
  for (size_t i = 0; i < NODES; i++) {
    broker_stop(nodes[i].broker);
    redis_link_free(nodes[i].link);
    nodes[i].link = NULL;
    broker_free(nodes[i].broker);
    nodes[i].broker = NULL;
    buffer_deinit(&nodes[i].trace);
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

static void on_joined(void *context, int status) {
  (void)context;
  assert_int_equal(status, 0);
  joined++;
}

static void join(struct node *node, const char *name, uint32_t size) {
  struct broker_interest interest = {.channel = bytes_string(name), .history = {.size = size}};
  unsigned before = joined;
  if (broker_interest(node->broker, &interest, 1, on_joined, NULL) == MW_PENDING) until(joined > before);
}

static void follow_members(struct node *node) {
  struct broker_interest interest = {.channel = BYTES("a"), .history = {.size = 1}, .roster = BROKER_ROSTER_LIST};
  unsigned before = joined;
  if (broker_interest(node->broker, &interest, 1, on_joined, NULL) == MW_PENDING) until(joined > before);
}

static void on_status(void *context, int status) { *(int *)context = status; }

/* Returns what the join of the user on that node ends with. */
static int become_member(struct node *node, const char *user, size_t members_max) {
  int result = MW_PENDING;
  struct broker_join join = {.channel = BYTES("a"),
                             .user = bytes_string(user),
                             .info = BYTES("{}"),
                             .members_max = members_max,
                             .on_done = on_status,
                             .context = &result};
  int status = broker_join(node->broker, &join);
  if (status != MW_PENDING) return status;
  until(result != MW_PENDING);
  return result;
}

static void on_published(void *context, int status, const struct epoch *epoch, uint64_t position) {
  (void)context, (void)epoch;
  if (status < 0) refused++;
  published++;
  published_at = position;
}

static void begin_publish(struct node *node, const char *channel, const char *record, const char *key) {
  struct broker_publish publish = {.channel = bytes_string(channel),
                                   .record = bytes_string(record),
                                   .key = bytes_string(key),
                                   .history = {.size = 3},
                                   .on_done = on_published};
  assert_int_equal(broker_publish(node->broker, &publish), 0);
}

static void publish(struct node *node, const char *channel, const char *record) {
  unsigned before = published;
  begin_publish(node, channel, record, "");
  until(published > before);
  assert_int_equal(refused, 0);
}

static bool has_trace(const struct node *node, const char *trace) {
  return bytes_equal(buffer_bytes(&node->trace), bytes_string(trace));
}

/* ---- Tests ------------------------------------------------------------------------------------ */

static void all_nodes_receive_what_is_published(void **state) {
  (void)state;
  struct node *first = &nodes[0], *second = &nodes[1];
  assert_memory_equal(&first->epoch, &second->epoch, sizeof first->epoch);
  join(first, "a", 3);
  join(second, "a", 3);
  publish(first, "a", "1");
  assert_true(has_trace(first, "page 1")); /* before its publisher was told */
  assert_true(published_at > UINT64_C(1) << 51 && first->position >= published_at);
  publish(second, "a", "2");
  assert_int_equal(broker_publish_volatile(first->broker, BYTES("a"), BYTES("3")), 0);
  until(has_trace(first, "page 1 2 ~3") && has_trace(second, "page 1 2 ~3"));
}

static void a_history_comes_with_the_join(void **state) {
  (void)state;
  struct node *first = &nodes[0], *second = &nodes[1];
  for (const char *record = "1\0002\0003\0004\000"; *record; record += 2) publish(first, "a", record);
  join(second, "a", 3);
  assert_true(has_trace(second, "page +2 +3 +4"));
  broker_end_interest(second->broker, BYTES("a"));
  until(has_trace(second, "page +2 +3 +4 forget:a"));
}

static void a_key_is_published_once(void **state) {
  (void)state;
  begin_publish(&nodes[0], "a", "1", "key");
  until(published == 1);
  uint64_t position = published_at;
  begin_publish(&nodes[1], "a", "1", "key");
  until(published == 2);
  assert_true(published_at == position);
}

static void nothing_is_missed_when_redis_restarts(void **state) {
  (void)state;
  struct node *first = &nodes[0], *second = &nodes[1];
  join(first, "a", 3);
  join(second, "a", 3);
  publish(first, "a", "1");
  until(has_trace(second, "page 1"));
  real_redis_kill(&real, 0);
  until(broker_state(first->broker) == BROKER_CONNECTING && broker_state(second->broker) == BROKER_CONNECTING);
  begin_publish(second, "a", "2", ""); /* waits */
  start_redis();
  until(published == 2);
  publish(first, "a", "3");
  until(has_trace(first, "page 1 2 3") && has_trace(second, "page 1 2 3"));
  assert_int_equal(first->epochs, 1);
  assert_int_equal(refused, 0);
}

static void a_redis_that_has_forgotten_begins_an_epoch(void **state) {
  (void)state;
  struct epoch epoch = nodes[0].epoch;
  join(&nodes[0], "a", 3);
  publish(&nodes[0], "a", "1");
  real_redis_run(&real, "redis-cli -s s FLUSHALL");
  until(nodes[0].epochs == 2 && nodes[1].epochs == 2);
  until(are_up());
  assert_memory_not_equal(&nodes[0].epoch, &epoch, sizeof epoch);
  assert_memory_equal(&nodes[0].epoch, &nodes[1].epoch, sizeof epoch);
  publish(&nodes[1], "a", "2");
  until(nodes[0].position >= published_at);
}

static void messages_are_fetched_that_came_while_pubsub_was_lost(void **state) {
  (void)state;
  struct node *first = &nodes[0], *second = &nodes[1];
  join(first, "a", 3);
  publish(second, "a", "1");
  until(has_trace(first, "page 1"));
  for (const char *record = "2\0003\0004\000"; *record; record += 2) {
    real_redis_run(&real, "redis-cli -s s CLIENT KILL TYPE pubsub");
    publish(second, "a", record);
  }
  until(has_trace(first, "page 1 2 3 4"));
}

static unsigned pages;
static int page_status;

static void on_page(void *context, int status) {
  assert_ptr_equal(context, &pages);
  pages++;
  page_status = status;
}

static int ask(struct node *node, const char *channel, uint64_t position) {
  return broker_page(node->broker, bytes_string(channel), position, on_page, &pages);
}

static void fetch(struct node *node, uint64_t position) {
  pages = 0;
  assert_int_equal(ask(node, "a", position), MW_PENDING);
  until(pages == 1);
  assert_int_equal(page_status, 0);
  assert_true(node->page.until == position && node->page.gone <= node->page.after && node->page.after < position);
}

static void older_messages_are_fetched(void **state) {
  (void)state;
  struct node *node = &nodes[1];
  for (unsigned n = 1; n <= 600; n++) {
    char record[12];
    snprintf(record, sizeof record, "%u", n);
    struct broker_publish publish = {
        .channel = BYTES("a"), .record = bytes_string(record), .history = {.size = 1000}, .on_done = on_published};
    assert_int_equal(broker_publish(nodes[0].broker, &publish), 0);
  }
  until(published == 600);
  assert_int_equal(refused, 0);
  join(node, "a", 1000);
  assert_true(node->page.until == UINT64_MAX && node->page.count == 256 && node->oldest == 345);
  fetch(node, node->page.after);
  assert_true(node->page.count == 256 && node->oldest == 89);
  fetch(node, node->page.after);
  assert_true(node->page.count == 88 && node->oldest == 1 && node->page.gone == node->page.after);
  /* Once more, from the middle, and more at a time than are asked for at a time. */
  pages = 0;
  for (int i = 0; i < 6; i++) assert_int_equal(ask(node, "a", node->position), MW_PENDING);
  real_redis_run(&real, "redis-cli -s s CLIENT KILL TYPE pubsub");
  real_redis_run(&real, "redis-cli -s s CLIENT KILL TYPE normal SKIPME yes");
  until(pages == 6);
  assert_int_equal(page_status, 0);
  assert_true(node->page.count == 256 && node->oldest == 345);
  /* A channel that is not followed; and a node that stops. */
  assert_int_equal(ask(node, "b", node->position), MW_PENDING);
  until(pages == 7);
  assert_int_equal(page_status, MW_EBROKER_LOST);
  assert_int_equal(ask(node, "a", node->position), MW_PENDING);
  broker_stop(node->broker);
  assert_int_equal(pages, 8);
  assert_int_equal(page_status, MW_ECLOSED);
  assert_int_equal(ask(node, "a", node->position), MW_ECLOSED);
}

static int why_refused;

static void on_refused(void *context, int status, const struct epoch *epoch, uint64_t position) {
  why_refused = status;
  on_published(context, status, epoch, position);
}

/* A state of Redis in which it refuses every publish is noticed by the heartbeat, and its end, too. The
 * connections are not lost. */
static void a_redis_that_refuses_is_noticed(void **state) {
  (void)state;
  static const struct {
    const char *begin, *end;
    int status;
  } refusals[] = {
      {"redis-cli -s s CONFIG SET maxmemory 1", "redis-cli -s s CONFIG SET maxmemory 0", MW_EBROKER_FULL},
      {"redis-cli -s s CONFIG SET min-replicas-to-write 1", "redis-cli -s s CONFIG SET min-replicas-to-write 0",
       MW_EBROKER_REPLICAS},
  };
  struct broker_publish publish_it = {.channel = BYTES("a"), .record = BYTES("1"), .history = {.size = 1}, .on_done = on_refused};
  for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
    real_redis_run(&real, refusals[i].begin);
    until(broker_refusal(nodes[0].broker) == refusals[i].status && broker_refusal(nodes[1].broker) == refusals[i].status);
    unsigned before = published;
    assert_int_equal(broker_publish(nodes[0].broker, &publish_it), 0);
    until(published > before);
    assert_int_equal(why_refused, refusals[i].status);
    assert_int_equal(broker_publish_volatile(nodes[0].broker, BYTES("a"), BYTES("~")), 0);
    real_redis_run(&real, refusals[i].end);
    until(broker_refusal(nodes[0].broker) == 0 && broker_refusal(nodes[1].broker) == 0);
    assert_true(are_up());
    before = published;
    assert_int_equal(broker_publish(nodes[0].broker, &publish_it), 0);
    until(published > before);
    assert_int_equal(why_refused, 0);
  }
}

/* Otherwise no node could read it, or anything after it. */
static void a_record_that_no_node_could_read_is_refused(void **state) {
  (void)state;
  char *text = memory_calloc(1, BROKER_RECORD_BYTES_MAX + 1);
  assert_non_null(text);
  struct broker_publish publish = {.channel = BYTES("a"),
                                   .record = bytes_of(text, BROKER_RECORD_BYTES_MAX + 1),
                                   .history = {.size = 3},
                                   .on_done = on_published};
  assert_int_equal(broker_publish(nodes[0].broker, &publish), MW_ETOOLARGE);
  assert_int_equal(broker_publish_volatile(nodes[0].broker, publish.channel, publish.record), MW_ETOOLARGE);
  join(&nodes[1], "a", 3);
  publish.record.len--;
  assert_int_equal(broker_publish(nodes[0].broker, &publish), 0);
  until(published == 1);
  assert_int_equal(refused, 0);
  until(nodes[1].trace.len > BROKER_RECORD_BYTES_MAX); /* delivered */
  memory_free(text);
}

static void members_are_known_on_all_nodes(void **state) {
  (void)state;
  struct node *first = &nodes[0], *second = &nodes[1];
  follow_members(first);
  assert_true(has_trace(first, "members page") || has_trace(first, "page members"));
  buffer_clear(&first->trace);
  assert_int_equal(become_member(second, "ada", 2), 0);
  assert_int_equal(become_member(second, "bo", 2), 0);
  assert_int_equal(become_member(first, "ada", 2), 0);
  assert_int_equal(become_member(first, "cy", 2), MW_ELIMIT);
  until(has_trace(first, "+ada +bo"));
  broker_leave(second->broker, BYTES("a"), BYTES("ada"));
  real_redis_run(&real, "redis-cli -s s CLIENT KILL TYPE normal SKIPME yes");
  broker_leave(second->broker, BYTES("a"), BYTES("bo"));
  until(has_trace(first, "+ada +bo -bo"));
  assert_int_equal(become_member(second, "ada", 2), 0);
  assert_int_equal(become_member(second, "di", 2), 0);
  until(has_trace(first, "+ada +bo -bo +di"));
}

static void on_gone(void *context) { *(bool *)context = true; }

static void members_of_a_node_that_stops_leave(void **state) {
  (void)state;
  struct node *first = &nodes[0], *second = &nodes[1];
  bool is_gone = false;
  follow_members(first);
  buffer_clear(&first->trace);
  assert_int_equal(become_member(first, "ada", 0), 0);
  assert_int_equal(become_member(second, "ada", 0), 0);
  assert_int_equal(become_member(second, "bo", 0), 0);
  assert_int_equal(broker_say_goodbye(second->broker, on_gone, &is_gone), 0);
  until(is_gone && has_trace(first, "+ada +bo -bo"));
}

static void commands_reach_all(void **state) {
  (void)state;
  struct node *first = &nodes[0], *second = &nodes[1];
  int status = NOT_DONE;
  assert_int_equal(broker_control(first->broker, BYTES("one"), NULL, NULL), 0);
  until(has_trace(second, "!one"));
  real_redis_run(&real, "redis-cli -s s CLIENT KILL TYPE pubsub");
  assert_int_equal(broker_control(first->broker, BYTES("two"), on_status, &status), 0);
  until(status != NOT_DONE && has_trace(second, "!one !two"));
  assert_int_equal(status, 0);
  assert_int_equal(first->trace.len, 0);
}

struct lease_outcome {
  int status;
  uint64_t left_ms;
};

static void on_lease(void *context, int status, uint64_t left_ms) {
  *(struct lease_outcome *)context = (struct lease_outcome){status, left_ms};
}

static struct lease_outcome lease(struct node *node, uint64_t holder, uint64_t ms, bool is_ended) {
  struct lease_outcome outcome = {.status = NOT_DONE};
  struct broker_lease wanted = {.name = BYTES("sweep"), .holder = holder, .ms = ms, .is_ended = is_ended};
  assert_int_equal(broker_lease(node->broker, &wanted, on_lease, &outcome), 0);
  until(outcome.status != NOT_DONE);
  return outcome;
}

/* Returns whether it is the holder's. */
static bool has(struct node *node, uint64_t holder, uint64_t ms, bool is_ended) {
  struct lease_outcome outcome = lease(node, holder, ms, is_ended);
  assert_int_equal(outcome.status, 0);
  assert_true(outcome.left_ms <= PATIENCE_MS);
  return outcome.left_ms == 0;
}

static void one_holder_has_a_lease(void **state) {
  (void)state;
  struct node *first = &nodes[0], *second = &nodes[1];
  assert_true(has(first, 1, PATIENCE_MS, false));
  assert_false(has(second, 1, PATIENCE_MS, false));
  assert_true(has(first, 1, PATIENCE_MS, false));  /* it keeps it */
  assert_false(has(first, 2, PATIENCE_MS, false)); /* another holder, on the same node */
  assert_true(has(first, 1, PATIENCE_MS, true));
  assert_false(has(second, 1, PATIENCE_MS, false));
  assert_true(has(first, 1, 0, true));
  assert_true(has(second, 1, PATIENCE_MS, false));
  assert_false(has(first, 1, 0, true));
  /* what is no lease */
  real_redis_run(&real, "redis-cli -s s DEL '{mw}:o:sweep' && redis-cli -s s LPUSH '{mw}:o:sweep' x");
  assert_true(has(first, 3, PATIENCE_MS, false));
  real_redis_run(&real, "redis-cli -s s SET '{mw}:o:sweep' x");
  assert_true(has(second, 2, PATIENCE_MS, false));
}

static void a_node_that_stops_frees_its_leases(void **state) {
  (void)state;
  struct node *first = &nodes[0], *second = &nodes[1];
  bool is_gone = false;
  assert_true(has(second, 7, PATIENCE_MS, false));
  assert_int_equal(broker_say_goodbye(second->broker, on_gone, &is_gone), 0);
  until(is_gone);
  assert_true(has(first, 1, PATIENCE_MS, false));
}

static bool has_failed_to_read;

static void on_log(void *context, enum mw_log_level level, const char *line, size_t len) {
  (void)context, (void)level, (void)len;
  if (strstr(line, "did not read commands: WRONGTYPE")) has_failed_to_read = true;
}

static void commands_are_read_again_after_an_error(void **state) {
  (void)state;
  has_failed_to_read = false;
  mw_log_to(MW_LOG_WARNING, on_log, NULL);
  real_redis_run(&real, "redis-cli -s s EVAL \"local p = string.format('%.0f', redis.call('HGET', '{mw}:h', 'position') + 1) "
                        "redis.call('HSET', '{mw}:h', 'position', p) "
                        "redis.call('XADD', '{mw}:y', p .. '-0', 'b', '0', 'o', 'other', 'm', 'one') "
                        "redis.call('SET', '{mw}:x', 'text') redis.call('PUBLISH', '{mw}:x', p)\" 0");
  until(has_failed_to_read);
  real_redis_run(&real, "redis-cli -s s RENAME '{mw}:y' '{mw}:x'");
  until(has_trace(&nodes[0], "!one") && has_trace(&nodes[1], "!one"));
}

#define REAL_TEST(name) cmocka_unit_test_setup_teardown(name, begin_without_file, end)

int main(void) {
  const struct CMUnitTest tests[] = {REAL_TEST(all_nodes_receive_what_is_published),
                                     REAL_TEST(a_history_comes_with_the_join),
                                     REAL_TEST(a_key_is_published_once),
                                     cmocka_unit_test_setup_teardown(nothing_is_missed_when_redis_restarts, begin_with_file, end),
                                     REAL_TEST(a_redis_that_has_forgotten_begins_an_epoch),
                                     REAL_TEST(messages_are_fetched_that_came_while_pubsub_was_lost),
                                     REAL_TEST(older_messages_are_fetched),
                                     REAL_TEST(a_redis_that_refuses_is_noticed),
                                     REAL_TEST(a_record_that_no_node_could_read_is_refused),
                                     REAL_TEST(members_are_known_on_all_nodes),
                                     REAL_TEST(members_of_a_node_that_stops_leave),
                                     REAL_TEST(commands_reach_all),
                                     REAL_TEST(one_holder_has_a_lease),
                                     REAL_TEST(a_node_that_stops_frees_its_leases),
                                     REAL_TEST(commands_are_read_again_after_an_error)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
