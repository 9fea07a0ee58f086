/* The link against redis-server, on a unix socket in a directory of its own; encrypted; and behind
 * sentinels. */
#include <poll.h>
#include <stdio.h>

#include "base/memory.h"
#include "base/status.h"
#include "broker/redis_link.h"
#include "test/support.h"
#include "test/support/redis/real_redis.h"

enum { PATIENCE_MS = 120000, MEBIBYTE = 1 << 20 };

static struct loop loop;
static struct connections connections;
static struct link *redis;
static struct real_redis real;
static struct redis_link_options options;

static const char writing[] = "redis.call('SET', KEYS[1], ARGV[1]) "
                              "redis.call('PUBLISH', KEYS[1], ARGV[1]) "
                              "return { 'OK', redis.call('STRLEN', KEYS[1]), '9007199254740993' }";
static const struct link_script scripts[] = {{"write", {writing, sizeof writing - 1}}};

static char failed[64];
static unsigned opened[2], lost[2], subscribed, messages, replies, lost_replies;
static char run_ids[2][65], last_text[64];
static size_t message_len;
static uint64_t numbers[2];

/* ---- The owner ------------------------------------------------------------------------------- */

static void note_open(void *context, enum link_end end, struct bytes run_id) {
  (void)context;
  opened[end]++;
  snprintf(run_ids[end], sizeof run_ids[end], "%.*s", (int)run_id.len, run_id.ptr);
}

static void note_lost(void *context, enum link_end end, const char *problem) {
  (void)context, (void)problem;
  lost[end]++;
}

static void note_failed(void *context, enum link_end end, struct bytes error) {
  (void)context, (void)end;
  snprintf(failed, sizeof failed, "%.*s", (int)error.len, error.ptr);
}

static void note_subscribed(void *context, struct bytes channel) {
  (void)context, (void)channel;
  subscribed++;
}

static void note_message(void *context, struct bytes channel, struct bytes payload) {
  (void)context, (void)channel;
  messages++;
  message_len = payload.len;
}

static const struct link_events events = {note_open, note_lost, note_failed, note_subscribed, note_message};

static void on_reply(struct link_command *command, const struct resp_value *reply) {
  (void)command;
  if (!reply) {
    lost_replies++;
    return;
  }
  replies++;
  struct bytes text = reply->type == RESP_ERROR ? reply->text : resp_text(reply);
  snprintf(last_text, sizeof last_text, "%.*s", text.len < 60 ? (int)text.len : 60, text.ptr ? text.ptr : "");
  for (size_t i = 0; i < 2; i++) resp_u64(resp_item(reply, i + 1), &numbers[i]);
}

/* one at a time */
static struct link_command question = {.on_reply = on_reply};

/* ---- Running --------------------------------------------------------------------------------- */

static void on_turn(struct loop *turning) {
  (void)turning;
  if (redis) redis_link_turn(redis);
}

static void step(uint64_t begun_ms, const char *condition) {
  loop_step(&loop);
  poll(NULL, 0, 1);
  if (clock_system_ms() - begun_ms > PATIENCE_MS) fail_msg("still not: %s", condition);
}

#define until(condition)                                                                                                         \
  for (uint64_t begun_ms = clock_system_ms(); !(condition); step(begun_ms, #condition)) continue

static void start_server(void) { real_redis_start(&real, 0, "s", ""); }

static void open_link(void) {
  assert_int_equal(redis_link_new(&redis, &options, &connections), 0);
  redis->events = &events;
  until(opened[LINK_COMMANDS] > 0 && opened[LINK_PUSHES] > 0);
}

static int begin_without_server(void **state) {
  int status = support_setup(state);
  mw_log_to(MW_LOG_ERROR, NULL, NULL);
  real_redis_begin(&real);
  assert_int_equal(loop_init(&loop, NULL, on_turn), 0);
  connections_init(&connections, &loop);
  memset(opened, 0, sizeof opened);
  memset(lost, 0, sizeof lost);
  subscribed = messages = replies = lost_replies = 0;
  options = (struct redis_link_options){.delay_ms = 5, .delay_max_ms = 50, .scripts = scripts, .script_count = 1};
  snprintf(options.url.host, sizeof options.url.host, "%s/s", real.directory);
  return status;
}

static int begin(void **state) {
  int status = begin_without_server(state);
  start_server();
  open_link();
  return status;
}

static int end(void **state) {
  redis_link_free(redis);
  redis = NULL;
  connections_close(&connections);
  loop_close(&loop, NULL);
  while (loop.open_count > 0) loop_run_once(&loop);
  connections_deinit(&connections);
  loop_deinit(&loop);
  real_redis_end(&real);
  mw_log_to(MW_LOG_INFO, NULL, NULL);
  return support_teardown(state);
}

static void send_words(struct bytes first, struct bytes second, struct bytes third) {
  struct bytes arguments[] = {first, second, third};
  unsigned before = replies + lost_replies;
  assert_int_equal(redis->class->send(redis, arguments, third.len > 0 ? 3 : second.len > 0 ? 2 : 1, &question), 0);
  until(replies + lost_replies > before);
}

static void subscribe(void) {
  struct bytes channels[] = {BYTES("k")};
  unsigned before = subscribed;
  assert_int_equal(redis->class->subscribe(redis, channels, 1), 0);
  until(subscribed > before);
}

static void run_script(struct bytes value) {
  struct bytes arguments[] = {BYTES("k"), value};
  assert_int_equal(redis->class->run(redis, 0, 1, arguments, 2, &question), 0);
}

/* ---- Tests ----------------------------------------------------------------------------------- */

static void runs_a_script_and_receives_its_message(void **state) {
  (void)state;
  assert_int_equal(strlen(run_ids[LINK_COMMANDS]), 40);
  assert_string_equal(run_ids[LINK_COMMANDS], run_ids[LINK_PUSHES]);
  subscribe();
  static char record[MEBIBYTE];
  memset(record, 'r', sizeof record);
  run_script(bytes_of(record, sizeof record));
  until(replies == 1 && messages == 1);
  assert_int_equal(message_len, MEBIBYTE);
  assert_int_equal(numbers[0], MEBIBYTE);
  assert_true(numbers[1] == 9007199254740993u); /* a double would be even */
}

static void loads_the_scripts_again_when_redis_has_dropped_them(void **state) {
  (void)state;
  send_words(BYTES("SCRIPT"), BYTES("FLUSH"), (struct bytes){NULL, 0});
  run_script(BYTES("a"));
  until(opened[LINK_COMMANDS] == 2);
  assert_int_equal(lost_replies, 1);
  assert_int_equal(lost[LINK_COMMANDS], 1);
  run_script(BYTES("a"));
  until(replies == 2);
}

static void survives_a_killed_connection_and_a_restart(void **state) {
  (void)state;
  char before[65];
  snprintf(before, sizeof before, "%s", run_ids[LINK_COMMANDS]);
  subscribe();
  struct bytes kill_pubsub[] = {BYTES("CLIENT"), BYTES("KILL"), BYTES("TYPE"), BYTES("pubsub")};
  assert_int_equal(redis->class->send(redis, kill_pubsub, 4, &question), 0);
  until(opened[LINK_PUSHES] == 2);
  assert_int_equal(lost[LINK_COMMANDS], 0);
  assert_string_equal(run_ids[LINK_PUSHES], before);
  real_redis_kill(&real, 0);
  until(lost[LINK_COMMANDS] == 1 && lost[LINK_PUSHES] == 2);
  start_server();
  until(opened[LINK_COMMANDS] == 2 && opened[LINK_PUSHES] == 3);
  assert_string_equal(run_ids[LINK_COMMANDS], run_ids[LINK_PUSHES]);
  assert_string_not_equal(run_ids[LINK_COMMANDS], before);
}

static void hands_on_the_refusal_of_a_full_redis(void **state) {
  (void)state;
  struct bytes limit[] = {BYTES("CONFIG"), BYTES("SET"), BYTES("maxmemory"), BYTES("1")};
  assert_int_equal(redis->class->send(redis, limit, 4, &question), 0);
  until(replies == 1);
  run_script(BYTES("a"));
  until(replies == 2);
  assert_non_null(strstr(last_text, "OOM"));
  assert_int_equal(lost[LINK_COMMANDS], 0);
}

static void encrypts_and_logs_in(void **state) {
  (void)state;
  char more[512];
  real_redis_run(&real, "exec openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=test "
                        "-addext subjectAltName=IP:127.0.0.1 -days 2 -keyout key.pem -out certificate.pem");
  unsigned port = real_redis_find_port();
  snprintf(more, sizeof more,
           "--tls-port %u --tls-cert-file certificate.pem --tls-key-file key.pem --tls-auth-clients no "
           "--user default off --user app on '>secret' '~*' '&*' '+@all'",
           port);
  real_redis_start(&real, 0, "s", more);
  char url[64], certificates[96];
  snprintf(url, sizeof url, "rediss://app:secret@127.0.0.1:%u/3", port);
  snprintf(certificates, sizeof certificates, "%s/certificate.pem", real.directory);
  assert_null(redis_url_read(&options.url, bytes_string(url)));
  options.ca_file = certificates;
  open_link();
  subscribe();
  static char record[MEBIBYTE];
  memset(record, 'r', sizeof record);
  for (unsigned i = 1; i <= 3; i++) {
    run_script(bytes_of(record, sizeof record));
    until(replies == i && messages == i);
  }
  assert_int_equal(message_len, MEBIBYTE);
  send_words(BYTES("CLIENT"), BYTES("INFO"), (struct bytes){NULL, 0});
  assert_int_equal(lost[LINK_COMMANDS] + lost[LINK_PUSHES], 0);
}

/* Asks a sentinel to make the replica the master, again and again until it knows the replica. */
static void fail_over(unsigned sentinel_port) {
  char command[256];
  snprintf(command, sizeof command, "until redis-cli -p %u SENTINEL FAILOVER main | grep -q OK; do sleep 0.2; done",
           sentinel_port);
  real_redis_run(&real, command);
}

static void follows_a_failover(void **state) {
  (void)state;
  unsigned primary = real_redis_find_port(), replica = real_redis_find_port(), sentinel = real_redis_find_port();
  char more[512], command[1024];
  snprintf(more, sizeof more, "--port %u --bind 127.0.0.1 --repl-diskless-sync-delay 0", primary);
  real_redis_start(&real, 0, "s", more);
  snprintf(more, sizeof more, "--port %u --bind 127.0.0.1 --replicaof 127.0.0.1 %u", replica, primary);
  real_redis_start(&real, 1, "r", more);
  /* A sentinel asks the primary for its replicas at once, and then every ten seconds. */
  snprintf(command, sizeof command,
           "until redis-cli -p %u INFO replication | grep -q state=online; do sleep 0.1; done; "
           "printf 'port %u\\nbind 127.0.0.1\\nsentinel monitor main 127.0.0.1 %u 1\\n"
           "sentinel down-after-milliseconds main 60000\\n' > sentinel.conf && exec redis-sentinel sentinel.conf",
           primary, sentinel, primary);
  real_redis_start_program(&real, 2, command);
  assert_null(redis_url_read(&options.url, BYTES("redis://main")));
  snprintf(options.sentinels[0].host, sizeof options.sentinels[0].host, "127.0.0.1");
  options.sentinels[0].port = (uint16_t)sentinel;
  options.sentinel_count = 1;
  open_link();
  char before[65];
  snprintf(before, sizeof before, "%s", run_ids[LINK_COMMANDS]);
  fail_over(sentinel);
  until(strcmp(run_ids[LINK_COMMANDS], before) != 0 && strcmp(run_ids[LINK_PUSHES], run_ids[LINK_COMMANDS]) == 0);
  assert_true(lost[LINK_COMMANDS] >= 1 && lost[LINK_PUSHES] >= 1);
}

#define REAL_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
  const struct CMUnitTest tests[] = {
      REAL_TEST(runs_a_script_and_receives_its_message),
      REAL_TEST(loads_the_scripts_again_when_redis_has_dropped_them),
      REAL_TEST(survives_a_killed_connection_and_a_restart),
      REAL_TEST(hands_on_the_refusal_of_a_full_redis),
      cmocka_unit_test_setup_teardown(encrypts_and_logs_in, begin_without_server, end),
      cmocka_unit_test_setup_teardown(follows_a_failover, begin_without_server, end),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
